"""Order x placement, bound early: a call is placed when it becomes ready and waits in that instance's local queue.

Placement for decode happens when the prefill ends. The head of a queue is never overtaken: if it does not fit, those
behind it wait.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.engine.loop import admit, has_room, start_prefill
from hexsched.policies.commitment import plan_on, unplan
from hexsched.policies.placements import place_decode, place_prefill
from hexsched.policies.queues import (
    enqueue_decode,
    enqueue_prefill,
    head,
    leave_decode_queue,
    leave_prefill_queue,
)
from hexsched.policies.settings import DECODE, PREFILL


@kernel
def dispatch(state, settings):
    """One decision epoch."""
    board = state.board
    clock = board.clock[0]
    for k in range(clock.released):
        c = board.lists[k].released
        enqueue_prefill(board, settings, c, place_prefill(board, settings, c))
    for k in range(clock.prefilled):
        c = board.lists[k].prefilled
        j = place_decode(board, settings, c)
        plan_on(board, c, j)
        enqueue_decode(board, settings, c, j)
    for i in range(board.prefills.shape[0]):
        if board.prefills[i].running < 0 and board.prefills[i].queued > 0:
            c = head(board, settings, i, PREFILL)
            leave_prefill_queue(board, settings, c, i)
            start_prefill(state, c, i)
    for j in range(board.decodes.shape[0]):
        queue = board.prefills.shape[0] + j
        while board.roots[queue].queue >= 0:
            c = head(board, settings, queue, DECODE)
            if c < 0 or not has_room(state, c, j):
                break
            leave_decode_queue(board, settings, c)
            unplan(board, c)
            admit(state, c, j)
