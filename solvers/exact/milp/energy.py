"""Energy cuts: what calls must do on an instance between two instants is no more than it can do there.

Lopez, Erschler and Esquirol, Ordonnancement de taches sous contraintes: une approche energetique, RAIRO-APII 26 (1992).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from solvers.exact.milp.modes import Mode
from solvers.exact.milp.time_windows import Windows

Array = np.ndarray[Any, Any]

MOST = 30  # cuts for each instance and resource
BINDING = 1e-6  # relative; a cut that all stays together break by less than this is left out


class Stays(NamedTuple):
    """Stays that may be on one instance.

    Attributes
    ----------
    key : list of (call, mode)
    earliest, latest : (n,) float arrays
        Window of the start of each, seconds.
    seconds, demand : (n,) float arrays
    """

    key: list[tuple[int, int]]
    earliest: Array
    latest: Array
    seconds: Array
    demand: Array


class Cut(NamedTuple):
    """The weights of the stays that are chosen add up to ``most`` or less."""

    weight: dict[tuple[int, int], float]
    most: float


def prefill_cuts(windows: Windows) -> list[Cut]:
    """Cuts over (call, prefill instance)."""
    problem, cuts = windows.problem, []
    for i in range(problem.prefill.shape[1]):
        calls = np.flatnonzero(windows.allowed[:, i].any(axis=1))
        stays = Stays(
            [(int(c), i) for c in calls],
            windows.head[calls],
            windows.latest_start_on[calls, i],
            problem.prefill[calls, i],
            np.ones(len(calls)),
        )
        cuts += _cuts(stays, 1.0)
    return cuts


def decode_cuts(windows: Windows, modes: list[list[Mode]]) -> list[Cut]:
    """Cuts over (call, number of its decode mode), in slots and in KV tokens."""
    problem, cuts = windows.problem, []
    for j, (room, slots) in enumerate(zip(problem.capacity, problem.max_batch, strict=True)):
        key, rows = [], []
        for c, own in enumerate(modes):
            for k, mode in enumerate(own):
                sources = [i for i in mode.sources if windows.allowed[c, i, j]]
                if mode.decode == j and sources:
                    earliest = windows.head[c] + problem.prefill[c, sources].min()
                    seconds = windows.hold[c, sources[0], j]
                    key.append((c, k))
                    rows.append((earliest, windows.due[c] - seconds, seconds, problem.kv[c]))
        if rows:
            earliest, latest, seconds, kv = np.array(rows).T
            cuts += _cuts(Stays(key, earliest, latest, seconds, np.ones(len(key))), float(slots))
            cuts += _cuts(Stays(key, earliest, latest, seconds, kv), float(room))
    return cuts


def _cuts(stays: Stays, rate: float) -> list[Cut]:
    """The cuts that the stays could break most, none of which is implied by another."""
    latest = np.maximum(stays.latest, stays.earliest)
    low = np.unique(np.concatenate([stays.earliest, latest]))
    high = np.unique(np.concatenate([stays.earliest + stays.seconds, latest + stays.seconds]))
    start, end = (edge.ravel() for edge in np.meshgrid(low, high, indexing="ij"))
    start, end = start[end > start], end[end > start]
    # of a stay, the least part in the window is that of it shifted all the way to the left or to the right
    length = (end - start)[:, None]
    left = np.minimum(stays.earliest + stays.seconds - start[:, None], length)
    right = np.minimum(end[:, None] - latest, length)
    part = np.minimum(np.minimum(left, right), stays.seconds).clip(0.0) * stays.demand
    weight = part / (rate * length)
    calls, position = np.unique([c for c, _ in stays.key], return_inverse=True)
    heaviest = np.zeros((len(weight), len(calls)))
    for column, c in enumerate(position):
        heaviest[:, c] = np.maximum(heaviest[:, c], weight[:, column])
    together = heaviest.sum(axis=1)
    chosen: list[int] = []
    for k in np.argsort(-together, kind="stable"):
        if together[k] <= 1 + BINDING or len(chosen) == MOST:
            break
        if not any(np.all(weight[k] <= weight[other] + BINDING) for other in chosen):
            chosen.append(int(k))
    return [
        Cut({key: float(w) for key, w in zip(stays.key, weight[k], strict=True) if w > BINDING}, 1.0) for k in chosen
    ]
