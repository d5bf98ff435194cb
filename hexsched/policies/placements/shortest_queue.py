"""Join the shortest queue: fewest calls, running and waiting; the first instance wins a tie."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.placements.eligible import can_hold


@kernel
def calls_on_prefill(board, i):
    """Calls running or queued on prefill instance ``i``."""
    running = 1 if board.prefills[i].running >= 0 else 0
    return board.prefills[i].queued + running


@kernel
def calls_on_decode(board, j):
    """Calls admitted to or bound for decode instance ``j``."""
    return board.decodes[j].admitted + board.decodes[j].planned


@kernel
def shortest_queue_prefill(board):
    """The prefill instance with fewest calls."""
    best = 0
    for i in range(1, board.prefills.shape[0]):
        if calls_on_prefill(board, i) < calls_on_prefill(board, best):
            best = i
    return best


@kernel
def shortest_queue_decode(board, c):
    """The decode instance with fewest calls, of those that can ever hold ``c``."""
    best = -1
    for j in range(board.decodes.shape[0]):
        if can_hold(board, c, j) and (best < 0 or calls_on_decode(board, j) < calls_on_decode(board, best)):
            best = j
    return best
