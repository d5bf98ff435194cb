"""Intervals beside each other, and what is beyond an axis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPREAD = 0.4  # of the least distance between two places: how wide the points of one place are spread
FEWEST = 3  # distances in the range of all places, for that: with two places they would be spread over all of it
CUT = "▸: beyond the axis"  # what the marks of ``mark_cut`` say
MARK = "_cut"  # their label, which no legend shows
Array = np.ndarray[Any, Any]


def dodged(place: Any, k: int, count: int, logarithmic: bool = False) -> Array:
    """Places of the k-th of ``count`` series, moved apart so that no whisker hides another."""
    x = np.asarray(place, dtype=float)
    scale = np.log(x) if logarithmic else x
    steps = np.diff(np.unique(scale))
    gap = min(float(steps.min()), float(steps.sum()) / FEWEST) if len(steps) else 1.0
    moved = scale + (k - (count - 1) / 2) * SPREAD * gap / max(count, 1)
    return np.exp(moved) if logarithmic else moved


def mark_cut(axes: Axes, place: Array, low: Array, high: Array, colour: Any, along: str = "y") -> None:
    """A small arrow at the end of the axis for each interval that goes on beyond it.

    Parameters
    ----------
    axes : Axes
        With its limits set.
    place : (n,) array
        Where the intervals stand on the other axis.
    low, high : (n,) arrays
        Their ends.
    colour : str
    along : str
        The axis that intervals lie along, ``"x"`` or ``"y"``.
    """
    ends = axes.get_ylim() if along == "y" else axes.get_xlim()
    for values, end, marker in (
        (low, ends[0], "v" if along == "y" else "<"),
        (high, ends[1], "^" if along == "y" else ">"),
    ):
        beyond = np.asarray(values < end if marker in "v<" else values > end)
        at = np.asarray(place)[beyond]
        if not len(at):
            continue
        edge = np.full(len(at), end)
        where = (at, edge) if along == "y" else (edge, at)
        axes.plot(*where, marker, color=colour, markersize=3, clip_on=False, markeredgewidth=0, zorder=5, label=MARK)


def with_cut(title: str, axes: Iterable[Axes]) -> str:
    """The title, and what the marks of ``mark_cut`` say where one of the axes has any."""
    marked = any(line.get_label() == MARK for panel in axes for line in panel.get_lines())
    return f"{title}; {CUT}" if marked else title
