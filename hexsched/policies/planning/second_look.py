"""Prefilled calls that wait for room are placed anew at each completion (model M24), and nearly all of them stay.

Each one is counted for a decode instance. To place it anew is to take it away, to see where it would finish first, and
to count it there. Here that is seen without taking it away: on its own instance it finds one place and its own tokens
more than there are, on all others what there is. Where it stays nothing has to be written, as long as taking it away
and putting it back would leave every sum as it is, to the last bit.
"""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel
from hexsched.engine.physics import iteration_seconds
from hexsched.policies.planning.projection import project, transfer, wait_for_room

MOST = 32  # decode instances, all of which are looked at; of more than that a tournament leaves most out


@kernel
def sums_stay(row, n, need):
    """Whether sums stay as they are when a call is taken away from an instance and put back."""
    rest = row.planned_tokens - need if row.planned > 1 else 0.0
    return rest + need == row.planned_tokens and (row.free + need) - need == row.free and (row.kv - n) + n == row.kv


@kernel
def best_decode_of_counted(seen, memory, settings, c):
    """Where call ``c`` would finish first were it not counted for any instance, and in how many seconds.

    Returns
    -------
    best, least : (int, float)
        -1 and inf where that is not told without taking it away.
    """
    mine = memory.planner
    epoch = seen.clock[0].epoch
    own = memory.calls[c].planned
    best = -1
    least = math.inf
    if own < 0 or mine.lists[0].swept != epoch or seen.decodes.shape[0] > MOST:
        return best, least
    call = seen.calls[c]
    need = call.n + call.estimate
    if mine.decodes[own].epoch != epoch or not sums_stay(mine.decodes[own], call.n, need):
        return best, least
    for j in range(seen.decodes.shape[0]):
        if seen.decodes[j].kv_capacity < call.needs_capacity:
            continue
        row = mine.decodes[j]
        if row.epoch == -1:  # whatever is worked out late is worked out from sums that changed before
            best = -1
            least = math.inf
            break
        project(seen, memory, j)
        free = row.free
        slots = row.slots
        batch = row.batch + 1
        kv = row.kv + call.n
        if j == own:
            free += need
            slots += 1
            batch -= 1
            kv = row.kv
        seconds = call.estimate * iteration_seconds(seen, j, batch, kv)
        wait = 0.0
        if settings.kv == 1 and (free < need or slots <= 0):
            wait = wait_for_room(seen, memory, j, need, free, slots, seconds)
        finish = wait + transfer(seen, settings, call.prefill_instance, j, call.n) + seconds
        if best < 0 or finish < least:
            best = j
            least = finish
    return best, least
