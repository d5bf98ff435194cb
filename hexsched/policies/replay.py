"""Replaying given decisions: each instance serves its calls in a given order, each as early as that order allows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hexsched.engine.kernel import kernel
from hexsched.engine.loop import admit, has_room, start_prefill


class Orders(NamedTuple):
    """Calls by instance in the order of their prefills and admissions, and how far the replay has come.

    ``prefill[prefill_from[i] : prefill_from[i + 1]]`` are the calls of instance i; likewise for decode.
    """

    prefill: np.ndarray[Any, Any]
    prefill_from: np.ndarray[Any, Any]
    prefill_next: np.ndarray[Any, Any]
    decode: np.ndarray[Any, Any]
    decode_from: np.ndarray[Any, Any]
    decode_next: np.ndarray[Any, Any]


@kernel
def replay(state, orders):
    """One decision epoch. ``entered`` says how far a call has come: 1 released, 2 prefilled."""
    board = state.board
    clock = board.clock[0]
    for k in range(clock.released):
        board.calls[board.lists[k].released].entered = 1.0
    for k in range(clock.prefilled):
        board.calls[board.lists[k].prefilled].entered = 2.0
    for i in range(board.prefills.shape[0]):
        k = orders.prefill_next[i]
        if board.prefills[i].running < 0 and k < orders.prefill_from[i + 1]:
            c = orders.prefill[k]
            if board.calls[c].entered >= 1.0:
                start_prefill(state, c, i)
                orders.prefill_next[i] += 1
    for j in range(board.decodes.shape[0]):
        while orders.decode_next[j] < orders.decode_from[j + 1]:
            c = orders.decode[orders.decode_next[j]]
            if board.calls[c].entered < 2.0 or not has_room(state, c, j):
                break
            admit(state, c, j)
            orders.decode_next[j] += 1
