"""Cells of tables."""

from __future__ import annotations

from collections.abc import Iterable

from paper_figs.reading.intervals import Interval, text


def share(interval: Interval) -> str:
    """``"18.2 [15.0, 21.4] %"``; a dash when there is no number."""
    return "–" if interval.mean != interval.mean else text(interval, 100, unit=" %")


def number(value: float, digits: int = 2) -> str:
    """A number, or a dash."""
    return "–" if value != value else f"{value:.{digits}f}"


def span(counts: Iterable[int]) -> str:
    """``"5"``, or ``"4 to 5"`` where they differ."""
    found = sorted(set(counts))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def seeds_mark(seeds: int, of: int) -> str:
    """What follows a mean over fewer seeds than its row has: ``" (4 seeds)"``."""
    return "" if seeds == of else f" ({seeds} {'seed' if seeds == 1 else 'seeds'})"
