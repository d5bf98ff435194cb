"""Decode instances of one kind by their pace: seconds an iteration with one more call, before that call's own tokens.

While calls decode, the KV cache that they hold grows and with it the pace; only what is told here (``forget_pace``)
makes an instance faster. So a pace from an earlier epoch is a lower bound, and one a little below it, for rounding, is
kept in a tournament: which instance is fastest is found by working out those few whose bound is below the least pace.

Instances without any call are alike, so of them only the one of least number is looked at.
"""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel
from hexsched.engine.physics import iteration_seconds
from hexsched.engine.tournament import set_key
from hexsched.policies.planning.projection import project

NOTHING = -1  # the epoch of a pace of which nothing is known,
UNKNOWN = -2  # ... and of one of which only a lower bound is
ALWAYS = 2**62  # the epoch of a pace that no time changes
BELOW = 1.0 - 1e-9  # what rounding may take off a pace is less


@kernel
def forget_pace(seen, memory, j):
    """Calls on ``j`` are not those whose pace was worked out."""
    mine = memory.planner
    outlook = mine.decodes[j]
    known = outlook.pace_epoch != NOTHING
    outlook.pace_epoch = NOTHING
    if known and mine.lists[0].few == 0:
        kind = seen.decodes[j].kind
        leaf = mine.decode_place[j]
        set_key(mine.pace_order[kind], mine.pace_floors[kind], leaf, -math.inf)
        if mine.empty[kind, leaf] == 0.0:
            set_key(mine.empty_order[kind], mine.empty[kind], leaf, math.inf)


@kernel
def lower_floor(seen, memory, j, floor):
    """Calls that were only counted for ``j`` are not any more: of its pace no more is known than what was before."""
    mine = memory.planner
    few = memory.planner.lists[0].few == 1
    if few or floor == math.inf or floor == -math.inf or seen.decodes[j].admitted == 0:
        forget_pace(seen, memory, j)
        return
    mine.decodes[j].pace_epoch = UNKNOWN
    kind = seen.decodes[j].kind
    set_key(mine.pace_order[kind], mine.pace_floors[kind], mine.decode_place[j], floor)


@kernel
def forget_paces(seen, memory):
    """Anything may have changed."""
    for j in range(seen.decodes.shape[0]):
        forget_pace(seen, memory, j)


@kernel
def forget_paces_of_completed(seen, memory):
    """Calls that completed since the last decision have left their instances."""
    for k in range(seen.clock[0].completed):
        forget_pace(seen, memory, seen.calls[seen.completed[k]].decode_instance)


@kernel
def pace(seen, memory, j):
    """The pace of ``j`` now."""
    mine = memory.planner
    outlook = mine.decodes[j]
    clock = seen.clock[0]
    if outlook.pace_epoch == clock.epoch or outlook.pace_epoch == ALWAYS:
        return outlook.pace
    project(seen, memory, j)
    return find_pace(seen, memory, j)


@kernel
def find_pace(seen, memory, j):
    """Work the pace out from the projection of this epoch, after which calls have come or gone."""
    mine = memory.planner
    clock = seen.clock[0]
    row = mine.decodes[j]
    row.pace = iteration_seconds(seen, j, row.batch + 1, row.kv)
    if mine.lists[0].few == 1:
        row.pace_epoch = clock.epoch
        return row.pace
    kind = seen.decodes[j].kind
    leaf = mine.decode_place[j]
    floor = row.pace
    row.pace_epoch = ALWAYS
    if clock.fixed == 0:
        if (row.batch == 0) != (mine.empty[kind, leaf] == 0.0):
            set_key(mine.empty_order[kind], mine.empty[kind], leaf, 0.0 if row.batch == 0 else math.inf)
        if row.batch == 0:
            floor = math.inf  # it is looked for among those without a call
        elif seen.decodes[j].admitted > 0:
            row.pace_epoch = clock.epoch
            floor = row.pace * BELOW
    set_key(mine.pace_order[kind], mine.pace_floors[kind], leaf, floor)
    return row.pace


@kernel
def begin_walk(memory):
    """Walk through the instances of a kind that are not empty: ``next_within``."""
    memory.planner.lists[0].walk = 1
    memory.planner.walk[0] = 1


@kernel
def next_within(memory, kind, limit):
    """The next instance of the kind whose pace may be at most ``limit``; -1 when there is none left."""
    mine = memory.planner
    lists = mine.lists[0]
    leaves = mine.pace_floors.shape[1]
    while lists.walk > 0:
        lists.walk -= 1
        node = mine.walk[lists.walk]
        leaf = mine.pace_order[kind, node]
        floor = mine.pace_floors[kind, leaf]
        if floor > limit or floor == math.inf:
            continue
        if node >= leaves:
            return mine.decode_members[kind, leaf]
        ahead = 2 * node
        if mine.pace_order[kind, ahead] != leaf:
            ahead += 1
        mine.walk[lists.walk] = ahead ^ 1  # the one that won is looked at first
        mine.walk[lists.walk + 1] = ahead
        lists.walk += 2
    return -1


@kernel
def first_empty(memory, kind):
    """Of the instances of the kind known to be without a call the one of least number; -1 without one."""
    mine = memory.planner
    leaf = mine.empty_order[kind, 1]
    if mine.empty[kind, leaf] != 0.0:
        return -1
    return mine.decode_members[kind, leaf]


@kernel
def member(memory, kind, place):
    """The instance of the kind at that place, ascending; -1 behind the last one."""
    members = memory.planner.decode_members
    if place >= members.shape[1]:
        return -1
    return members[kind, place]


@kernel
def begin_look(seen, memory, by_pace):
    """Look at instances of a kind, ``next_to_look_at``: all of them, or those on which a call may finish first."""
    begin_walk(memory)
    lists = memory.planner.lists[0]
    lists.looked_at = 0
    # in the fixed model all are of one pace
    lists.by_pace = 1 if by_pace and lists.few == 0 and seen.clock[0].fixed == 0 else 0


@kernel
def next_to_look_at(seen, memory, c, kind, finish):
    """The next instance of the kind on which call ``c`` may finish, its transfer aside, within ``finish``; or -1."""
    mine = memory.planner
    lists = mine.lists[0]
    if lists.by_pace == 0:
        lists.looked_at += 1
        return member(memory, kind, lists.looked_at - 1)
    call = seen.calls[c]
    # rounding apart, no call decodes faster than its tokens at the pace with its own prompt
    limit = finish / call.estimate / BELOW - seen.decodes[mine.decode_members[kind, 0]].d2 * call.n
    while True:
        j = next_within(memory, kind, limit)
        if j < 0:
            break
        pace(seen, memory, j)
        if mine.decodes[j].batch > 0:
            return j
    if lists.looked_at == 0:
        lists.looked_at = 1
        return first_empty(memory, kind)
    return -1


@kernel
def find_first_decode(seen, memory, kind):
    """Of identical decode instances with room the one of least pace beats the others for every call: find it."""
    mine = memory.planner
    best = -1
    least = math.inf
    begin_walk(memory)
    place = 0
    while True:
        if mine.lists[0].few == 1:
            j = member(memory, kind, place)
            place += 1
        else:
            j = next_within(memory, kind, least)
        if j < 0:
            break
        seconds = pace(seen, memory, j)
        in_walk = mine.lists[0].few == 1 or seen.clock[0].fixed == 1 or mine.decodes[j].batch > 0
        if in_walk and (seconds < least or (seconds == least and j < best)):
            best = j
            least = seconds
    j = first_empty(memory, kind)  # walking on has found all that may be empty and faster
    if j >= 0 and mine.lists[0].few == 0:
        seconds = pace(seen, memory, j)
        if seconds < least or (seconds == least and j < best):
            best = j
    mine.decode_first[kind] = best


@kernel
def find_first_decodes(seen, memory):
    """The same for every kind."""
    for kind in range(memory.planner.decode_first.shape[0]):
        find_first_decode(seen, memory, kind)
