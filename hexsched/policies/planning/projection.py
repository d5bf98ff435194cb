"""When would a call finish on a pair of instances, as far as anyone can tell now?

Delta = (wait for i) + P_i + T_ij + (wait for KV room on j) + estimated output * tau_j at the batch it would join
(model M23). Each decode instance has a row that is worked out once per decision epoch and updated as calls are placed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import kernel
from hexsched.engine.physics import iteration_seconds, iterations_since_settled, transfer_seconds

if TYPE_CHECKING:
    from hexsched.engine.state import Array, Records


class Machines(NamedTuple):
    """Of what is seen, what service times on decode instances depend on."""

    clock: Records
    decodes: Records
    batch_seconds: Array


@kernel
def project(seen, memory, j):
    """The row of decode instance ``j`` for this epoch."""
    row = memory.planner.decodes[j]
    if row.epoch != seen.clock[0].epoch:
        _work_out(Machines(seen.clock, seen.decodes, seen.batch_seconds), memory.planner.decodes, j)
    return row


@kernel
def _work_out(machines, outlooks, j):
    row = outlooks[j]
    decode = machines.decodes[j]
    done = iterations_since_settled(machines, j)
    row.epoch = machines.clock[0].epoch
    row.iterations = decode.iterations + done
    row.free = decode.kv_capacity - decode.reserved - row.planned_tokens
    row.slots = decode.max_batch - decode.admitted - row.planned
    row.batch = decode.admitted + row.planned
    row.held = decode.kv + decode.batch * done
    row.kv = row.held + decode.in_transfer + row.planned_prompt
    row.sorted = 0


@kernel
def forget_projections(memory):
    """Work every row out anew when it is next asked for."""
    for j in range(memory.planner.decodes.shape[0]):
        memory.planner.decodes[j].epoch = -1


@kernel
def decode_seconds(seen, memory, c, j):
    """Estimated output of ``c`` times the iteration time of the batch it would join on ``j``."""
    project(seen, memory, j)
    return _seconds_of_decode(seen, seen.calls, memory.planner.decodes, c, j)


@kernel
def room_wait(seen, memory, settings, c, j):
    """Seconds from now until ``j`` has KV room and a place in the batch for ``c``, if calls leave as projected."""
    row = project(seen, memory, j)
    call = seen.calls[c]
    if settings.kv == 0 or (row.free >= call.n + call.estimate and row.slots > 0):
        return 0.0
    seconds = _seconds_of_decode(seen, seen.calls, memory.planner.decodes, c, j)
    return wait_for_room(seen, memory, j, call.n + call.estimate, row.free, row.slots, seconds)


@kernel
def room_waits(seen, memory, settings, largest, j):
    """The same for any call of up to ``largest`` tokens: at least, at most, and how many turns it has to wait besides.

    Where those turns are above 0, every call waits for the first two, which are the same, and then for so many of its
    own decodes, and its share of the KV cache more. Where that depends on the call otherwise, the most is inf.
    """
    if settings.kv == 0:
        return 0.0, 0.0, 0.0
    row = project(seen, memory, j)
    if row.free >= largest and row.slots > 0:
        return 0.0, 0.0, 0.0
    most, free, slots = _until_room(seen, memory, j, largest, row.free, row.slots)
    least = 0.0
    if row.slots <= 0 and row.sorted > 0:  # a place in the batch is the least that it waits for
        least = memory.planner.seats[j, min(-row.slots, row.sorted - 1)].finish_at
    turns = 0.0
    if free < largest or slots <= 0:
        turns = -free / seen.decodes[j].kv_capacity
        if turns > 0.0 and turns >= (1 - slots) / seen.decodes[j].max_batch:
            least = most
        else:
            turns = 0.0
            most = math.inf
    return least, most, turns


@kernel
def soonest_finish(seen, memory, settings, c, j, prefilled_at):
    """A lower bound on when ``c`` would finish on ``j``: as far as its prefill and places in the batch let it."""
    row = project(seen, memory, j)
    if settings.kv == 1 and row.slots <= 0 and row.sorted > 0:
        prefilled_at = max(prefilled_at, memory.planner.seats[j, min(-row.slots, row.sorted - 1)].finish_at)
    return prefilled_at + decode_seconds(seen, memory, c, j)


@kernel
def wait_for_room(seen, memory, j, need, free, slots, seconds):
    """Seconds until ``j`` has room, were so many tokens and places free now, for a call that decodes so long there."""
    decode = seen.decodes[j]
    wait, free, slots = _until_room(seen, memory, j, need, free, slots)
    if free >= need and slots > 0:
        return wait
    # everything that runs has left and calls planned before this one still fill j: they take turns of about its length
    turns = max((need - free) / decode.kv_capacity, (1 - slots) / decode.max_batch)
    return wait + max(turns, 0.0) * seconds


@kernel
def _until_room(seen, memory, j, need, free, slots):
    """Seconds until so many calls have left ``j`` that there is room, or all have; tokens and places free by then."""
    machines = Machines(seen.clock, seen.decodes, seen.batch_seconds)
    row = memory.planner.decodes[j]
    finishes = memory.planner.seats
    last = seen.decodes[j].admitted - 1
    if last < 0:
        return 0.0, free, slots
    low = max(-slots, 0)  # so many have to leave before the one whose place is taken
    high = row.sorted
    if high > last and (low >= last or free + finishes[j, last].freed < need):
        low = last
    elif low < high and free + finishes[j, low].freed >= need:
        high = low
    while low < high:
        middle = (low + high) // 2
        if free + finishes[j, middle].freed >= need:
            high = middle
        else:
            low = middle + 1
    while True:
        while row.sorted <= min(low, last):
            _sort_one_more(
                machines, seen.calls, seen.seats, memory.planner.decodes, finishes, memory.planner.leaving, j
            )
        if low >= last or free + finishes[j, low].freed >= need:
            break
        low += 1
    low = min(low, last)
    return finishes[j, low].finish_at, free + finishes[j, low].freed, slots + low + 1


@kernel
def _seconds_of_decode(machines, calls, outlooks, c, j):
    row = outlooks[j]
    call = calls[c]
    return call.estimate * iteration_seconds(machines, j, row.batch + 1, row.kv + call.n)


@kernel
def _sort_one_more(machines, calls, seats, outlooks, finishes, leaving, j):
    """Find the member of ``j`` that finishes next after those already in finishing order: mostly few are asked for."""
    row = outlooks[j]
    admitted = machines.decodes[j].admitted
    k = row.sorted
    if k == 0:  # first: everyone's projection
        tau = iteration_seconds(machines, j, max(machines.decodes[j].batch, 1), row.held)
        for s in range(admitted):
            c = seats[j, s]
            heap_push(leaving[j], s, _seconds_left(machines, calls, outlooks, j, c, tau), c)
    finishes[j, k].finish_at = leaving[j, 0].key
    call = calls[heap_pop(leaving[j], admitted - k)]
    finishes[j, k].freed = call.n + call.estimate
    if k > 0:
        finishes[j, k].freed += finishes[j, k - 1].freed
    row.sorted = k + 1


@kernel
def _seconds_left(machines, calls, outlooks, j, c, tau):
    """Projected seconds to the completion of admitted call ``c``; an overdue one is thought to need one more token."""
    call = calls[c]
    now = machines.clock[0].now
    if call.decode_start > now:
        return (call.decode_start - now) + call.estimate * tau
    if machines.clock[0].fixed:
        done = (now - call.decode_start) / machines.decodes[j].theta
    else:
        done = outlooks[j].iterations - call.joined
    return max(call.estimate - done, 1.0) * tau


@kernel
def transfer(seen, settings, i, j, n):
    """T_ij as the policy sees it."""
    if settings.transfer == 0:
        return 0.0
    return transfer_seconds(seen, i, j, n)


@kernel
def kv_load(seen, memory, j):
    """Share of the KV cache of ``j`` that is reserved or planned."""
    decode = seen.decodes[j]
    return (decode.reserved + memory.planner.decodes[j].planned_tokens) / decode.kv_capacity
