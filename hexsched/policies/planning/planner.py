"""The planner: ready calls are placed anew at every epoch, the greedy way of HexAGenT (model M23, M24).

Ready calls stay on a central list. When a prefill instance is idle, they are taken in order; each is put on the pair
of least cost and makes that pair's waits longer for those after it. What lands on an idle instance starts; the rest was
only a plan, and is made again at the next epoch.
"""

from __future__ import annotations

import math

from hexsched.engine.actions import (
    LINE_BLOCK,
    admit,
    has_room,
    largest_room,
    none_fits,
    note_least_need,
    start_prefill,
    tokens_to_reserve,
)
from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import kernel
from hexsched.engine.physics import prefill_seconds
from hexsched.policies.parts.order import DECODE, KEY_CHANGES, PREFILL, Kernel, nothing
from hexsched.policies.planning.blocks import empty_blocks, keep_unplanned, risk_order, take_out_started
from hexsched.policies.planning.commitment import count_on, forget_counted, plan_on, unplan
from hexsched.policies.planning.paces import (
    begin_look,
    find_first_decode,
    find_first_decodes,
    forget_pace,
    forget_paces_of_completed,
    next_to_look_at,
)
from hexsched.policies.planning.pairs import pair_finder
from hexsched.policies.planning.patience import patience
from hexsched.policies.planning.preference import Preference, never
from hexsched.policies.planning.prefills import (
    MOST_KINDS,
    end_plan,
    find_all_first_free,
    forget_rehearsal,
    give_work,
    note_ends,
)
from hexsched.policies.planning.projection import project
from hexsched.policies.planning.ready import enqueue, line_up, put_behind, ready_calls, remove_started, sort_queue
from hexsched.policies.planning.room import look_at_room, note_need, note_plan, note_start

MANY = 24  # ready calls: fewer are sooner planned than rehearsed and then planned


@kernel
def note_needs(actions, mine, first):
    """Note what calls from that place on need in the line of those that wait for admission."""
    last = mine.lists[0].waiting
    for block in range(first // LINE_BLOCK, (last + LINE_BLOCK - 1) // LINE_BLOCK):
        note_least_need(actions, mine.waiting, block, last)


@kernel
def close_gaps(actions, mine):
    """Have no empty places in that line."""
    lists = mine.lists[0]
    left = 0
    for k in range(lists.waiting):
        c = mine.waiting[k]
        if c >= 0:
            mine.waiting[left] = c
            mine.reach[c].place = left
            left += 1
    lists.waiting = left
    lists.gaps = 0
    note_needs(actions, mine, 0)


def planner(preference: Preference) -> Kernel:
    """The kernel ``(actions, seen, memory, wish)`` that makes the decisions of one epoch by a preference."""
    best_pair = pair_finder(preference)
    key, key_changes, settings_of = preference.key, preference.key_changes, preference.settings
    allows, settle, takes_best = preference.allows, preference.settle, preference.takes_best
    call_at = ready_calls(preference)
    by_risk = preference.by_risk
    begin_ranks, rank_more = (nothing, nothing) if by_risk is never else risk_order(preference, best_pair)
    waits, rehearse = patience(preference)
    decode_cost, reconsider, left_over_first = preference.decode_cost, preference.reconsider, preference.left_over_first
    note_entry, note_service = preference.note_entry, preference.note_service

    @kernel
    def plan_call(actions, seen, memory, wish, c):
        """Put call ``c`` on the pair it likes best; it starts if the prefill instance is idle."""
        call = seen.calls[c]
        i, j, _ = best_pair(seen, memory, wish, c)
        i, j = settle(seen, memory, wish, c, i, j)
        project(seen, memory, j)
        if memory.planner.ranks[0].calls > 0:
            keep_unplanned(memory, j, seen.clock[0].epoch)
        seconds = prefill_seconds(seen.prefills[i], call.n, call.h)
        if give_work(seen, memory, i, seconds):
            note_service(seen, memory, wish, c)
            plan_on(seen, memory, c, j)
            note_start(seen, memory, c)
            start_prefill(actions, c, i)
        else:
            count_on(seen, memory, c, j)
        find_first_decode(seen, memory, seen.decodes[j].kind)

    @kernel
    def sort_ready(seen, memory, wish):
        """Work all keys out and sort; how many calls might start, wherever they stand."""
        mine = memory.planner
        count = mine.ready[0].ordered + mine.ready[0].rest + mine.ranks[0].calls
        # more calls than instances: none can be told to wait wherever it stands
        if by_risk(memory, wish) and count > max(mine.ranks[0].few, seen.prefills.shape[0]):
            begin_ranks(seen, memory, wish)
            return count
        line_up(memory)
        empty_blocks(memory)
        may_start = count
        if takes_best(wish):
            may_start = 0
            for k in range(count):
                c = mine.queue[k].call
                patient = waits(seen, memory, wish, c, count - 1)
                mine.reach[c].patient = patient
                if not patient:
                    may_start += 1
        if may_start > 0:
            for k in range(count):
                c = mine.queue[k].call
                if settings_of(wish).looks_ahead == 1 and memory.counters[0].looks_aside == 0:
                    _, _, finish = best_pair(seen, memory, wish, c)
                    memory.calls[c].delta = finish
                mine.queue[k].key = key(seen, memory, wish, c, PREFILL)
            sort_queue(memory)
        return may_start

    @kernel
    def start_ready(actions, seen, memory, wish):
        """Plan ready calls as far as any may start, and start those that land on an idle prefill instance."""
        mine = memory.planner
        starts = mine.starts[0]
        ranks = mine.ranks[0]
        if starts.idle == 0 or mine.ready[0].ordered + mine.ready[0].rest + ranks.calls == 0:
            return
        look_at_room(seen, memory)
        found = False  # whether the first ones of each kind are known
        may_start = 1  # how many calls not looked at yet might, where that is known
        sorted_anew = key_changes(wish) == KEY_CHANGES
        if key_changes(wish) == KEY_CHANGES:
            find_all_first_free(seen, memory)
            find_first_decodes(seen, memory)
            found = True
            starts.rehearsal += 1
            may_start = sort_ready(seen, memory, wish)
        planned = 0  # calls planned, from the first in order on,
        rehearsed = 0  # ... and calls planned or rehearsed
        many = mine.ready[0].ordered + mine.ready[0].rest + ranks.calls >= MANY
        may_rehearse = many and takes_best(wish) and mine.room[0].ample == 1
        may_rehearse = may_rehearse and mine.prefill_kinds.shape[0] <= MOST_KINDS
        if not may_rehearse:
            starts.rehearsal += 1
        rank = 0
        while starts.idle > 0 and may_start > 0:
            if rank == mine.ready[0].ordered and ranks.calls > 0:
                rank_more(seen, memory, wish)
            c = call_at(seen, memory, wish, rank)
            if c < 0:
                break
            patient = False
            if sorted_anew and takes_best(wish):
                patient = mine.reach[c].patient == 1
                if not patient:
                    may_start -= 1
            if not patient and takes_best(wish):
                patient = waits(seen, memory, wish, c, rank)
            rank += 1
            if not patient and may_rehearse and planned == starts.now:
                if rehearsed == planned:
                    find_all_first_free(seen, memory)
                patient = True
                while patient and rehearsed < rank:
                    patient = rehearse(seen, memory, wish, mine.queue[mine.ready[0].first + rehearsed].call)
                    rehearsed += 1
                if not patient:  # what follows is for real
                    forget_rehearsal(seen, memory)
                    found = False
            if patient:
                continue
            if not found:
                find_all_first_free(seen, memory)
                find_first_decodes(seen, memory)
                found = True
            while planned < rank and starts.idle > 0:
                plan_call(actions, seen, memory, wish, mine.queue[mine.ready[0].first + planned].call)
                planned += 1
            rehearsed = planned
        if rehearsed > 0:
            forget_counted(seen, memory)
            end_plan(seen, memory)
            if ranks.calls == 0:
                remove_started(seen, memory, planned)
        if ranks.calls > 0:
            take_out_started(seen, memory, planned)

    @kernel
    def best_decode_with_room(actions, seen, memory, wish, c):
        """Of the allowed decode instances that can admit ``c`` now, the one of least cost; -1 without one."""
        best = -1
        least = math.inf
        for kind in range(memory.planner.decode_first.shape[0]):
            if not allows(wish, c, DECODE, kind):
                continue
            begin_look(seen, memory, takes_best(wish))
            while True:
                j = next_to_look_at(seen, memory, c, kind, least)
                if j < 0:
                    break
                if has_room(actions, c, j):
                    cost = decode_cost(seen, memory, wish, c, j)
                    if best < 0 or cost < least or (cost == least and j < best):
                        best = j
                        least = cost
        return best

    @kernel
    def admit_in_order(actions, seen, memory, wish, first, last, known):
        """Admit what fits of ``waiting[first:last]``, in order; those before ``known`` were there before."""
        mine = memory.planner
        room = largest_room(actions)
        smallest = room + 1
        size = 0
        k = first
        while k < last:
            if k % LINE_BLOCK == 0 and k + LINE_BLOCK <= known and none_fits(actions, k // LINE_BLOCK, room):
                k += LINE_BLOCK
                continue
            c = mine.waiting[k]
            k += 1
            if c < 0:
                continue
            need = tokens_to_reserve(actions, c)
            reconsider(seen, memory, wish, c, need <= room)
            if need <= room:
                heap_push(mine.admitting, size, key(seen, memory, wish, c, DECODE), c)
                size += 1
                smallest = min(smallest, need)
        while size > 0 and smallest <= room:
            c = heap_pop(mine.admitting, size)
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
                note_plan(seen, memory, j)
                forget_pace(seen, memory, j)
                place = mine.reach[c].place
                mine.waiting[place] = -1
                mine.lists[0].gaps += 1
                note_least_need(actions, mine.waiting, place // LINE_BLOCK, mine.lists[0].waiting)
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
            mine.reach[c].place = lists.waiting
            lists.waiting += 1
        note_needs(actions, mine, left_over)
        middle = left_over if left_over_first else 0
        for part in range(2):  # one after the other, or all at once
            first = 0 if part == 0 else middle
            last = middle if part == 0 else lists.waiting
            if first < last:
                admit_in_order(actions, seen, memory, wish, first, last, left_over)
        if 2 * lists.gaps > lists.waiting:
            close_gaps(actions, mine)

    @kernel
    def plan(actions, seen, memory, wish):
        # calls already prefilled come first: what they take is not there for new plans
        clock = seen.clock[0]
        lists = memory.planner.lists[0]
        forget_paces_of_completed(seen, memory)
        note_ends(seen, memory)
        if lists.waiting + clock.prefilled > 0 and (clock.prefilled > 0 or clock.completed > 0):
            admit_waiting(actions, seen, memory, wish)
        for k in range(clock.released):
            c = seen.released[k]
            memory.calls[c].entered = clock.now
            note_entry(seen, memory, wish, c)
            note_need(seen, memory, c)
            memory.planner.reach[c].machines = 0
            memory.planner.reach[c].starts = 0
            memory.planner.reach[c].rehearsal = -1
            memory.planner.reach[c].idle = 0
            if key_changes(wish) == KEY_CHANGES:
                put_behind(memory, c)
            else:
                enqueue(memory, key(seen, memory, wish, c, PREFILL), c)
        start_ready(actions, seen, memory, wish)

    return plan
