"""What a policy can do: start a prefill, admit a call. The one way from policies to what is true.

Admission control knows the true size of a call, as the allocator of a real instance would find it out; a policy hears
no more of it than whether the call fits.
"""

from __future__ import annotations

from hexsched.engine.heap import heap_push
from hexsched.engine.kernel import kernel
from hexsched.engine.physics import prefill_seconds, transfer_seconds

LINE_BLOCK = 16  # places of a line of calls that wait for admission


@kernel
def start_prefill(actions, c, i):
    """Start the prefill of released call ``c`` on idle instance ``i`` now (model M11)."""
    seen = actions.seen
    call = seen.calls[c]
    prefill = seen.prefills[i]
    now = seen.clock[0].now
    prefill.running = c
    prefill.busy_until = now + prefill_seconds(prefill, call.n, call.h)
    progress = actions.truth.progress[0]
    heap_push(actions.truth.prefill_ends, progress.prefilling, prefill.busy_until, i)
    progress.prefilling += 1
    call.prefill_instance = i
    call.prefill_start = now
    call.prefill_end = prefill.busy_until


@kernel
def has_room(actions, c, j):
    """Whether decode instance ``j`` may admit ``c`` now (model M13)."""
    decode = actions.seen.decodes[j]
    return (
        decode.admitted < decode.max_batch
        and actions.truth.reserved[j] + tokens_to_reserve(actions, c) <= decode.kv_capacity
    )


@kernel
def tokens_to_reserve(actions, c):
    """KV tokens that the admission of ``c`` reserves."""
    call = actions.truth.calls[c]
    return call.n + call.m


@kernel
def largest_room(actions):
    """The most KV tokens that any decode instance with a free place in its batch could reserve now; -1 without one."""
    decodes = actions.seen.decodes
    room = -1
    for j in range(decodes.shape[0]):
        decode = decodes[j]
        if decode.admitted < decode.max_batch:
            room = max(room, decode.kv_capacity - actions.truth.reserved[j])
    return room


@kernel
def note_least_need(actions, line, block, last):
    """Note what the smallest call in that block of a line reserves. The line ends before ``last``, -1 is no call."""
    least = 2**62
    for k in range(block * LINE_BLOCK, min((block + 1) * LINE_BLOCK, last)):
        if line[k] >= 0:
            least = min(least, tokens_to_reserve(actions, line[k]))
    actions.truth.least_need[block] = least


@kernel
def none_fits(actions, block, room):
    """Whether every call in that block of the line reserves more than that."""
    return actions.truth.least_need[block] > room


@kernel
def admit(actions, c, j):
    """Admit prefilled call ``c`` to decode instance ``j``, which has room, and start its transfer (model M13, M14)."""
    truth = actions.truth
    seen = actions.seen
    call = seen.calls[c]
    decode = seen.decodes[j]
    progress = truth.progress[0]
    now = seen.clock[0].now
    call.seat = decode.admitted
    seen.seats[j, decode.admitted] = c
    decode.admitted += 1
    decode.reserved += call.n + call.estimate
    truth.reserved[j] += tokens_to_reserve(actions, c)
    decode.in_transfer += call.n
    call.decode_instance = j
    call.admitted = now
    call.decode_start = now + transfer_seconds(seen, call.prefill_instance, j, call.n)
    heap_push(truth.events, progress.events, call.decode_start, 2 * c + 1)
    progress.events += 1
