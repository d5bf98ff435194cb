"""Replaying given decisions: each instance serves its calls in a given order, each as early as that order allows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hexsched.engine.actions import admit, has_room, start_prefill
from hexsched.engine.by_address import by_address
from hexsched.engine.kernel import kernel
from hexsched.engine.state import Array

RELEASED, PREFILLED = 1, 2  # how far a call has come, once it has


@by_address
class Orders(NamedTuple):
    """Calls by instance in the order of their prefills and admissions, and how far the replay has come.

    ``prefill[prefill_from[i] : prefill_from[i + 1]]`` are the calls of instance i; likewise for decode.
    """

    prefill: Array
    prefill_from: Array
    prefill_next: Array
    decode: Array
    decode_from: Array
    decode_next: Array
    stage: Array  # (N,) how far each call has come


def orders_of(
    prefill: Array, prefills: int, starts: tuple[Array, ...], decode: Array, decodes: int, admissions: tuple[Array, ...]
) -> Orders:
    """Orders in which the calls of each instance go by times.

    Parameters
    ----------
    prefill, decode : (N,) int arrays
        Instance of each call.
    prefills, decodes : int
        How many instances there are.
    starts, admissions : tuples of (N,) arrays
        What prefills and admissions of an instance are sorted by: the first, the next where that is equal, and at last
        the number of the call.
    """
    stage = np.zeros(len(prefill), np.int64)
    return Orders(*_in_order(prefill, prefills, starts), *_in_order(decode, decodes, admissions), stage)


def _in_order(place: Array, places: int, times: tuple[Array, ...]) -> tuple[Array, Array, Array]:
    """Calls by place in order, where each place begins (and the last one ends), and where it stands at first."""
    calls = np.lexsort((*times[::-1], place))
    begin = np.searchsorted(place[calls], np.arange(places + 1))
    return calls, begin, begin[:-1].copy()


@kernel
def replay(actions, seen, orders):
    """One decision epoch."""
    clock = seen.clock[0]
    for k in range(clock.released):
        orders.stage[seen.released[k]] = RELEASED
    for k in range(clock.prefilled):
        orders.stage[seen.prefilled[k]] = PREFILLED
    for i in range(seen.prefills.shape[0]):
        k = orders.prefill_next[i]
        if seen.prefills[i].running < 0 and k < orders.prefill_from[i + 1]:
            c = orders.prefill[k]
            if orders.stage[c] >= RELEASED:
                start_prefill(actions, c, i)
                orders.prefill_next[i] += 1
    for j in range(seen.decodes.shape[0]):
        while orders.decode_next[j] < orders.decode_from[j + 1]:
            c = orders.decode[orders.decode_next[j]]
            if orders.stage[c] < PREFILLED or not has_room(actions, c, j):
                break
            admit(actions, c, j)
            orders.decode_next[j] += 1
