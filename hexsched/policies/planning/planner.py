"""The planner: ready calls are placed anew at every epoch, the greedy way of HexAGenT (model M23, M24).

Ready calls stay on a central list. When a prefill instance is idle, they are taken in order; each is put on the pair
of least cost and makes that pair's waits longer for those after it. What lands on an idle instance starts; the rest was
only a plan, and is made again at the next epoch.
"""

from __future__ import annotations

import math

from hexsched.engine.actions import admit, has_room, largest_room, start_prefill, tokens_to_reserve
from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import kernel
from hexsched.engine.physics import prefill_seconds
from hexsched.policies.parts.order import DECODE, PREFILL, Kernel
from hexsched.policies.planning.commitment import plan_on, unplan
from hexsched.policies.planning.pairs import pair_finder
from hexsched.policies.planning.preference import Preference
from hexsched.policies.planning.projection import (
    count_on,
    find_first_decode,
    find_first_decodes,
    find_first_prefill,
    find_first_prefills,
    find_pace,
    forget_projections,
)


def planner(preference: Preference) -> Kernel:
    """The kernel ``(actions, seen, memory, wish)`` that makes the decisions of one epoch by a preference."""
    best_pair = pair_finder(preference)
    key, settings_of, allows, settle = preference.key, preference.settings, preference.allows, preference.settle
    decode_cost, reconsider, left_over_first = preference.decode_cost, preference.reconsider, preference.left_over_first
    note_entry, note_service = preference.note_entry, preference.note_service

    @kernel
    def start_ready(actions, seen, memory, wish):
        """Plan all ready calls and start those that land on an idle prefill instance."""
        clock = seen.clock[0]
        mine = memory.planner
        lists = mine.lists[0]
        idle = 0
        for i in range(seen.prefills.shape[0]):
            if seen.prefills[i].running < 0:
                idle += 1
                mine.prefills[i].wait = 0.0
            else:
                mine.prefills[i].wait = seen.prefills[i].busy_until - clock.now
        if idle == 0:
            return
        find_first_prefills(seen, memory)
        find_first_decodes(seen, memory)
        size = 0
        for k in range(lists.ready):
            c = mine.ready[k]
            if settings_of(wish).looks_ahead == 1:
                _, _, finish = best_pair(seen, memory, wish, c)
                memory.calls[c].delta = finish
            heap_push(mine.heap, size, key(seen, memory, wish, c, PREFILL), c)
            size += 1
        planned_ahead = False
        while idle > 0 and size > 0:
            c = heap_pop(mine.heap, size)
            size -= 1
            call = seen.calls[c]
            i, j, _ = best_pair(seen, memory, wish, c)
            i, j = settle(seen, memory, wish, c, i, j)
            if seen.prefills[i].running < 0:
                note_service(seen, memory, wish, c)
                plan_on(seen, memory, c, j)
                start_prefill(actions, c, i)
                idle -= 1
            else:
                count_on(seen, memory, c, j)
                planned_ahead = True
            mine.prefills[i].wait += prefill_seconds(seen.prefills[i], call.n, call.h)
            find_first_prefill(seen, memory, seen.prefills[i].kind)
            find_pace(seen, memory, j)
            find_first_decode(seen, memory, seen.decodes[j].kind)
        if planned_ahead:  # those were only plans
            forget_projections(memory)
        left = 0
        for k in range(lists.ready):
            c = mine.ready[k]
            if seen.calls[c].prefill_instance < 0:
                mine.ready[left] = c
                left += 1
        lists.ready = left

    @kernel
    def best_decode_with_room(actions, seen, memory, wish, c):
        """Of the allowed decode instances that can admit ``c`` now, the one of least cost; -1 without one."""
        best = -1
        least = math.inf
        for j in range(seen.decodes.shape[0]):
            if allows(wish, c, DECODE, seen.decodes[j].kind) and has_room(actions, c, j):
                cost = decode_cost(seen, memory, wish, c, j)
                if best < 0 or cost < least:
                    best = j
                    least = cost
        return best

    @kernel
    def admit_in_order(actions, seen, memory, wish, first, last):
        """Admit what fits of ``waiting[first:last]``, in order; the rest stays."""
        mine = memory.planner
        room = largest_room(actions)
        smallest = room + 1
        size = 0
        for k in range(first, last):
            c = mine.waiting[k]
            need = tokens_to_reserve(actions, c)
            reconsider(seen, memory, wish, c, need <= room)
            if need <= room:
                heap_push(mine.heap, size, key(seen, memory, wish, c, DECODE), c)
                size += 1
                smallest = min(smallest, need)
        while size > 0 and smallest <= room:
            c = heap_pop(mine.heap, size)
            size -= 1
            if tokens_to_reserve(actions, c) > room:
                continue
            planned = memory.calls[c].planned
            unplan(seen, memory, c)
            j = best_decode_with_room(actions, seen, memory, wish, c)
            if j < 0:
                plan_on(seen, memory, c, planned)
            else:
                note_service(seen, memory, wish, c)
                admit(actions, c, j)
                mine.decodes[j].epoch = -1
                room = largest_room(actions)

    @kernel
    def admit_waiting(actions, seen, memory, wish):
        """Admit prefilled calls: those left over from earlier epochs, and the new ones."""
        mine = memory.planner
        lists = mine.lists[0]
        left_over = lists.waiting
        for k in range(seen.clock[0].prefilled):
            c = seen.prefilled[k]
            memory.calls[c].entered = seen.clock[0].now
            note_entry(seen, memory, wish, c)
            mine.waiting[lists.waiting] = c
            lists.waiting += 1
        if left_over_first:
            admit_in_order(actions, seen, memory, wish, 0, left_over)
            admit_in_order(actions, seen, memory, wish, left_over, lists.waiting)
        else:
            admit_in_order(actions, seen, memory, wish, 0, lists.waiting)
        left = 0
        for k in range(lists.waiting):
            c = mine.waiting[k]
            if seen.calls[c].decode_instance < 0:
                mine.waiting[left] = c
                left += 1
        lists.waiting = left

    @kernel
    def plan(actions, seen, memory, wish):
        # calls already prefilled come first: what they take is not there for new plans
        clock = seen.clock[0]
        lists = memory.planner.lists[0]
        if lists.waiting + clock.prefilled > 0 and (clock.prefilled > 0 or clock.completed > 0):
            admit_waiting(actions, seen, memory, wish)
        for k in range(clock.released):
            c = seen.released[k]
            memory.calls[c].entered = clock.now
            note_entry(seen, memory, wish, c)
            memory.planner.ready[lists.ready] = c
            lists.ready += 1
        if lists.ready > 0:
            start_ready(actions, seen, memory, wish)

    return plan
