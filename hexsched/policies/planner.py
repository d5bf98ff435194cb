"""Order x placement, planned anew at every epoch: the greedy placement of HexAGenT (model.md section 5).

Ready calls stay on a central list. When a prefill instance is idle, they are taken in order; each is put on the pair
of least projected finish and makes that pair's waits longer for those after it. What lands on an idle instance starts;
the rest was only a plan, and is made again at the next epoch.
"""

from __future__ import annotations

import math

from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import kernel
from hexsched.engine.loop import admit, has_room, largest_room, start_prefill
from hexsched.engine.physics import prefill_seconds
from hexsched.policies.commitment import plan_on, unplan
from hexsched.policies.orders import order_key
from hexsched.policies.orders.plas import note_entry, note_service
from hexsched.policies.projection import (
    best_decode,
    best_pair,
    count_on,
    decode_seconds,
    find_first_decode,
    find_first_decodes,
    find_first_prefill,
    find_first_prefills,
    find_pace,
    forget_projections,
    kv_load,
    transfer,
)
from hexsched.policies.settings import DECODE, PREFILL


@kernel
def plan(state, settings):
    """One decision epoch. Calls already prefilled come first: what they take is not there for new plans."""
    board = state.board
    clock = board.clock[0]
    if clock.waiting + clock.prefilled > 0 and (clock.prefilled > 0 or clock.completed > 0):
        admit_waiting(state, settings)
    for k in range(clock.released):
        c = board.lists[k].released
        note_entry(board, settings, c)
        board.lists[clock.ready].ready = c
        clock.ready += 1
    if clock.ready > 0:
        start_ready(state, settings)


@kernel
def start_ready(state, settings):
    """Plan all ready calls and start those that land on an idle prefill instance."""
    board = state.board
    clock = board.clock[0]
    idle = 0
    for i in range(board.prefills.shape[0]):
        prefill = board.prefills[i]
        if prefill.running < 0:
            idle += 1
            prefill.wait = 0.0
        else:
            prefill.wait = prefill.busy_until - clock.now
    if idle == 0:
        return
    find_first_prefills(board)
    find_first_decodes(board)
    size = 0
    for k in range(clock.ready):
        c = board.lists[k].ready
        if settings.needs_delta == 1:
            _, _, delta = best_pair(board, settings, c)
            board.calls[c].delta = delta
        heap_push(board.plan, size, order_key(board, settings, c, PREFILL), c)
        size += 1
    planned_ahead = False
    while idle > 0 and size > 0:
        c = heap_pop(board.plan, size)
        size -= 1
        call = board.calls[c]
        i, j, _ = choose_pair(board, settings, c)
        if board.prefills[i].running < 0:
            note_service(board, settings, c)
            plan_on(board, c, j)
            start_prefill(state, c, i)
            idle -= 1
        else:
            count_on(board, c, j)
            planned_ahead = True
        board.prefills[i].wait += prefill_seconds(board.prefills[i], call.n, call.h)
        find_first_prefill(board, board.prefills[i].kind)
        find_pace(board, j)
        find_first_decode(board, board.decodes[j].kind)
    if planned_ahead:  # those were only plans
        forget_projections(board)
    kept = 0
    for k in range(clock.ready):
        c = board.lists[k].ready
        if board.calls[c].prefill_instance < 0:
            board.lists[kept].ready = c
            kept += 1
    clock.ready = kept


@kernel
def choose_pair(board, settings, c):
    """The pair of least Delta, or (ablation) the least loaded instance of each pool; and Delta."""
    i, j, delta = best_pair(board, settings, c)
    if settings.joint == 1:
        return i, j, delta
    i = 0
    for k in range(board.prefills.shape[0]):
        if board.prefills[k].wait < board.prefills[i].wait:
            i = k
    j = -1
    for k in range(board.decodes.shape[0]):
        if board.decodes[k].kv_capacity >= board.calls[c].needs_capacity and (
            j < 0 or kv_load(board, k) < kv_load(board, j)
        ):
            j = k
    return i, j, delta


@kernel
def admit_waiting(state, settings):
    """Admit prefilled calls: first those left over from earlier epochs, then the new ones, each in order."""
    board = state.board
    clock = board.clock[0]
    left_over = clock.waiting
    for k in range(clock.prefilled):
        c = board.lists[k].prefilled
        note_entry(board, settings, c)
        board.lists[clock.waiting].waiting = c
        clock.waiting += 1
    admit_in_order(state, settings, 0, left_over)
    admit_in_order(state, settings, left_over, clock.waiting)
    kept = 0
    for k in range(clock.waiting):
        c = board.lists[k].waiting
        if board.calls[c].decode_instance < 0:
            board.lists[kept].waiting = c
            kept += 1
    clock.waiting = kept


@kernel
def admit_in_order(state, settings, first, last):
    """Admit what fits of ``waiting[first:last]``, in order; the rest stays, counted where it would finish first."""
    board = state.board
    room = largest_room(state)
    smallest = room + 1
    size = 0
    for k in range(first, last):
        c = board.lists[k].waiting
        call = board.calls[c]
        fresh = call.entered == board.clock[0].now
        need = state.calls[c].n + state.calls[c].m
        if fresh or (need <= room and settings.needs_delta == 1):
            unplan(board, c)
            j, delta = best_decode(board, settings, c)
            call.delta = delta
            plan_on(board, c, j)
        if need <= room:
            heap_push(board.plan, size, order_key(board, settings, c, DECODE), c)
            size += 1
            smallest = min(smallest, need)
    while size > 0 and smallest <= room:
        c = heap_pop(board.plan, size)
        size -= 1
        if state.calls[c].n + state.calls[c].m > room:
            continue
        planned = board.calls[c].planned
        unplan(board, c)
        j = best_decode_with_room(state, settings, c)
        if j < 0:
            plan_on(board, c, planned)
        else:
            note_service(board, settings, c)
            admit(state, c, j)
            board.projections[j].epoch = -1
            room = largest_room(state)


@kernel
def best_decode_with_room(state, settings, c):
    """Of the decode instances that can admit ``c`` now, the one of least projected finish; -1 when there is none."""
    board = state.board
    call = board.calls[c]
    best = -1
    least = math.inf
    for j in range(board.decodes.shape[0]):
        if has_room(state, c, j):
            if settings.joint == 1:
                cost = transfer(board, settings, call.prefill_instance, j, call.n) + decode_seconds(board, c, j)
            else:
                cost = kv_load(board, j)
            if best < 0 or cost < least:
                best = j
                least = cost
    return best
