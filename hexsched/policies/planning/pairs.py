"""The pair of instances that a preference likes best for a ready call."""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel
from hexsched.engine.physics import prefill_seconds
from hexsched.policies.parts.order import DECODE, PREFILL, Kernel
from hexsched.policies.planning.paces import begin_look, next_to_look_at
from hexsched.policies.planning.preference import Preference
from hexsched.policies.planning.projection import decode_seconds, project, room_wait, soonest_finish, transfer


def pair_finder(preference: Preference) -> Kernel:
    """The kernel ``(seen, memory, wish, c) -> (i, j, cost)``; (-1, -1, inf) where nothing is allowed.

    ``find_first_prefills`` and ``find_first_decodes`` must have been called since anything changed: of instances of
    one kind only the first need be looked at, unless the call would wait for room there.
    """
    allows, twins_alike, tie = preference.allows, preference.twins_alike, preference.tie
    aside_of, cost_of, settings_of = preference.aside, preference.cost, preference.settings

    @kernel
    def best_prefill(seen, memory, wish, c, j):
        """The prefill instance from which call ``c`` costs least on decode instance ``j``, and that cost."""
        call = seen.calls[c]
        settings = settings_of(wish)
        mine = memory.planner
        room_at = room_wait(seen, memory, settings, c, j)
        seconds = decode_seconds(seen, memory, c, j)
        aside = aside_of(seen, memory, wish, c, j)
        best = -1
        least = math.inf
        for kind in range(mine.prefill_first.shape[0]):
            if mine.ready_at[kind] == math.inf:
                continue
            i = mine.prefill_first[kind]
            finish = max(mine.ready_at[kind], room_at) + transfer(seen, settings, i, j, call.n) + seconds
            cost = cost_of(seen, wish, c, finish, aside)
            if cost < least:
                best = i
                least = cost
        return best, least

    @kernel
    def best_pair(seen, memory, wish, c):
        call = seen.calls[c]
        need = call.n + call.estimate
        settings = settings_of(wish)
        best_i = -1
        best_j = -1
        least = math.inf
        soonest = math.inf
        for kind in range(memory.planner.prefill_first.shape[0]):
            memory.planner.ready_at[kind] = math.inf
            if allows(wish, c, PREFILL, kind):
                i = memory.planner.prefill_first[kind]
                wait = memory.planner.prefills[i].wait
                memory.planner.ready_at[kind] = wait + prefill_seconds(seen.prefills[i], call.n, call.h)
                soonest = min(soonest, memory.planner.ready_at[kind])
        for kind in range(memory.planner.decode_first.shape[0]):
            first = memory.planner.decode_first[kind]
            if not allows(wish, c, DECODE, kind) or seen.decodes[first].kv_capacity < call.needs_capacity:
                continue
            row = project(seen, memory, first)
            if twins_alike(wish) and (settings.kv == 0 or (row.free >= need and row.slots > 0)):
                i, cost = best_prefill(seen, memory, wish, c, first)
                if cost < least or (cost == least and tie(first) < tie(best_j)):
                    best_i = i
                    best_j = first
                    least = cost
                continue
            from_here = -1  # among equals of one kind the first in number is taken
            begin_look(seen, memory, twins_alike(wish))
            while True:
                j = next_to_look_at(seen, memory, c, kind, least)
                if j < 0:
                    break
                if twins_alike(wish) and soonest_finish(seen, memory, settings, c, j, soonest) > least:
                    continue
                i, cost = best_prefill(seen, memory, wish, c, j)
                if cost < least or (cost == least and (tie(j) < tie(best_j) or j < from_here)):
                    best_i = i
                    best_j = j
                    least = cost
                    from_here = j
        return best_i, best_j, least

    return best_pair
