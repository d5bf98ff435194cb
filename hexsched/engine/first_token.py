"""When the first output token of each call is out (model M37), from the times of a schedule."""

from __future__ import annotations

import numpy as np

from hexsched.engine.kernel import entry, interpreted
from hexsched.engine.physics import iterations_in, seconds_for
from hexsched.engine.state import Array
from hexsched.engine.tables import batch_seconds
from hexsched.model import Instance


def first_token_times(
    instance: Instance, decode: Array, prompt: Array, output: Array, start: Array, end: Array, compiled: bool = True
) -> Array:
    """The time of the first output token of each call, (N,) seconds.

    Parameters
    ----------
    instance : Instance
        Its decode instances and decode model are used.
    decode : (N,) int array
        Position of each call's decode instance.
    prompt, output : (N,) int arrays
        n_c and m_c.
    start, end : (N,) float arrays
        Start and end of each call's decode, seconds.
    compiled : bool
        Run machine code, or the Python it is written in.
    """
    if instance.decode_model == "fixed":
        return np.where(output == 1, end, start + (end - start) / output)
    # by instance, then time; at one time starts come first, so that a call is in the batch before it leaves it
    order = np.lexsort((np.concatenate((start, end)), np.concatenate((decode, decode))))
    largest = int(np.bincount(decode, minlength=1).max())
    seconds = np.array([[0.0, *batch_seconds(machine, largest)] for machine in instance.decode])
    growth = np.array([machine.decode_coeffs[2] for machine in instance.decode], dtype=np.float64)
    first = np.full(len(start), np.inf)
    sweep = find_first_tokens if compiled else interpreted(find_first_tokens)
    sweep(
        order, decode, prompt.astype(np.float64), start, end, seconds, growth, np.empty_like(start), order.copy(), first
    )
    return np.minimum(first, end)


@entry
def find_first_tokens(order, decode, prompt, start, end, seconds, d2, joined, queue, first):
    """Follow the batches from event to event; a call's first token is out one iteration after it joined.

    Calls reach that in the order in which they joined, so those that have not wait in a queue.

    ``order`` lists starts (c) and ends (N + c) of decodes by instance, then time; ``joined`` and ``queue`` are scratch.
    """
    calls = start.shape[0]
    machine = -1
    batch = 0
    kv = 0.0
    done = 0.0
    now = 0.0
    head = 0
    tail = 0
    for k in range(order.shape[0]):
        starts = order[k] < calls
        c = order[k] if starts else order[k] - calls
        time = start[c] if starts else end[c]
        if decode[c] != machine:
            machine = decode[c]
            batch = 0
        if batch == 0:  # nothing is carried over an idle moment, rounding included
            kv = 0.0
            done = 0.0
            head = tail
        elif time > now:
            tau = seconds[machine, batch] + d2[machine] * kv
            growth = d2[machine] * batch
            iterations = iterations_in(tau, growth, time - now)
            while head < tail and joined[queue[head]] + 1.0 <= done + iterations:
                waits = queue[head]
                first[waits] = now + seconds_for(tau, growth, joined[waits] + 1.0 - done)
                head += 1
            done += iterations
            kv += batch * iterations
        now = time
        if starts:
            joined[c] = done
            queue[tail] = c
            tail += 1
            batch += 1
            kv += prompt[c]
        else:
            batch -= 1
            kv -= prompt[c] + done - joined[c]
