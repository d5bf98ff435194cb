"""When would a call finish on a pair of instances, as far as anyone can tell now?

Delta = (wait for i) + P_i + T_ij + (wait for KV room on j) + estimated output * tau_j at the batch it would join
(model.md section 5). Each decode instance has a row that is worked out once per decision epoch and updated as calls
are placed.
"""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel
from hexsched.engine.loop import iterations_since_settled
from hexsched.engine.physics import iteration_seconds, prefill_seconds, transfer_seconds


@kernel
def project(board, j):
    """The row of decode instance ``j`` for this epoch."""
    row = board.projections[j]
    if row.epoch != board.clock[0].epoch:
        decode = board.decodes[j]
        done = iterations_since_settled(board, j)
        row.epoch = board.clock[0].epoch
        row.iterations = decode.iterations + done
        row.free = decode.kv_capacity - decode.reserved - decode.planned_tokens
        row.slots = decode.max_batch - decode.admitted - decode.planned
        row.batch = decode.admitted + decode.planned
        row.held = decode.kv + decode.batch * done
        row.kv = row.held + decode.in_transfer + decode.planned_prompt
        row.sorted = 0
    return row


@kernel
def forget_projections(board):
    """Work every row out anew when it is next asked for."""
    for j in range(board.projections.shape[0]):
        board.projections[j].epoch = -1


@kernel
def count_on(board, c, j):
    """Count call ``c`` for ``j`` in this epoch's projection."""
    row = project(board, j)
    call = board.calls[c]
    row.free -= call.n + call.estimate
    row.slots -= 1
    row.batch += 1
    row.kv += call.n


@kernel
def decode_seconds(board, c, j):
    """Estimated output of ``c`` times the iteration time of the batch it would join on ``j``."""
    row = project(board, j)
    call = board.calls[c]
    return call.estimate * iteration_seconds(board, j, row.batch + 1, row.kv + call.n)


@kernel
def room_wait(board, settings, c, j):
    """Seconds from now until ``j`` has KV room and a place in the batch for ``c``, if calls leave as projected."""
    if settings.kv_term == 0:
        return 0.0
    row = project(board, j)
    call = board.calls[c]
    free = row.free
    slots = row.slots
    need = call.n + call.estimate
    if free >= need and slots > 0:
        return 0.0
    decode = board.decodes[j]
    wait = 0.0
    for k in range(decode.admitted):
        if k == row.sorted:
            _sort_one_more(board, j)
        wait = board.seats[j, k].finish_at
        free += board.seats[j, k].finish_tokens
        slots += 1
        if free >= need and slots > 0:
            return wait
    # everything that runs has left and calls planned before this one still fill j: they take turns of about its length
    turns = max((need - free) / decode.kv_capacity, (1 - slots) / decode.max_batch)
    return wait + max(turns, 0.0) * decode_seconds(board, c, j)


@kernel
def _sort_one_more(board, j):
    """Find the member of ``j`` that finishes next after those already in finishing order.

    A wait rarely looks at more than a few members, so selecting one at a time beats sorting all of them.
    """
    row = board.projections[j]
    decode = board.decodes[j]
    k = row.sorted
    if k == 0:  # first: everyone's projection, in no order
        tau = iteration_seconds(board, j, max(decode.batch, 1), row.held)
        for s in range(decode.admitted):
            call = board.calls[board.seats[j, s].member]
            board.seats[j, s].finish_at = _seconds_left(board, j, board.seats[j, s].member, tau)
            board.seats[j, s].finish_tokens = call.n + call.estimate
    best = k
    for s in range(k + 1, decode.admitted):
        if board.seats[j, s].finish_at < board.seats[j, best].finish_at:
            best = s
    seconds = board.seats[j, best].finish_at
    tokens = board.seats[j, best].finish_tokens
    board.seats[j, best].finish_at = board.seats[j, k].finish_at
    board.seats[j, best].finish_tokens = board.seats[j, k].finish_tokens
    board.seats[j, k].finish_at = seconds
    board.seats[j, k].finish_tokens = tokens
    row.sorted = k + 1


@kernel
def _seconds_left(board, j, c, tau):
    """Projected seconds to the completion of admitted call ``c``; an overdue one is thought to need one more token."""
    call = board.calls[c]
    now = board.clock[0].now
    if call.decode_start > now:
        return (call.decode_start - now) + call.estimate * tau
    if board.clock[0].fixed:
        done = (now - call.decode_start) / board.decodes[j].theta
    else:
        done = board.projections[j].iterations - call.joined
    return max(call.estimate - done, 1.0) * tau


@kernel
def transfer(board, settings, i, j, n):
    """T_ij as the policy sees it."""
    if settings.transfer_term == 0:
        return 0.0
    return transfer_seconds(board, i, j, n)


@kernel
def best_decode(board, settings, c):
    """For prefilled call ``c``: the decode instance of least projected finish, and that in seconds from now."""
    call = board.calls[c]
    best = -1
    least = math.inf
    for j in range(board.decodes.shape[0]):
        if board.decodes[j].kv_capacity >= call.needs_capacity:
            seconds = (
                room_wait(board, settings, c, j)
                + transfer(board, settings, call.prefill_instance, j, call.n)
                + decode_seconds(board, c, j)
            )
            if best < 0 or seconds < least:
                best = j
                least = seconds
    return best, least


@kernel
def find_first_prefills(board):
    """Of identical prefill instances only the one that is free first need be looked at."""
    for kind in range(board.prefill_first.shape[0]):
        find_first_prefill(board, kind)


@kernel
def find_first_prefill(board, kind):
    """The same for one kind, after the wait of one of its instances changed."""
    first = -1
    for i in range(board.prefills.shape[0]):
        prefill = board.prefills[i]
        if prefill.kind == kind and (first < 0 or prefill.wait < board.prefills[first].wait):
            first = i
    board.prefill_first[kind] = first


@kernel
def kv_load(board, j):
    """Share of the KV cache of ``j`` that is reserved or planned."""
    decode = board.decodes[j]
    return (decode.reserved + decode.planned_tokens) / decode.kv_capacity


@kernel
def find_first_decodes(board):
    """Of identical decode instances with room, the one with the fastest iterations beats the others for every call."""
    for j in range(board.decodes.shape[0]):
        find_pace(board, j)
    for kind in range(board.decode_first.shape[0]):
        find_first_decode(board, kind)


@kernel
def find_pace(board, j):
    """Work out what an iteration would take with one more call on ``j``."""
    row = project(board, j)
    row.pace = iteration_seconds(board, j, row.batch + 1, row.kv)


@kernel
def find_first_decode(board, kind):
    """The first of one kind, after the pace of one of its instances changed."""
    first = -1
    for j in range(board.decodes.shape[0]):
        if board.decodes[j].kind == kind and (first < 0 or board.projections[j].pace < board.projections[first].pace):
            first = j
    board.decode_first[kind] = first


@kernel
def best_pair(board, settings, c):
    """For ready call ``c``: the (i, j) of least Delta under the projected waits of the prefill instances, and Delta.

    ``find_first_prefills`` and ``find_first_decodes`` must have been called since anything changed: of instances of
    one kind only the first need be looked at, unless the call would wait for room there.
    """
    call = board.calls[c]
    need = call.n + call.estimate
    best_i = -1
    best_j = -1
    least = math.inf
    for kind in range(board.decode_first.shape[0]):
        first = board.decode_first[kind]
        if board.decodes[first].kv_capacity < call.needs_capacity:
            continue
        row = board.projections[first]
        if settings.kv_term == 0 or (row.free >= need and row.slots > 0):
            i, delta = best_prefill_for(board, settings, c, first)
            if delta < least:
                best_i = i
                best_j = first
                least = delta
            continue
        for j in range(board.decodes.shape[0]):
            if board.decodes[j].kind == kind:
                i, delta = best_prefill_for(board, settings, c, j)
                if delta < least:
                    best_i = i
                    best_j = j
                    least = delta
    return best_i, best_j, least


@kernel
def best_prefill_for(board, settings, c, j):
    """The prefill instance from which call ``c`` would complete first on decode instance ``j``, and Delta."""
    call = board.calls[c]
    room_at = room_wait(board, settings, c, j)
    seconds = decode_seconds(board, c, j)
    best = -1
    least = math.inf
    for kind in range(board.prefill_first.shape[0]):
        i = board.prefill_first[kind]
        prefilled_at = board.prefills[i].wait + prefill_seconds(board.prefills[i], call.n, call.h)
        delta = max(prefilled_at, room_at) + transfer(board, settings, i, j, call.n) + seconds
        if delta < least:
            best = i
            least = delta
    return best, least
