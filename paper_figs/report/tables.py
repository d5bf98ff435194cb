"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from paper_figs.reading.intervals import Interval, text


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; bars in cells are escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def share(interval: Interval) -> str:
    """``"18.2 [15.0, 21.4] %"``; a dash when there is no number."""
    return "–" if interval.mean != interval.mean else text(interval, 100, unit=" %")


def number(value: float, digits: int = 2) -> str:
    """A number, or a dash."""
    return "–" if value != value else f"{value:.{digits}f}"
