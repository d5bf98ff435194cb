"""HexAGenT's preference, whatever the order: the pair of least projected finish, and a second look before admission."""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel
from hexsched.policies.orders.parts.chosen import note_entry, note_service, order_key
from hexsched.policies.planning.commitment import plan_on, unplan
from hexsched.policies.planning.paces import begin_look, next_to_look_at
from hexsched.policies.planning.pairs import pair_finder
from hexsched.policies.planning.planner import planner
from hexsched.policies.planning.preference import Preference, finish_of_decode
from hexsched.policies.planning.projection import decode_seconds, kv_load, room_wait, transfer
from hexsched.policies.planning.second_look import best_decode_of_counted


@kernel
def projected_finish(seen, memory, settings, c, j):
    """When prefilled call ``c`` would finish on ``j``, seconds from now."""
    call = seen.calls[c]
    return (
        room_wait(seen, memory, settings, c, j)
        + transfer(seen, settings, call.prefill_instance, j, call.n)
        + decode_seconds(seen, memory, c, j)
    )


@kernel
def best_decode(seen, memory, settings, c):
    """For prefilled call ``c``: the decode instance of least projected finish, and that in seconds from now."""
    call = seen.calls[c]
    best = -1
    least = math.inf
    memory.planner.lists[0].swept = seen.clock[0].epoch
    for kind in range(memory.planner.decode_first.shape[0]):
        if seen.decodes[memory.planner.decode_members[kind, 0]].kv_capacity < call.needs_capacity:
            continue
        begin_look(seen, memory, True)
        while True:
            j = next_to_look_at(seen, memory, c, kind, least)
            if j < 0:
                break
            seconds = projected_finish(seen, memory, settings, c, j)
            if best < 0 or seconds < least or (seconds == least and j < best):
                best = j
                least = seconds
    return best, least


@kernel
def look_again(seen, memory, settings, c, may_fit):
    """A call just prefilled is counted where it would finish first now; so is one that may fit, if that is its key."""
    fresh = memory.calls[c].entered == seen.clock[0].now
    if fresh or (may_fit and settings.looks_ahead == 1 and memory.counters[0].looks_aside == 0):
        j, finish = best_decode_of_counted(seen, memory, settings, c)
        if j < 0:
            unplan(seen, memory, c)
            j, finish = best_decode(seen, memory, settings, c)
        memory.calls[c].delta = finish
        if memory.calls[c].planned != j:
            plan_on(seen, memory, c, j)


@kernel
def joint_or_apart(seen, memory, settings, c, i, j):
    """The best pair, or (ablation) the least loaded instance of each pool."""
    if settings.joint == 1:
        return i, j
    waits = memory.planner.prefills
    firsts = memory.planner.prefill_first
    i = firsts[0]
    for kind in range(1, firsts.shape[0]):
        k = firsts[kind]
        if waits[k].wait < waits[i].wait or (waits[k].wait == waits[i].wait and k < i):
            i = k
    j = -1
    for k in range(seen.decodes.shape[0]):
        if seen.decodes[k].kv_capacity >= seen.calls[c].needs_capacity and (
            j < 0 or kv_load(seen, memory, k) < kv_load(seen, memory, j)
        ):
            j = k
    return i, j


@kernel
def jointly(settings):
    """Unless (ablation) the least loaded instances are taken."""
    return settings.joint == 1


@kernel
def finish_or_load(seen, memory, settings, c, j):
    """The projected finish, or (ablation) the KV load."""
    if settings.joint == 1:
        return finish_of_decode(seen, memory, settings, c, j)
    return kv_load(seen, memory, j)


@kernel
def as_order_has_it(memory, settings):
    """Where the order says so, while it looks ahead."""
    return settings.by_risk == 1 and memory.counters[0].looks_aside == 0


HEXAGENT = Preference(
    key=order_key,
    by_risk=as_order_has_it,
    settle=joint_or_apart,
    takes_best=jointly,
    decode_cost=finish_or_load,
    reconsider=look_again,
    note_entry=note_entry,
    note_service=note_service,
)

best_pair = pair_finder(HEXAGENT)
plan = planner(HEXAGENT)
