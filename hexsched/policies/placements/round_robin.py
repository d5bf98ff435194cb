"""Round-robin: the next instance in turn."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.placements.eligible import can_hold


@kernel
def round_robin_prefill(board):
    """The prefill instance whose turn it is."""
    clock = board.clock[0]
    i = clock.turn_prefill
    clock.turn_prefill = (i + 1) % board.prefills.shape[0]
    return i


@kernel
def round_robin_decode(board, c):
    """The decode instance whose turn it is; one that can never hold ``c`` is passed over."""
    clock = board.clock[0]
    j = clock.turn_decode
    while not can_hold(board, c, j):
        j = (j + 1) % board.decodes.shape[0]
    clock.turn_decode = (j + 1) % board.decodes.shape[0]
    return j
