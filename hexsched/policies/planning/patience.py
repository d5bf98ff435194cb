"""Which ready calls wait for a busy instance although another one is idle, told without planning.

Counting. Say that, looked at from a call that stands p-th in order (from 0), more than p instances would have its
prefill done at least as early as any idle one would. Each call before it is planned on one instance, so one of the p +
1 is left as it is when the call's turn comes, whatever those before it chose, and the call will not start on an idle
one (``memory.beats`` says between which kinds that follows). Such a call needs no plan unless one behind it does. How
many such instances there are falls by at most one with each call that starts, and time makes busy instances free
earlier, so an old count less the number of starts since is a lower bound.

Rehearsing. Where counting does not tell, prefills alone are planned, which is the whole plan as far as these are
concerned if links from all busy kinds are the same and no call has to wait for room. What a rehearsal says holds until
a call comes in between, or one starts on an instance that was idle before, since all others do as they rehearsed.
"""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel
from hexsched.engine.physics import prefill_seconds
from hexsched.policies.parts.order import PREFILL, Kernel
from hexsched.policies.planning.preference import Preference
from hexsched.policies.planning.prefills import MOST_KINDS, NO, STRICTLY, give_work

MARGIN = 1e-9  # of a projected finish: far more than rounding takes away


@kernel
def ending_until(line, low, high, now, seconds, latest):
    """Up to where in a line work of so many seconds would be done at ``latest`` seconds from now."""
    while low < high:
        middle = (low + high) // 2
        if (line[middle].key - now) + seconds <= latest:
            low = middle + 1
        else:
            high = middle
    return low


def patience(preference: Preference) -> tuple[Kernel, Kernel]:
    """Two kernels: whether a call waits, told by counting, and the same by rehearsing.

    Returns
    -------
    waits : ``(seen, memory, wish, c, before) -> bool``
        False where counting does not tell; ``before`` calls stand before c.
    rehearse : ``(seen, memory, wish, c) -> bool``
        For the call after those that were rehearsed before; False where it may start, or rehearsing does not tell.
    """
    allows = preference.allows

    @kernel
    def count_better(seen, memory, wish, c, idle_kind):
        """How many instances beat an idle one of that kind for call ``c``."""
        mine = memory.planner
        call = seen.calls[c]
        first = mine.idle[idle_kind, 0].code
        alone = prefill_seconds(seen.prefills[first], call.n, call.h)
        before = alone - MARGIN * (alone + call.estimate * mine.slowest[0])
        count = 0
        for kind in range(mine.prefill_kinds.shape[0]):
            row = mine.prefill_kinds[kind]
            if mine.beats[idle_kind, kind] == NO or not allows(wish, c, PREFILL, kind):
                continue
            if row.idle == 0 and row.first == row.last:
                continue
            one = mine.idle[kind, 0].code if row.idle > 0 else mine.ends[kind, row.first].code
            seconds = prefill_seconds(seen.prefills[one], call.n, call.h)
            latest = alone
            if mine.beats[idle_kind, kind] == STRICTLY:
                latest = before
            if seconds > latest:
                continue
            if mine.beats[idle_kind, kind] == STRICTLY:
                if mine.room[0].ample == 0:
                    continue
                mine.reach[c].needs_room = 1
            last = ending_until(mine.ends[kind], row.first, row.last, seen.clock[0].now, seconds, latest)
            count += row.idle + last - row.first
        return count

    @kernel
    def waits(seen, memory, wish, c, before):
        mine = memory.planner
        starts = mine.starts[0]
        reach = mine.reach[c]
        if starts.idle_kinds & ~reach.rehearsal_idle == 0 and reach.rehearsal == starts.rehearsal:
            return True
        holds = reach.needs_room == 0 or mine.room[0].ample == 1
        if holds and starts.idle_kinds & ~reach.idle == 0 and reach.machines - (starts.total - reach.starts) > before:
            return True
        machines = seen.prefills.shape[0]
        reach.needs_room = 0
        reach.machines = 0  # until all is counted
        if mine.prefill_kinds.shape[0] > MOST_KINDS:
            return False
        for kind in range(mine.prefill_kinds.shape[0]):
            if mine.prefill_kinds[kind].idle > 0 and allows(wish, c, PREFILL, kind):
                machines = min(machines, count_better(seen, memory, wish, c, kind))
                if machines <= before:
                    return False
        reach.machines = machines
        reach.starts = starts.total
        reach.idle = starts.idle_kinds
        return True

    @kernel
    def rehearse(seen, memory, wish, c):
        mine = memory.planner
        call = seen.calls[c]
        one = -1
        best = -1
        least = math.inf
        second = math.inf
        for kind in range(mine.prefill_kinds.shape[0]):
            if mine.prefill_kinds[kind].idle > 0 or not allows(wish, c, PREFILL, kind):
                continue
            if one >= 0 and mine.alike[one, kind] == 0:
                return False
            one = kind
            i = mine.prefill_first[kind]
            done = mine.prefills[i].wait + prefill_seconds(seen.prefills[i], call.n, call.h)
            if done < least:
                best = kind
                second = least
                least = done
            else:
                second = min(second, done)
        uncertain = MARGIN * (least + call.estimate * mine.slowest[0])
        if best < 0 or second - least <= uncertain:
            return False
        for kind in range(mine.prefill_kinds.shape[0]):
            if mine.prefill_kinds[kind].idle > 0 and allows(wish, c, PREFILL, kind):
                alone = prefill_seconds(seen.prefills[mine.idle[kind, 0].code], call.n, call.h)
                if mine.beats[kind, best] == STRICTLY:
                    alone -= uncertain
                if mine.beats[kind, best] == NO or least > alone:
                    return False
        i = mine.prefill_first[best]
        give_work(seen, memory, i, prefill_seconds(seen.prefills[i], call.n, call.h))
        mine.reach[c].rehearsal = mine.starts[0].rehearsal
        mine.reach[c].rehearsal_idle = mine.starts[0].idle_kinds
        return True

    return waits, rehearse
