"""Which workflows are looked at together: those that are under way at the same time."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def partition(arrival: Array, completed: Array, fewest: int, most: int) -> list[Array]:
    """Groups of workflows, each workflow in just one of them; every partition is as valid as any other.

    Workflows stand in the order of their arrivals. Between two of them is a cut where nothing is under way in a
    schedule that is known: there groups do not meet. Groups that are then too large are cut where least is under way,
    and as evenly as may be; what arrives at one instant stays together.

    Parameters
    ----------
    arrival, completed : (W,) float arrays
        Of each workflow in a known schedule, seconds.
    fewest, most : int
        Workflows of a group: at least, where a cut goes through work; at most, where there is such a cut.

    Returns
    -------
    list of (n,) int arrays
        In the order of arrivals.
    """
    order = np.lexsort((completed, arrival))
    begins = arrival[order]
    # how many of the first k are not complete when the next one arrives; none completes before it arrives
    under_way = np.arange(1, len(order)) - np.searchsorted(np.sort(completed), begins[1:], side="right")
    apart = np.diff(begins) > 0
    groups: list[Array] = []
    waiting = np.split(order, 1 + np.flatnonzero(apart & (under_way == 0)))[::-1]
    first = 0
    while waiting:
        group = waiting.pop()
        cut = _best_cut(under_way[first : first + len(group) - 1], apart[first : first + len(group) - 1], fewest)
        if len(group) > most and cut:
            waiting += [group[cut:], group[:cut]]
            continue
        groups.append(group)
        first += len(group)
    return groups


def _best_cut(under_way: Array, apart: Array, fewest: int) -> int:
    """How many come before the best cut; 0 where there is none."""
    size = len(under_way) + 1
    before = np.arange(1, size)
    able = np.flatnonzero(apart & (before >= fewest) & (size - before >= fewest))
    if not len(able):
        return 0
    return int(before[min(able, key=lambda k: (under_way[k], abs(size - 2 * before[k])))])
