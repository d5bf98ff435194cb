"""Tables in LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SPECIAL = {
    "\\": r"\textbackslash{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\to$",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "µ": r"\textmu{}",
    "…": r"\dots{}",
}


def escape(text: object) -> str:
    """Text as LaTeX sets it."""
    return "".join(SPECIAL.get(letter, letter) for letter in str(text))


def tabular(columns: Sequence[str], rows: Iterable[Sequence[object]], alignment: str, note: str = "") -> str:
    """A ``tabular`` with the rules of booktabs; ``alignment`` has a letter a column, ``note`` a line below."""
    lines = [
        "% \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{alignment}}}",
        "\\toprule",
        " & ".join(map(escape, columns)) + r" \\",
        "\\midrule",
        *(" & ".join(map(escape, row)) + r" \\" for row in rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join([*lines, *([f"% {note}"] if note else [])]) + "\n"
