"""Local queues: one for each instance, served by priority, as a router with workers behind it has.

Each queue is a pairing heap by priority: entry c is call c waiting for prefill, entry c + N is c waiting for
admission. With anti-starvation an entry stands in a second heap too, by the time
at which it counts as starved; what has left through one heap is dropped from the other when it comes up.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.engine.pairing_heap import pairing_pop, pairing_push
from hexsched.engine.physics import prefill_seconds
from hexsched.policies.orders import order_key
from hexsched.policies.orders.plas import note_entry, note_service
from hexsched.policies.settings import DECODE, PREFILL


@kernel
def enqueue_prefill(board, settings, c, i):
    """Put released call ``c`` into the queue of prefill instance ``i``."""
    call = board.calls[c]
    prefill = board.prefills[i]
    prefill.queued += 1
    prefill.queued_tokens += call.n - call.h
    prefill.queued_seconds += prefill_seconds(prefill, call.n, call.h)
    note_entry(board, settings, c)
    _insert(board, settings, i, c, PREFILL)


@kernel
def enqueue_decode(board, settings, c, j):
    """Put prefilled call ``c`` into the queue of decode instance ``j``."""
    note_entry(board, settings, c)
    _insert(board, settings, board.prefills.shape[0] + j, c, DECODE)


@kernel
def head(board, settings, queue, stage):
    """The call that is next in ``queue``, -1 when it is empty."""
    offset = stage * board.calls.shape[0]
    root = board.roots[queue]
    if settings.promotes == 1:
        root.starved = _drop_gone(board, board.starved, root.starved)
        if root.starved >= 0 and board.starved[root.starved].key <= board.clock[0].now:
            return root.starved - offset
    while True:
        root.queue = _drop_gone(board, board.queue, root.queue)
        entry = root.queue
        if entry < 0:
            return -1
        key = order_key(board, settings, entry - offset, stage)
        if key <= board.queue[entry].key:
            return entry - offset
        # its priority has fallen since it was queued (its workflow was served, its horizon grew)
        root.queue = pairing_pop(board.queue, entry)
        board.queue[entry].key = key
        root.queue = pairing_push(board.queue, root.queue, entry)


@kernel
def leave_prefill_queue(board, settings, c, i):
    """Call ``c``, the head of its queue, is about to start on ``i``."""
    call = board.calls[c]
    prefill = board.prefills[i]
    prefill.queued -= 1
    prefill.queued_tokens -= call.n - call.h
    prefill.queued_seconds -= prefill_seconds(prefill, call.n, call.h)
    if prefill.queued == 0:
        prefill.queued_seconds = 0.0
    note_service(board, settings, c)


@kernel
def leave_decode_queue(board, settings, c):
    """Call ``c``, the head of its queue, is about to be admitted."""
    note_service(board, settings, c)


@kernel
def _insert(board, settings, queue, c, stage):
    entry = c + stage * board.calls.shape[0]
    root = board.roots[queue]
    board.queue[entry].key = order_key(board, settings, c, stage)
    root.queue = pairing_push(board.queue, root.queue, entry)
    if settings.promotes == 1:
        board.starved[entry].key = board.calls[c].starves_at
        root.starved = pairing_push(board.starved, root.starved, entry)


@kernel
def _drop_gone(board, heap, root):
    """Drop entries from the top of a heap whose calls are no longer waiting; the new root."""
    calls = board.calls.shape[0]
    while root >= 0:
        if root < calls:
            gone = board.calls[root].prefill_instance >= 0
        else:
            gone = board.calls[root - calls].decode_instance >= 0
        if not gone:
            break
        root = pairing_pop(heap, root)
    return root
