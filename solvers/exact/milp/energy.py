"""Energy cuts: what calls must do on an instance between two instants is no more than it can do there.

Lopez, Erschler and Esquirol, Ordonnancement de taches sous contraintes: une approche energetique, RAIRO-APII 26 (1992).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from solvers.exact.milp.modes import Mode
from solvers.exact.milp.time_windows import Windows

Array = np.ndarray[Any, Any]

MOST = 30  # cuts for each instance and resource
LOOKED_AT = 10_000_000  # windows times stays looked at for an instance and resource: 80 MB, a second
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


def prefill_cuts(windows: Windows, looked_at: int = LOOKED_AT) -> list[Cut]:
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
        cuts += _cuts(stays, 1.0, looked_at)
    return cuts


def decode_cuts(windows: Windows, modes: list[list[Mode]], looked_at: int = LOOKED_AT) -> list[Cut]:
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
            cuts += _cuts(Stays(key, earliest, latest, seconds, np.ones(len(key))), float(slots), looked_at)
            cuts += _cuts(Stays(key, earliest, latest, seconds, kv), float(room), looked_at)
    return cuts


def _cuts(stays: Stays, rate: float, looked_at: int) -> list[Cut]:
    """The cuts that the stays could break most, none of which is implied by another.

    Parameters
    ----------
    looked_at : int
        Windows times stays that are looked at; where there are more, windows between fewer instants.
    """
    if not stays.key:
        return []
    latest = np.maximum(stays.latest, stays.earliest)
    low = np.unique(np.concatenate([stays.earliest, latest]))
    high = np.unique(np.concatenate([stays.earliest + stays.seconds, latest + stays.seconds]))
    every = math.ceil(math.sqrt(len(low) * len(high) * len(stays.key) / looked_at))  # any windows make cuts that hold
    low, high = low[::every], high[::every]
    first_of_call = np.unique([c for c, _ in stays.key], return_index=True)[1]  # stays are in the order of calls
    blocks = []
    for begin in low:  # one after the other, as all together are too much to hold
        end = high[high > begin]
        # of a stay, the least part in the window is that of it shifted all the way to the left or to the right
        length = (end - begin)[:, None]
        left = np.minimum(stays.earliest + stays.seconds - begin, length)
        right = np.minimum(end[:, None] - latest, length)
        part = np.minimum(np.minimum(left, right), stays.seconds).clip(0.0) * stays.demand
        weight = part / (rate * length)
        together = np.maximum.reduceat(weight, first_of_call, axis=1).sum(axis=1)
        broken = together > 1 + BINDING
        blocks.append((weight[broken], together[broken]))
    weight, together = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    chosen: list[int] = []
    for k in np.argsort(-together, kind="stable"):
        if len(chosen) == MOST:
            break
        if not any(np.all(weight[k] <= weight[other] + BINDING) for other in chosen):
            chosen.append(int(k))
    return [
        Cut({key: float(w) for key, w in zip(stays.key, weight[k], strict=True) if w > BINDING}, 1.0) for k in chosen
    ]
