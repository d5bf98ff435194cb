"""Tables in pages of Markdown, between marks, so that a page about what was measured is made anew from the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hexsched.errors import InputError
from hexsched.model.files import read_bytes, write_bytes


def insert(page: Path, tables: Mapping[str, str]) -> None:
    """Replace what stands between the lines ``<!-- NAME -->`` and ``<!-- /NAME -->`` by the table of that name.

    Raises
    ------
    InputError
        When the page cannot be read, or has not both lines once, in this order.
    """
    text = read_bytes(page).decode()
    for name, text_of_it in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed or begin in rest:
            raise InputError(f"expected the lines {begin.strip()} and {end.strip()} once, with the table between", page)
        text = f"{before}{begin}\n{text_of_it}\n{end}{after}"
    write_bytes(page, text.encode())


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], alignment: str = "") -> str:
    """A table in Markdown, a letter of ``alignment`` a column, ``l`` or ``r``; bars in cells are escaped."""
    rule = ["---:" if letter == "r" else "---" for letter in alignment.ljust(len(columns), "l")]
    lines = [columns, rule, *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
