"""Cells of the report's tables."""

from __future__ import annotations

from paper_figs.reading.intervals import Interval, text


def share(interval: Interval) -> str:
    """``"18.2 [15.0, 21.4] %"``; a dash when there is no number."""
    return "–" if interval.mean != interval.mean else text(interval, 100, unit=" %")


def number(value: float, digits: int = 2) -> str:
    """A number, or a dash."""
    return "–" if value != value else f"{value:.{digits}f}"
