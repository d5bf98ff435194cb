"""What happens when: the event loop, one decision epoch at a time.

Six things happen to a call: release, start and end of prefill, admission, end of transfer, completion. Only the start
of a prefill and the admission are decided (``actions``), the rest follows. ``advance`` moves the clock to the next
moment at which anything follows, and stops there for the policy.
"""

from __future__ import annotations

import math

from hexsched.engine.heap import heap_pop, heap_push, sort_ascending
from hexsched.engine.kernel import kernel
from hexsched.engine.physics import best_seconds, iteration_seconds, iterations_since_settled, seconds_for
from hexsched.engine.tournament import set_key


@kernel
def advance(state):
    """Move to the next decision epoch. False when nothing is left to happen.

    At one instant completions come first (they free memory), then ends of transfers and of delays, ends of prefills,
    arrivals.
    """
    truth = state.truth
    seen = state.seen
    clock = seen.clock[0]
    clock.released = 0
    clock.prefilled = 0
    clock.completed = 0
    now = next_time(state)
    if now == math.inf:
        return False
    clock.now = now
    clock.epoch += 1
    first = truth.completion_order
    while truth.next_completion[first[1]] <= now:
        complete(state, first[1])
    progress = truth.progress[0]
    while progress.events > 0 and truth.events[0].key <= now:
        event = heap_pop(truth.events, progress.events)
        progress.events -= 1
        if event % 2 == 0:
            reveal(state, event // 2)
        else:
            join(state, event // 2)
    while progress.prefilling > 0 and truth.prefill_ends[0].key <= now:
        prefill = seen.prefills[heap_pop(truth.prefill_ends, progress.prefilling)]
        progress.prefilling -= 1
        seen.prefilled[clock.prefilled] = prefill.running
        clock.prefilled += 1
        prefill.running = -1
    while progress.arrived < truth.workflows.shape[0]:
        w = truth.arrival_order[progress.arrived]
        if truth.flows[w].arrival > now:
            break
        workflow = truth.workflows[w]
        progress.arrived += 1
        for k in range(workflow.first_root, workflow.first_root + workflow.roots):
            release_after_delay(state, truth.roots[k])
    sort_ascending(seen.released, clock.released)
    sort_ascending(seen.prefilled, clock.prefilled)
    return True


@kernel
def next_time(state):
    """When the next thing happens; inf when nothing will."""
    truth = state.truth
    progress = truth.progress[0]
    time = truth.next_completion[truth.completion_order[1]]
    if progress.events > 0:
        time = min(time, truth.events[0].key)
    if progress.prefilling > 0:
        time = min(time, truth.prefill_ends[0].key)
    if progress.arrived < truth.workflows.shape[0]:
        time = min(time, truth.flows[truth.arrival_order[progress.arrived]].arrival)
    return time


@kernel
def release_after_delay(state, c):
    """The last parent of ``c`` completed, or its workflow arrived, now (model M3)."""
    delay = state.truth.calls[c].delay
    if delay == 0.0:
        reveal(state, c)
        return
    progress = state.truth.progress[0]
    heap_push(state.truth.events, progress.events, state.seen.clock[0].now + delay, 2 * c)
    progress.events += 1


@kernel
def reveal(state, c):
    """Call ``c`` is released: show what may be known of it (model M4)."""
    seen = state.seen
    clock = seen.clock[0]
    truth = state.truth.calls[c]
    call = seen.calls[c]
    call.workflow = truth.workflow
    call.kind = truth.kind
    call.n = truth.n
    call.h = truth.h
    call.needs_capacity = truth.needs_capacity
    call.estimate = estimate(state, truth)
    call.released = clock.now
    call.best = best_seconds(seen, call.n, call.h, call.estimate, call.needs_capacity)
    call.path = truth.path + truth.delay + call.best
    call.first_parent = truth.first_parent
    call.parents = truth.parents
    for k in range(truth.first_parent, truth.first_parent + truth.parents):
        seen.parents[k] = state.truth.parents[k]
    workflow = seen.workflows[call.workflow]
    workflow.arrival = state.truth.flows[call.workflow].arrival
    told = state.truth.workflows[call.workflow]
    workflow.prefill_told = told.prefill_told
    workflow.decode_told = told.decode_told
    if state.truth.progress[0].oracle_horizon == 1:
        workflow.horizon = told.horizon
    else:
        workflow.horizon = max(workflow.horizon, max(call.path + truth.rest, told.told))
    seen.released[clock.released] = c
    clock.released += 1


@kernel
def estimate(state, truth):
    """Estimated output tokens of a call at its release (model M31)."""
    progress = state.truth.progress[0]
    kinds = state.truth.kinds
    if progress.class_mean == 0:
        return truth.estimate
    if kinds[truth.kind].count > 0:
        return kinds[truth.kind].tokens / kinds[truth.kind].count
    if kinds[-1].count > 0:
        return kinds[-1].tokens / kinds[-1].count
    return progress.prior


@kernel
def join(state, c):
    """The transfer of ``c`` ended: it joins the batch (model M14)."""
    seen = state.seen
    call = seen.calls[c]
    j = call.decode_instance
    decode = seen.decodes[j]
    settle(seen, j)
    call.joined = decode.iterations
    m = state.truth.calls[c].m
    finish = call.decode_start + m * decode.theta if seen.clock[0].fixed else decode.iterations + m
    heap_push(state.truth.targets[j], decode.batch, finish, c)
    decode.batch += 1
    decode.kv += call.n
    decode.in_transfer -= call.n
    find_next_completion(state, j)


@kernel
def settle(seen, j):
    """Bring the iterations done and the KV held on ``j`` up to now.

    Only when its batch changes: what a policy looks at must not move a rounding error.
    """
    decode = seen.decodes[j]
    done = iterations_since_settled(seen, j)
    decode.iterations += done
    decode.kv += decode.batch * done
    decode.settled_at = seen.clock[0].now


@kernel
def find_next_completion(state, j):
    """When the first call of the batch on ``j`` completes if the batch stays as it is."""
    truth = state.truth
    seen = state.seen
    decode = seen.decodes[j]
    time = math.inf
    if decode.batch > 0 and seen.clock[0].fixed:
        time = truth.targets[j, 0].key
    elif decode.batch > 0:
        tau = iteration_seconds(seen, j, decode.batch, decode.kv)
        left = max(truth.targets[j, 0].key - decode.iterations, 0.0)
        time = decode.settled_at + seconds_for(tau, decode.d2 * decode.batch, left)
    set_key(truth.completion_order, truth.next_completion, j, time)


@kernel
def complete(state, j):
    """The first call of the batch on ``j`` completes now (model M17)."""
    seen = state.seen
    clock = seen.clock[0]
    decode = seen.decodes[j]
    targets = state.truth.targets
    if clock.fixed:
        settle(seen, j)
    else:  # exactly at its target, whatever rounding the clock went through
        decode.kv += decode.batch * (targets[j, 0].key - decode.iterations)
        decode.iterations = targets[j, 0].key
        decode.settled_at = clock.now
    c = heap_pop(targets[j], decode.batch)
    truth = state.truth.calls[c]
    call = seen.calls[c]
    decode.batch -= 1
    decode.kv -= truth.n + truth.m
    if decode.batch == 0:  # rounding must not add up over a long run
        decode.kv = 0.0
        decode.iterations = 0.0
    decode.admitted -= 1
    decode.reserved -= call.n + call.estimate
    if decode.admitted == 0:
        decode.reserved = 0.0
    state.truth.reserved[j] -= truth.n + truth.m
    last = seen.seats[j, decode.admitted]
    seen.seats[j, call.seat] = last
    seen.calls[last].seat = call.seat
    find_next_completion(state, j)
    call.decode_end = clock.now
    seen.completed[clock.completed] = c
    clock.completed += 1
    state.truth.progress[0].incomplete -= 1
    make_way(state, call.workflow)
    show_length(state, c)
    for k in range(truth.first_child, truth.first_child + truth.children):
        child = state.truth.calls[state.truth.children[k]]
        child.path = max(child.path, call.path)
        child.missing -= 1
        if child.missing == 0:
            release_after_delay(state, state.truth.children[k])


@kernel
def make_way(state, w):
    """A call of workflow ``w`` is complete; after the last one it has ended (model M4).

    In a closed loop the next workflow arrives then (model M39).
    """
    truth = state.truth
    progress = truth.progress[0]
    truth.flows[w].left -= 1
    if truth.flows[w].left == 0:
        state.seen.workflows[w].ended = 1
        if progress.begun < truth.flows.shape[0]:
            truth.flows[truth.arrival_order[progress.begun]].arrival = state.seen.clock[0].now
            progress.begun += 1


@kernel
def show_length(state, c):
    """The completion of ``c`` shows its true length: to its workflow's horizon, and to estimates of its kind."""
    seen = state.seen
    truth = state.truth.calls[c]
    call = seen.calls[c]
    if call.estimate != truth.m:
        call.estimate = truth.m
        path_before = call.path - call.best
        call.best = best_seconds(seen, call.n, call.h, call.estimate, call.needs_capacity)
        call.path = path_before + call.best
        if state.truth.progress[0].oracle_horizon == 0:
            workflow = seen.workflows[call.workflow]
            workflow.horizon = max(workflow.horizon, call.path + truth.rest)
    kinds = state.truth.kinds
    kinds[truth.kind].tokens += truth.m
    kinds[truth.kind].count += 1
    kinds[-1].tokens += truth.m
    kinds[-1].count += 1
