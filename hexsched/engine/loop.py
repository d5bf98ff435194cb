"""What happens when: the event loop, one decision epoch at a time.

Five things happen to a call (release, start and end of prefill, admission, end of transfer, completion); only the
start of a prefill and the admission are decided, the rest follows. ``advance`` moves the clock to the next moment at
which anything follows and stops there for the policy; ``start_prefill`` and ``admit`` carry its decisions out.
"""

from __future__ import annotations

import math

from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import kernel
from hexsched.engine.physics import (
    best_seconds,
    iteration_seconds,
    iterations_in,
    prefill_seconds,
    seconds_for,
    transfer_seconds,
)


@kernel
def advance(state):
    """Move to the next decision epoch. False when nothing is left to happen.

    At one instant completions come first (they free memory), then ends of transfers and of delays, ends of prefills,
    arrivals.
    """
    board = state.board
    clock = board.clock[0]
    clock.released = 0
    clock.prefilled = 0
    clock.completed = 0
    now = next_time(state)
    if now == math.inf:
        return False
    clock.now = now
    clock.epoch += 1
    for j in range(board.decodes.shape[0]):
        while state.next_completion[j] <= now:
            complete(state, j)
    progress = state.progress[0]
    while progress.events > 0 and state.events[0].key <= now:
        event = heap_pop(state.events, progress.events)
        progress.events -= 1
        if event % 2 == 0:
            reveal(state, event // 2)
        else:
            join(state, event // 2)
    for i in range(board.prefills.shape[0]):
        prefill = board.prefills[i]
        if prefill.running >= 0 and prefill.busy_until <= now:
            board.lists[clock.prefilled].prefilled = prefill.running
            clock.prefilled += 1
            prefill.running = -1
    while progress.arrived < state.workflows.shape[0]:
        workflow = state.workflows[state.arrival_order[progress.arrived]]
        if workflow.arrival > now:
            break
        progress.arrived += 1
        for k in range(workflow.first_root, workflow.first_root + workflow.roots):
            release_after_delay(state, state.root_list[k])
    sort_released(board)
    sort_prefilled(board)
    return True


@kernel
def next_time(state):
    """When the next thing happens; inf when nothing will."""
    board = state.board
    progress = state.progress[0]
    time = math.inf
    if progress.events > 0:
        time = state.events[0].key
    if progress.arrived < state.workflows.shape[0]:
        time = min(time, state.workflows[state.arrival_order[progress.arrived]].arrival)
    for i in range(board.prefills.shape[0]):
        prefill = board.prefills[i]
        if prefill.running >= 0 and prefill.busy_until < time:
            time = prefill.busy_until
    for j in range(board.decodes.shape[0]):
        if state.next_completion[j] < time:
            time = state.next_completion[j]
    return time


# --- what policies decide ---------------------------------------------------------------------------------------------


@kernel
def start_prefill(state, c, i):
    """Start the prefill of released call ``c`` on idle instance ``i`` now."""
    board = state.board
    call = board.calls[c]
    prefill = board.prefills[i]
    now = board.clock[0].now
    prefill.running = c
    prefill.busy_until = now + prefill_seconds(prefill, call.n, call.h)
    call.prefill_instance = i
    call.prefill_start = now
    call.prefill_end = prefill.busy_until


@kernel
def has_room(state, c, j):
    """Whether decode instance ``j`` may admit ``c`` now: admission knows the true size."""
    decode = state.board.decodes[j]
    truth = state.calls[c]
    return decode.admitted < decode.max_batch and state.reserved[j] + truth.n + truth.m <= decode.kv_capacity


@kernel
def largest_room(state):
    """The most KV tokens that any decode instance with a free place in its batch could reserve now; -1 without one."""
    board = state.board
    room = -1
    for j in range(board.decodes.shape[0]):
        decode = board.decodes[j]
        if decode.admitted < decode.max_batch:
            room = max(room, decode.kv_capacity - state.reserved[j])
    return room


@kernel
def admit(state, c, j):
    """Admit prefilled call ``c`` to decode instance ``j``, which has room, and start its transfer."""
    board = state.board
    call = board.calls[c]
    decode = board.decodes[j]
    truth = state.calls[c]
    progress = state.progress[0]
    now = board.clock[0].now
    call.slot = decode.admitted
    board.seats[j, decode.admitted].member = c
    decode.admitted += 1
    decode.reserved += call.n + call.estimate
    state.reserved[j] += truth.n + truth.m
    decode.in_transfer += call.n
    call.decode_instance = j
    call.admitted = now
    call.decode_start = now + transfer_seconds(board, call.prefill_instance, j, call.n)
    heap_push(state.events, progress.events, call.decode_start, 2 * c + 1)
    progress.events += 1


# --- what follows -----------------------------------------------------------------------------------------------------


@kernel
def release_after_delay(state, c):
    """The last parent of ``c`` completed, or its workflow arrived, now."""
    delay = state.calls[c].delay
    if delay == 0.0:
        reveal(state, c)
        return
    progress = state.progress[0]
    heap_push(state.events, progress.events, state.board.clock[0].now + delay, 2 * c)
    progress.events += 1


@kernel
def reveal(state, c):
    """Call ``c`` is released: write on the board what a policy may know of it."""
    board = state.board
    clock = board.clock[0]
    truth = state.calls[c]
    call = board.calls[c]
    call.workflow = truth.workflow
    call.n = truth.n
    call.h = truth.h
    call.needs_capacity = truth.needs_capacity
    call.estimate = estimate(state, truth)
    call.released = clock.now
    call.best = best_seconds(board, call.n, call.h, call.estimate, call.needs_capacity)
    call.path = truth.path + truth.delay + call.best
    call.attained = truth.attained
    workflow = board.workflows[call.workflow]
    workflow.arrival = state.workflows[call.workflow].arrival
    if state.progress[0].oracle_horizon == 1:
        workflow.horizon = state.workflows[call.workflow].horizon
    else:
        workflow.horizon = max(workflow.horizon, call.path)
    board.lists[clock.released].released = c
    clock.released += 1


@kernel
def estimate(state, truth):
    """Estimated output tokens of a call at its release (model.md section 7)."""
    progress = state.progress[0]
    if progress.class_mean == 0:
        return truth.estimate
    if state.kinds[truth.kind].count > 0:
        return state.kinds[truth.kind].tokens / state.kinds[truth.kind].count
    if state.kinds[-1].count > 0:
        return state.kinds[-1].tokens / state.kinds[-1].count
    return progress.prior


@kernel
def join(state, c):
    """The transfer of ``c`` ended: it joins the batch."""
    board = state.board
    call = board.calls[c]
    j = call.decode_instance
    decode = board.decodes[j]
    settle(board, j)
    call.joined = decode.iterations
    m = state.calls[c].m
    finish = call.decode_start + m * decode.theta if board.clock[0].fixed else decode.iterations + m
    heap_push(state.targets[j], decode.batch, finish, c)
    decode.batch += 1
    decode.kv += call.n
    decode.in_transfer -= call.n
    find_next_completion(state, j)


@kernel
def iterations_since_settled(board, j):
    """Iterations that ``j`` has done since it was last settled."""
    decode = board.decodes[j]
    seconds = board.clock[0].now - decode.settled_at
    if decode.batch == 0 or seconds <= 0.0:
        return 0.0
    tau = iteration_seconds(board, j, decode.batch, decode.kv)
    if board.clock[0].fixed:
        return seconds / tau
    return iterations_in(tau, decode.d2 * decode.batch, seconds)


@kernel
def settle(board, j):
    """Bring the iterations done and the KV held on ``j`` up to now.

    Only when its batch changes: what a policy looks at must not move a rounding error.
    """
    decode = board.decodes[j]
    done = iterations_since_settled(board, j)
    decode.iterations += done
    decode.kv += decode.batch * done
    decode.settled_at = board.clock[0].now


@kernel
def find_next_completion(state, j):
    """When the first call of the batch on ``j`` completes if the batch stays as it is."""
    board = state.board
    decode = board.decodes[j]
    if decode.batch == 0:
        state.next_completion[j] = math.inf
    elif board.clock[0].fixed:
        state.next_completion[j] = state.targets[j, 0].key
    else:
        tau = iteration_seconds(board, j, decode.batch, decode.kv)
        left = max(state.targets[j, 0].key - decode.iterations, 0.0)
        state.next_completion[j] = decode.settled_at + seconds_for(tau, decode.d2 * decode.batch, left)


@kernel
def complete(state, j):
    """The first call of the batch on ``j`` completes now."""
    board = state.board
    clock = board.clock[0]
    decode = board.decodes[j]
    if clock.fixed:
        settle(board, j)
    else:  # exactly at its target, whatever rounding the clock went through
        decode.kv += decode.batch * (state.targets[j, 0].key - decode.iterations)
        decode.iterations = state.targets[j, 0].key
        decode.settled_at = clock.now
    c = heap_pop(state.targets[j], decode.batch)
    truth = state.calls[c]
    call = board.calls[c]
    decode.batch -= 1
    decode.kv -= truth.n + truth.m
    if decode.batch == 0:  # rounding must not add up over a long run
        decode.kv = 0.0
        decode.iterations = 0.0
    decode.admitted -= 1
    decode.reserved -= call.n + call.estimate
    if decode.admitted == 0:
        decode.reserved = 0.0
    state.reserved[j] -= truth.n + truth.m
    last = board.seats[j, decode.admitted].member
    board.seats[j, call.slot].member = last
    board.calls[last].slot = call.slot
    find_next_completion(state, j)
    call.decode_end = clock.now
    clock.completed += 1
    state.progress[0].incomplete -= 1
    account(state, c)
    for k in range(truth.first_child, truth.first_child + truth.children):
        child = state.calls[state.child_list[k]]
        child.path = max(child.path, call.path)
        child.attained = max(child.attained, call.attained + service_seconds(call))
        child.parents -= 1
        if child.parents == 0:
            release_after_delay(state, state.child_list[k])


@kernel
def account(state, c):
    """What the completion of ``c`` teaches: its true length, the service its workflow has had."""
    board = state.board
    truth = state.calls[c]
    call = board.calls[c]
    if call.estimate != truth.m:
        call.estimate = truth.m
        path_before = call.path - call.best
        call.best = best_seconds(board, call.n, call.h, call.estimate, call.needs_capacity)
        call.path = path_before + call.best
        if state.progress[0].oracle_horizon == 0:
            board.workflows[call.workflow].horizon = max(board.workflows[call.workflow].horizon, call.path)
    workflow = board.workflows[call.workflow]
    served = service_seconds(call)
    workflow.attained += served
    workflow.starved_service += served
    workflow.starved_wait += (call.decode_end - call.released) - served
    state.kinds[truth.kind].tokens += truth.m
    state.kinds[truth.kind].count += 1
    state.kinds[-1].tokens += truth.m
    state.kinds[-1].count += 1


@kernel
def service_seconds(call):
    """Service that a completed call has had: prefill, transfer and decode, without waiting."""
    return (call.prefill_end - call.prefill_start) + (call.decode_end - call.admitted)


@kernel
def sort_released(board):
    """Put the calls just released in the order of their numbers; they nearly always are."""
    count = board.clock[0].released
    for k in range(1, count):
        if board.lists[k].released < board.lists[k - 1].released:
            for size in range(count):
                heap_push(board.plan, size, 0.0, board.lists[size].released)
            for size in range(count, 0, -1):
                board.lists[count - size].released = heap_pop(board.plan, size)
            return


@kernel
def sort_prefilled(board):
    """The same for the calls whose prefill just ended."""
    count = board.clock[0].prefilled
    for k in range(1, count):
        if board.lists[k].prefilled < board.lists[k - 1].prefilled:
            for size in range(count):
                heap_push(board.plan, size, 0.0, board.lists[size].prefilled)
            for size in range(count, 0, -1):
                board.lists[count - size].prefilled = heap_pop(board.plan, size)
            return
