"""Calls ready for prefill, in order.

The first ones stand in a line, the rest behind them in a heap, and come into the line as it is walked along: a call
that is looked at in most epochs is not sorted anew, and one that is far behind costs nothing.

How keys change decides what is looked at: never; only up, so that a key is a lower bound until its call comes to the
front; or freely, so that at every epoch all are worked out and sorted, which is quick where they are nearly in order.
"""

from __future__ import annotations

from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import kernel
from hexsched.policies.parts.order import KEY_RISES, PREFILL, Kernel
from hexsched.policies.planning.preference import Preference

SHIFTS = 16  # for each call, before sorting by a heap is cheaper


@kernel
def _goes_before(key, c, other):
    """Whether call ``c`` of that key goes before a queued one."""
    return key < other.key or (key == other.key and c < other.call)


@kernel
def enqueue(memory, key, c):
    """Add call ``c`` where its key belongs: in the line if it goes before the last one there, else behind it."""
    mine = memory.planner
    row = mine.ready[0]
    last = row.first + row.ordered
    if row.ordered == 0 or not _goes_before(key, c, mine.queue[last - 1]):
        heap_push(mine.heap, row.rest, key, c)
        row.rest += 1
        return
    if last == mine.queue.shape[0]:
        _shift(mine.queue, row.first, 0, row.ordered)
        row.first = 0
        last = row.ordered
    k = last
    while k > row.first and _goes_before(key, c, mine.queue[k - 1]):
        mine.queue[k].key = mine.queue[k - 1].key
        mine.queue[k].call = mine.queue[k - 1].call
        k -= 1
    mine.queue[k].key = key
    mine.queue[k].call = c
    row.ordered += 1
    mine.starts[0].rehearsal += 1


@kernel
def put_behind(memory, c):
    """Add call ``c``, whose key is worked out before it is needed."""
    mine = memory.planner
    row = mine.ready[0]
    mine.heap[row.rest].code = c
    row.rest += 1


@kernel
def _append(memory, key, c):
    """Add call ``c`` at the end of the line."""
    mine = memory.planner
    row = mine.ready[0]
    if row.first + row.ordered == mine.queue.shape[0]:
        _shift(mine.queue, row.first, 0, row.ordered)
        row.first = 0
    mine.queue[row.first + row.ordered].key = key
    mine.queue[row.first + row.ordered].call = c
    row.ordered += 1


@kernel
def _shift(queue, source, target, count):
    """Move ``count`` entries towards the front."""
    for k in range(count):
        queue[target + k].key = queue[source + k].key
        queue[target + k].call = queue[source + k].call


@kernel
def remove_started(seen, memory, walked):
    """Take out those of the first ``walked`` calls that have been started."""
    mine = memory.planner
    row = mine.ready[0]
    into = row.first + walked
    for k in range(row.first + walked - 1, row.first - 1, -1):
        if seen.calls[mine.queue[k].call].prefill_instance < 0:
            into -= 1
            mine.queue[into].key = mine.queue[k].key
            mine.queue[into].call = mine.queue[k].call
    row.ordered -= into - row.first
    row.first = into
    if row.ordered == 0:
        row.first = 0


@kernel
def sort_queue(memory):
    """Sort the line by its keys, nearly in order or not; the heap is empty before."""
    mine = memory.planner
    row = mine.ready[0]
    shifts = SHIFTS * row.ordered
    for k in range(row.first + 1, row.first + row.ordered):
        key = mine.queue[k].key
        c = mine.queue[k].call
        into = k
        while into > row.first and _goes_before(key, c, mine.queue[into - 1]):
            mine.queue[into].key = mine.queue[into - 1].key
            mine.queue[into].call = mine.queue[into - 1].call
            into -= 1
        mine.queue[into].key = key
        mine.queue[into].call = c
        shifts -= k - into
        if shifts < 0:
            break
    if shifts < 0:
        for k in range(row.first, row.first + row.ordered):
            heap_push(mine.heap, row.rest, mine.queue[k].key, mine.queue[k].call)
            row.rest += 1
        row.first = 0
        row.ordered = 0


@kernel
def line_up(memory):
    """Take all into the line, in no order."""
    mine = memory.planner
    row = mine.ready[0]
    if row.first > 0:
        _shift(mine.queue, row.first, 0, row.ordered)
        row.first = 0
    for k in range(row.rest):
        mine.queue[row.ordered + k].call = mine.heap[k].code
    row.ordered += row.rest
    row.rest = 0


def ready_calls(preference: Preference) -> Kernel:
    """The kernel ``(seen, memory, wish, rank) -> call``: which call stands there, -1 behind the last one.

    Ranks are asked for in ascending order from 0, and keys do not change meanwhile.
    """
    key_of, key_changes = preference.key, preference.key_changes

    @kernel
    def call_at(seen, memory, wish, rank):
        mine = memory.planner
        row = mine.ready[0]
        rises = key_changes(wish) == KEY_RISES
        while True:
            if rank < row.ordered:
                entry = mine.queue[row.first + rank]
                c = entry.call
                if not rises:
                    return c
                key = key_of(seen, memory, wish, c, PREFILL)
                if key == entry.key:
                    return c
                # it has fallen behind since it was queued
                _shift(mine.queue, row.first + rank + 1, row.first + rank, row.ordered - rank - 1)
                row.ordered -= 1
                mine.starts[0].rehearsal += 1
                enqueue(memory, key, c)
                continue
            if row.rest == 0:
                return -1
            key = mine.heap[0].key
            c = heap_pop(mine.heap, row.rest)
            row.rest -= 1
            if rises:
                key = key_of(seen, memory, wish, c, PREFILL)
                top = mine.heap[0]
                if row.rest > 0 and (top.key < key or (top.key == key and top.code < c)):
                    heap_push(mine.heap, row.rest, key, c)
                    row.rest += 1
                    continue
            _append(memory, key, c)
            return c

    return call_at
