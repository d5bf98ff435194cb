"""Whether every decode instance has room for all that a plan may put there, told from old counts.

Each call that is counted for an instance takes one place there and its KV tokens, so what all instances had at some
time, less all that was counted since, is a lower bound on what each of them has.
"""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel

CALLS = 32  # that one instance may get in one plan, where more than so many are ready
RETRY = 16  # decision epochs after which it is worth counting again


@kernel
def note_need(seen, memory, c):
    """Released call ``c`` may need more than any before."""
    room = memory.planner.room[0]
    room.largest = max(room.largest, seen.calls[c].n + seen.calls[c].estimate)


@kernel
def note_plan(seen, memory, c):
    """Call ``c`` is counted for some instance."""
    room = memory.planner.room[0]
    room.plans += 1
    room.tokens += seen.calls[c].n + seen.calls[c].estimate


@kernel
def look_at_room(seen, memory):
    """Find out whether no call of a plan of all ready calls has to wait for room, wherever it is put.

    Where more than ``CALLS`` are ready it is taken for granted that no instance gets more than so many at once.
    """
    mine = memory.planner
    room = mine.room[0]
    calls = min(mine.ready[0].ordered + mine.ready[0].rest + mine.ranks[0].calls, CALLS) + 1
    if not _enough(room, calls) and not 0 <= seen.clock[0].epoch - room.epoch < RETRY:
        room.epoch = seen.clock[0].epoch
        _count_room(mine.room, seen.decodes, mine.decodes)
    room.ample = 1 if _enough(room, calls) else 0


@kernel
def _count_room(rooms, decodes, outlooks):
    room = rooms[0]
    room.slots = 2**62
    room.free = math.inf
    for j in range(decodes.shape[0]):
        decode = decodes[j]
        outlook = outlooks[j]
        room.slots = min(room.slots, decode.max_batch - decode.admitted - outlook.planned)
        room.free = min(room.free, decode.kv_capacity - decode.reserved - outlook.planned_tokens)
    room.at = room.plans
    room.tokens_at = room.tokens


@kernel
def _enough(room, calls):
    """What the bounds say now."""
    slots = room.slots - (room.plans - room.at)
    free = room.free - (room.tokens - room.tokens_at)
    return slots >= calls and free >= calls * room.largest
