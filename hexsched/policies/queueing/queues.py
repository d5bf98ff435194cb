"""Local queues: one for each instance, served by priority, as a router with workers behind it has.

Each queue is a pairing heap by priority: entry c is call c waiting for prefill, entry c + N is c waiting for
admission. With anti-starvation an entry stands in a second heap too, by the time at which it counts as starved; what
has left through one heap is dropped from the other when it comes up.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.engine.pairing_heap import pairing_pop, pairing_push
from hexsched.engine.physics import prefill_seconds
from hexsched.policies.orders.parts.chosen import note_entry, note_service, order_key
from hexsched.policies.parts.order import DECODE, PREFILL


@kernel
def enqueue_prefill(seen, memory, settings, c, i):
    """Put released call ``c`` into the queue of prefill instance ``i``."""
    call = seen.calls[c]
    waiting = memory.queues.prefills[i]
    waiting.calls += 1
    waiting.tokens += call.n - call.h
    waiting.seconds += prefill_seconds(seen.prefills[i], call.n, call.h)
    _insert(seen, memory, settings, i, c, PREFILL)


@kernel
def enqueue_decode(seen, memory, settings, c, j):
    """Put prefilled call ``c`` into the queue of decode instance ``j``."""
    _insert(seen, memory, settings, seen.prefills.shape[0] + j, c, DECODE)


@kernel
def head(seen, memory, settings, queue, stage):
    """The call that is next in ``queue``, -1 when it is empty."""
    offset = stage * seen.calls.shape[0]
    root = memory.queues.roots[queue]
    if settings.promotes == 1:
        root.starved = _drop_gone(seen, memory.queues.starved, root.starved)
        if root.starved >= 0 and memory.queues.starved[root.starved].key <= seen.clock[0].now:
            return root.starved - offset
    while True:
        root.queue = _drop_gone(seen, memory.queues.queue, root.queue)
        entry = root.queue
        if entry < 0:
            return -1
        key = order_key(seen, memory, settings, entry - offset, stage)
        if key <= memory.queues.queue[entry].key:
            return entry - offset
        # its priority has fallen since it was queued (its workflow was served, its horizon grew)
        root.queue = pairing_pop(memory.queues.queue, entry)
        memory.queues.queue[entry].key = key
        root.queue = pairing_push(memory.queues.queue, root.queue, entry)


@kernel
def leave_prefill_queue(seen, memory, settings, c, i):
    """Call ``c``, the head of its queue, is about to start on ``i``."""
    call = seen.calls[c]
    waiting = memory.queues.prefills[i]
    waiting.calls -= 1
    waiting.tokens -= call.n - call.h
    waiting.seconds -= prefill_seconds(seen.prefills[i], call.n, call.h)
    if waiting.calls == 0:
        waiting.seconds = 0.0
    note_service(seen, memory, settings, c)


@kernel
def _insert(seen, memory, settings, queue, c, stage):
    memory.calls[c].entered = seen.clock[0].now
    note_entry(seen, memory, settings, c)
    entry = c + stage * seen.calls.shape[0]
    root = memory.queues.roots[queue]
    memory.queues.queue[entry].key = order_key(seen, memory, settings, c, stage)
    root.queue = pairing_push(memory.queues.queue, root.queue, entry)
    if settings.promotes == 1:
        memory.queues.starved[entry].key = memory.calls[c].starves_at
        root.starved = pairing_push(memory.queues.starved, root.starved, entry)


@kernel
def _drop_gone(seen, heap, root):
    """Drop entries from the top of a heap whose calls are no longer waiting; the new root."""
    calls = seen.calls.shape[0]
    while root >= 0:
        waits_for_prefill = root < calls
        call = seen.calls[root if waits_for_prefill else root - calls]
        gone = (call.prefill_instance if waits_for_prefill else call.decode_instance) >= 0
        if not gone:
            break
        root = pairing_pop(heap, root)
    return root
