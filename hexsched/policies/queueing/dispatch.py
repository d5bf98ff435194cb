"""Order x placement, bound early: a call is placed when it becomes ready and waits in that instance's local queue.

Placement for decode happens when the prefill ends. The head of a queue is never overtaken: if it does not fit, those
behind it wait.
"""

from __future__ import annotations

from hexsched.engine.actions import admit, has_room, start_prefill
from hexsched.engine.heap import sort_ascending
from hexsched.engine.kernel import kernel
from hexsched.policies.orders.parts.chosen import note_service
from hexsched.policies.parts.order import DECODE, PREFILL
from hexsched.policies.placements.parts.chosen import place_decode, place_prefill
from hexsched.policies.planning.commitment import plan_on, unplan
from hexsched.policies.planning.paces import forget_paces_of_completed
from hexsched.policies.queueing.queues import enqueue_decode, enqueue_prefill, head, leave_prefill_queue


@kernel
def dispatch(actions, seen, memory, settings):
    """One decision epoch."""
    clock = seen.clock[0]
    queues = memory.queues
    counts = queues.counts[0]
    forget_paces_of_completed(seen, memory)
    for k in range(clock.released):
        c = seen.released[k]
        i = place_prefill(seen, memory, settings, c)
        enqueue_prefill(seen, memory, settings, c, i)
        note_turn(memory, i)
    for k in range(clock.prefilled):
        c = seen.prefilled[k]
        j = place_decode(seen, memory, settings, c)
        plan_on(seen, memory, c, j)
        enqueue_decode(seen, memory, settings, c, j)
        counts.waiting += 1
        note_turn(memory, seen.calls[c].prefill_instance)
    sort_ascending(queues.turns, counts.turns)
    for k in range(counts.turns):
        i = queues.turns[k]
        queues.has_turn[i] = 0
        if seen.prefills[i].running < 0 and memory.queues.prefills[i].calls > 0:
            c = head(seen, memory, settings, i, PREFILL)
            leave_prefill_queue(seen, memory, settings, c, i)
            start_prefill(actions, c, i)
    counts.turns = 0
    if counts.waiting == 0:
        return
    for j in range(seen.decodes.shape[0]):
        queue = seen.prefills.shape[0] + j
        while memory.queues.roots[queue].queue >= 0:
            c = head(seen, memory, settings, queue, DECODE)
            if c < 0 or not has_room(actions, c, j):
                break
            note_service(seen, memory, settings, c)
            unplan(seen, memory, c)
            admit(actions, c, j)
            counts.waiting -= 1


@kernel
def note_turn(memory, i):
    """Something may start on prefill instance ``i`` now: it became idle, or a call came."""
    queues = memory.queues
    if queues.has_turn[i] == 0:
        queues.has_turn[i] = 1
        queues.turns[queues.counts[0].turns] = i
        queues.counts[0].turns += 1
