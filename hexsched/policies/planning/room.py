"""Whether every decode instance has room for all that a plan may put there, told from lower bounds.

Of what an instance has free only completions, and calls that are counted elsewhere, make more. So bounds on what each
of them has are lowered where a call is counted, to what is left there, and are right until they are counted anew.

What a plan may put on one instance is bounded too: k calls of all that are ready need at most k times the largest need,
and by Hoelder's inequality at most (k^3 S)^(1/4), where S is the sum of the fourth powers of the needs of all. So one
call of many tokens does not make all others large.
"""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel

CALLS = 32  # that one instance may get in one plan, where more than so many are ready
RETRY = 16  # decision epochs after which it is worth counting again
ROUNDING = 1e-6  # of what a plan needs: far more than rounding takes away from such a sum and its root


@kernel
def _fourth_power(call):
    """Of the KV tokens that a call needs."""
    square = (call.n + call.estimate) * (call.n + call.estimate)
    return square * square


@kernel
def note_need(seen, memory, c):
    """Call ``c`` is released, and not among ready ones yet."""
    mine = memory.planner
    room = mine.room[0]
    if mine.ready[0].ordered + mine.ready[0].rest + mine.ranks[0].calls == 0:
        room.fourths = 0.0  # rounding must not add up over a long run
    room.largest = max(room.largest, seen.calls[c].n + seen.calls[c].estimate)
    room.fourths += _fourth_power(seen.calls[c])


@kernel
def note_start(seen, memory, c):
    """Ready call ``c`` starts."""
    memory.planner.room[0].fourths -= _fourth_power(seen.calls[c])


@kernel
def note_plan(seen, memory, j):
    """One more call is counted for decode instance ``j``."""
    _lower_bounds(memory.planner.room, seen.decodes, memory.planner.decodes, j)


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
        room.slots = 2**62
        room.free = math.inf
        for j in range(seen.decodes.shape[0]):
            _lower_bounds(mine.room, seen.decodes, mine.decodes, j)
    room.ample = 1 if _enough(room, calls) else 0


@kernel
def _lower_bounds(rooms, decodes, outlooks, j):
    """No more is taken to be free anywhere than on decode instance ``j``."""
    room = rooms[0]
    decode = decodes[j]
    outlook = outlooks[j]
    room.slots = min(room.slots, decode.max_batch - decode.admitted - outlook.planned)
    room.free = min(room.free, decode.kv_capacity - decode.reserved - outlook.planned_tokens)


@kernel
def _enough(room, calls):
    """What the bounds say now."""
    if room.slots < calls:
        return False
    most = calls * room.largest
    if room.free >= most + ROUNDING * most:
        return True
    fourths = math.sqrt(math.sqrt(calls * (calls * (calls * max(room.fourths, 0.0)))))
    return room.free >= fourths + ROUNDING * most
