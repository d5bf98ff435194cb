"""Earliest finish: the pair of instances on which the call is projected to complete first."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.commitment import plan_on, unplan
from hexsched.policies.projection import best_decode, best_pair, find_first_decodes, find_first_prefills


@kernel
def earliest_finish_prefill(board, settings, c):
    """The prefill side of the best pair; its decode side is planned, and chosen again when the prefill ends."""
    now = board.clock[0].now
    for i in range(board.prefills.shape[0]):
        prefill = board.prefills[i]
        prefill.wait = prefill.queued_seconds
        if prefill.running >= 0:
            prefill.wait += prefill.busy_until - now
    find_first_prefills(board)
    find_first_decodes(board)
    i, j, delta = best_pair(board, settings, c)
    plan_on(board, c, j)
    board.calls[c].delta = delta
    return i


@kernel
def earliest_finish_decode(board, settings, c):
    """The decode instance on which prefilled call ``c`` is projected to complete first."""
    unplan(board, c)
    j, delta = best_decode(board, settings, c)
    board.calls[c].delta = delta
    return j
