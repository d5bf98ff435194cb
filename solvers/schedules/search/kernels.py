"""The planner of HexAGenT with what a clairvoyant adds: priorities and due times of its own, allowed kinds, crowding.

The engine's own physics carries every decision out, so a run is a schedule that the model allows, whatever the plan.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import entry, kernel
from hexsched.engine.loop import admit, advance, has_room, largest_room, start_prefill
from hexsched.engine.physics import iteration_seconds, prefill_seconds, transfer_seconds
from hexsched.policies.commitment import plan_on, unplan
from hexsched.policies.decide import asks_for_decision
from hexsched.policies.projection import (
    count_on,
    decode_seconds,
    find_first_decode,
    find_first_decodes,
    find_first_prefill,
    find_first_prefills,
    find_pace,
    forget_projections,
    project,
    room_wait,
)
from hexsched.policies.replay import replay

LAST_BIT = 62  # kinds beyond it share it
GOING, DONE, TOO_LATE = 0, 1, 2  # of a run

ROW = np.dtype(
    [
        ("first", "f8"),  # priority before prefill, the least first
        ("then", "f8"),  # priority before admission
        ("prefills", "i8"),  # bits: kinds of prefill instances it may use
        ("decodes", "i8"),  # bits: kinds of decode instances it may use
        ("due", "f8"),  # an end before then counts as one at that time
    ],
    align=True,
)


@entry
def run_plan(
    state: Any, settings: Any, rows: Any, crowding: float, due: Any, by_due: Any, calls_from: Any, late_allowed: int,
    of_interest: int,
) -> bool:  # fmt: skip
    """Run a fresh state; False as soon as more than ``late_allowed`` workflows are late.

    Parameters
    ----------
    state : State
    settings : (1,) SETTINGS
        Of a policy with all terms of the projection on.
    rows : (N,) ROW
    crowding : float
        Weight of the seconds by which a call on a decode instance holds up those already there.
    due, by_due : (W,) arrays
        When each workflow is late, seconds, and the workflows in that order.
    calls_from : (W + 1,) int array
        Workflow w has the calls from ``calls_from[w]`` to ``calls_from[w + 1] - 1``.
    late_allowed : int
    of_interest : int
        The run ends with the completion of so many calls.
    """
    status, looked_at, late = GOING, 0, 0
    while status == GOING:
        status, of_interest, looked_at, late = _go_on(
            state, due, by_due, calls_from, late_allowed, of_interest, looked_at, late
        )
        if status == GOING and asks_for_decision(state.board.clock[0]):
            _decide(state, settings[0], rows, crowding)
    return status == DONE


@entry
def run_orders(
    state: Any, orders: Any, due: Any, by_due: Any, calls_from: Any, late_allowed: int, of_interest: int
) -> bool:
    """Run a fresh state with every call's place, and the order of calls at each, given; otherwise as ``run_plan``."""
    status, looked_at, late = GOING, 0, 0
    while status == GOING:
        status, of_interest, looked_at, late = _go_on(
            state, due, by_due, calls_from, late_allowed, of_interest, looked_at, late
        )
        if status == GOING:
            replay(state, orders)
    return status == DONE


@kernel
def _go_on(
    state: Any, due: Any, by_due: Any, calls_from: Any, late_allowed: int, of_interest: int, looked_at: int, late: int
) -> Any:
    """Move to the next decision epoch, unless the run is over.

    Returns the status, for how many more completions to wait, how many workflows were due by now, and how many of them
    were not through then.
    """
    if not advance(state):
        return DONE, of_interest, looked_at, late
    board = state.board
    of_interest -= board.clock[0].completed
    if of_interest <= 0:
        return DONE, of_interest, looked_at, late
    while looked_at < by_due.shape[0] and due[by_due[looked_at]] < board.clock[0].now:
        w = by_due[looked_at]
        looked_at += 1
        for c in range(calls_from[w], calls_from[w + 1]):
            if board.calls[c].decode_instance < 0 or not 0.0 < board.calls[c].decode_end <= due[w]:
                late += 1
                break
        if late > late_allowed:
            return TOO_LATE, of_interest, looked_at, late
    return GOING, of_interest, looked_at, late


@kernel
def _decide(state: Any, settings: Any, rows: Any, crowding: float) -> None:
    """One decision epoch, as ``hexsched.policies.planner.plan``, but no admission has precedence over another."""
    board = state.board
    clock = board.clock[0]
    if clock.waiting + clock.prefilled > 0 and (clock.prefilled > 0 or clock.completed > 0):
        for k in range(clock.prefilled):
            board.lists[clock.waiting].waiting = board.lists[k].prefilled
            clock.waiting += 1
        _admit_waiting(state, settings, rows, crowding)
    for k in range(clock.released):
        board.lists[clock.ready].ready = board.lists[k].released
        clock.ready += 1
    if clock.ready > 0:
        _start_ready(state, settings, rows, crowding)


@kernel
def _start_ready(state: Any, settings: Any, rows: Any, crowding: float) -> None:
    """Plan ready calls in order and start those that land on an idle prefill instance."""
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
        heap_push(board.plan, size, rows[c].first, c)
        size += 1
    planned_ahead = False
    while idle > 0 and size > 0:
        c = heap_pop(board.plan, size)
        size -= 1
        call = board.calls[c]
        i, j = _best_pair(board, settings, rows[c], crowding, c)
        if board.prefills[i].running < 0:
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
def _best_pair(board: Any, settings: Any, row: Any, crowding: float, c: int) -> Any:
    """The allowed (i, j) on which ready call ``c`` is projected to finish first, crowding counted.

    Nothing is gained by a finish before it is due: then what it holds up decides.
    """
    call = board.calls[c]
    due = row.due - board.clock[0].now
    best_i = -1
    best_j = -1
    least = math.inf
    for j in range(board.decodes.shape[0]):
        kind = board.decodes[j].kind
        if not _allows(row.decodes, kind) or board.decodes[j].kv_capacity < call.needs_capacity:
            continue
        first = board.decode_first[kind]
        if crowding == 0.0 and j != first:
            row_of_first = project(board, first)
            if row_of_first.free >= call.n + call.estimate and row_of_first.slots > 0:
                continue  # its twin is at least as good
        room_at = room_wait(board, settings, c, j)
        seconds = decode_seconds(board, c, j)
        held_up = crowding * _holdup(board, c, j)
        for p in range(board.prefill_first.shape[0]):
            if _allows(row.prefills, p):
                i = board.prefill_first[p]
                prefilled_at = board.prefills[i].wait + prefill_seconds(board.prefills[i], call.n, call.h)
                end = max(prefilled_at, room_at) + transfer_seconds(board, i, j, call.n) + seconds
                cost = max(end, due) + held_up
                if best_i < 0 or cost < least:
                    best_i = i
                    best_j = j
                    least = cost
    return best_i, best_j


@kernel
def _allows(bits: int, kind: int) -> bool:
    return (bits >> min(kind, LAST_BIT)) & 1 == 1


@kernel
def _holdup(board: Any, c: int, j: int) -> float:
    """Seconds by which call ``c`` on ``j`` holds up the calls there in all, were they to stay as long as it does."""
    if board.clock[0].fixed:
        return 0.0
    row = project(board, j)
    call = board.calls[c]
    with_it = iteration_seconds(board, j, row.batch + 1, row.kv + call.n)
    without = iteration_seconds(board, j, max(row.batch, 1), row.kv)
    return (with_it - without) * row.batch * call.estimate


@kernel
def _admit_waiting(state: Any, settings: Any, rows: Any, crowding: float) -> None:
    """Admit prefilled calls in order, each to the allowed instance with room on which it finishes first."""
    board = state.board
    clock = board.clock[0]
    room = largest_room(state)
    smallest = room + 1
    size = 0
    for k in range(clock.waiting):
        c = board.lists[k].waiting
        need = state.calls[c].n + state.calls[c].m
        if need <= room:
            heap_push(board.plan, size, rows[c].then, c)
            size += 1
            smallest = min(smallest, need)
    while size > 0 and smallest <= room:
        c = heap_pop(board.plan, size)
        size -= 1
        if state.calls[c].n + state.calls[c].m > room:
            continue
        planned = board.calls[c].planned
        unplan(board, c)
        j = _best_decode_with_room(state, settings, rows[c], crowding, c)
        if j < 0:
            plan_on(board, c, planned)
        else:
            admit(state, c, j)
            board.projections[j].epoch = -1
            room = largest_room(state)
    kept = 0
    for k in range(clock.waiting):
        c = board.lists[k].waiting
        if board.calls[c].decode_instance < 0:
            board.lists[kept].waiting = c
            kept += 1
    clock.waiting = kept


@kernel
def _best_decode_with_room(state: Any, settings: Any, row: Any, crowding: float, c: int) -> int:
    """Of the allowed decode instances that can admit ``c`` now, the one of least projected cost; -1 without one."""
    board = state.board
    call = board.calls[c]
    due = row.due - board.clock[0].now
    best = -1
    least = math.inf
    for j in range(board.decodes.shape[0]):
        if _allows(row.decodes, board.decodes[j].kind) and has_room(state, c, j):
            seconds = transfer_seconds(board, call.prefill_instance, j, call.n) + decode_seconds(board, c, j)
            cost = max(seconds, due) + crowding * _holdup(board, c, j)
            if best < 0 or cost < least:
                best = j
                least = cost
    return best
