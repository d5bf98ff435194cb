"""Prefill instances of one kind: which is free first, as far as planned?

Idle instances stand in a heap by number, busy ones in a line by the end of their prefill. In a plan, those that have
got work stand in a third place, by their wait; what the other two hold stays as it is until the plan ends.
"""

from __future__ import annotations

import math

from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import kernel
from hexsched.engine.physics import prefill_seconds

MOST_KINDS = 61  # that have a bit of their own
IDLE, BUSY, PLANNED = range(3)  # where the first one of a kind was found
NO, STRICTLY, AS_EARLY = range(3)  # whether one kind beats another


@kernel
def bit(kind):
    """Of a set of kinds; where there are more than ``MOST_KINDS``, such sets are not looked at."""
    return 1 << min(kind, MOST_KINDS)


@kernel
def note_ends(seen, memory):
    """Prefills that ended since the last decision leave idle instances: those were the first in line."""
    mine = memory.planner
    starts = mine.starts[0]
    starts.idle_before = starts.idle_kinds
    for k in range(seen.clock[0].prefilled):
        i = seen.calls[seen.prefilled[k]].prefill_instance
        kind = seen.prefills[i].kind
        row = mine.prefill_kinds[kind]
        row.first += 1
        heap_push(mine.idle[kind], row.idle, 0.0, i)
        row.idle += 1
        starts.idle += 1
        starts.idle_kinds |= bit(kind)


@kernel
def find_first_free(seen, memory, kind):
    """The instance of the kind that is free first, the one of least number of several, and its wait."""
    mine = memory.planner
    row = mine.prefill_kinds[kind]
    first = -1
    wait = math.inf
    if row.idle > 0:
        first = mine.idle[kind, 0].code
        wait = 0.0
        row.source = IDLE
    elif row.first + row.taken < row.last:
        entry = mine.ends[kind, row.first + row.taken]
        first = entry.code
        wait = entry.key - seen.clock[0].now
        row.source = BUSY
    if row.planned > 0:
        entry = mine.planned[kind, 0]
        if entry.key < wait or (entry.key == wait and entry.code < first):
            first = entry.code
            wait = entry.key
            row.source = PLANNED
    mine.prefill_first[kind] = first
    mine.prefills[first].wait = wait


@kernel
def find_all_first_free(seen, memory):
    """The same for every kind."""
    for kind in range(memory.planner.prefill_first.shape[0]):
        find_first_free(seen, memory, kind)


@kernel
def give_work(seen, memory, i, seconds):
    """Instance ``i``, the first of its kind, gets more work in this plan; whether it was idle."""
    mine = memory.planner
    kind = seen.prefills[i].kind
    row = mine.prefill_kinds[kind]
    starts = mine.starts[0]
    was_idle = row.source == IDLE
    if was_idle:
        heap_pop(mine.idle[kind], row.idle)
        row.idle -= 1
        starts.idle -= 1
        if row.idle == 0:
            starts.idle_kinds &= ~bit(kind)
        if starts.idle_before & bit(kind) != 0:
            starts.rehearsal += 1  # it might have stayed idle: those behind are better off
        mine.started[starts.now] = i
        starts.now += 1
        starts.total += 1
    elif row.source == BUSY:
        row.taken += 1
    else:
        heap_pop(mine.planned[kind], row.planned)
        row.planned -= 1
    heap_push(mine.planned[kind], row.planned, mine.prefills[i].wait + seconds, i)
    row.planned += 1
    find_first_free(seen, memory, kind)
    return was_idle


@kernel
def forget_rehearsal(seen, memory):
    """Of this plan only the calls that have been started are left."""
    mine = memory.planner
    for kind in range(mine.prefill_kinds.shape[0]):
        mine.prefill_kinds[kind].taken = 0
        mine.prefill_kinds[kind].planned = 0
    for k in range(mine.starts[0].now):
        i = mine.started[k]
        call = seen.calls[seen.prefills[i].running]
        row = mine.prefill_kinds[seen.prefills[i].kind]
        seconds = 0.0 + prefill_seconds(seen.prefills[i], call.n, call.h)
        heap_push(mine.planned[seen.prefills[i].kind], row.planned, seconds, i)
        row.planned += 1
    find_all_first_free(seen, memory)


@kernel
def end_plan(seen, memory):
    """What was started joins the line, the rest was only a plan."""
    mine = memory.planner
    starts = mine.starts[0]
    for kind in range(mine.prefill_kinds.shape[0]):
        mine.prefill_kinds[kind].taken = 0
        mine.prefill_kinds[kind].planned = 0
    for k in range(starts.now):
        _join_line(seen, memory, mine.started[k])
    starts.now = 0


@kernel
def _join_line(seen, memory, i):
    """Put busy instance ``i`` into the line of its kind; most end later than all others."""
    mine = memory.planner
    kind = seen.prefills[i].kind
    row = mine.prefill_kinds[kind]
    line = mine.ends[kind]
    if row.last == line.shape[0]:
        for k in range(row.first, row.last):
            line[k - row.first].key = line[k].key
            line[k - row.first].code = line[k].code
        row.last -= row.first
        row.first = 0
    end = seen.prefills[i].busy_until
    k = row.last
    while k > row.first and (line[k - 1].key > end or (line[k - 1].key == end and line[k - 1].code > i)):
        line[k].key = line[k - 1].key
        line[k].code = line[k - 1].code
        k -= 1
    line[k].key = end
    line[k].code = i
    row.last += 1


@kernel
def find_first_prefills(seen, memory):
    """Of identical instances only the one that is free first need be looked at: find it from all waits."""
    mine = memory.planner
    for kind in range(mine.prefill_first.shape[0]):
        mine.prefill_first[kind] = -1
    for i in range(seen.prefills.shape[0]):
        kind = seen.prefills[i].kind
        first = mine.prefill_first[kind]
        if first < 0 or mine.prefills[i].wait < mine.prefills[first].wait:
            mine.prefill_first[kind] = i
