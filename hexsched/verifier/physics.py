"""The model's formulas (model M5 to M8, M15, M16), over arrays of calls."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from hexsched.model import DecodeInstance, Link, PrefillInstance

Floats = npt.NDArray[np.float64]


def prefill_seconds(machine: PrefillInstance, prompt: Floats, cached: Floats) -> Floats:
    """P(n, h) = p0 + p1 (n - h) + p2 (n^2 - h^2), seconds, shape of ``prompt``."""
    p0, p1, p2 = machine.prefill_coeffs
    computed = prompt - cached
    return p0 + computed * (p1 + p2 * (prompt + cached))


def transfer_seconds(link: Link, prompt: Floats, kv_bytes_per_token: float) -> Floats:
    """T(n) = latency + n kappa / bandwidth, seconds, shape of ``prompt``."""
    return link.latency + prompt * (kv_bytes_per_token / link.bandwidth)


def batch_seconds(machine: DecodeInstance, largest: int) -> Floats:
    """g(B) for B = 0 .. ``largest``, seconds; a ``batch_curve`` is flat beyond its last point."""
    batches = np.arange(largest + 1, dtype=np.float64)
    if machine.batch_curve is None:
        return machine.decode_coeffs[0] + machine.decode_coeffs[1] * batches
    points = np.array(machine.batch_curve, dtype=np.float64)
    return np.interp(batches, points[:, 0], points[:, 1])


def fixed_seconds(machine: DecodeInstance, output: Floats) -> Floats:
    """m theta, seconds: decode in the ``fixed`` model."""
    return output * machine.fixed_iteration_time


def alone_seconds(machine: DecodeInstance, prompt: Floats, output: Floats) -> Floats:
    """Seconds to decode ``output`` tokens with nothing else in the batch, in the ``fluid`` model."""
    d2 = machine.decode_coeffs[2]
    return output * (batch_seconds(machine, 1)[1] + d2 * (prompt + output / 2))


def fluid_tokens(machine: DecodeInstance, start: Floats, end: Floats, prompt: Floats) -> Floats:
    """Tokens each call gets on ``machine`` when it is in the batch from ``start`` to ``end``.

    Between two changes of the batch the B calls in it advance by v iterations in (g(B) + d2 K0) v + d2 B v^2 / 2
    seconds, so v follows from the length of the interval; a call gets the iterations between its start and its end.

    Parameters
    ----------
    start, end, prompt : arrays of one shape
        Seconds, seconds (each end after its start) and tokens.
    """
    count = len(start)
    when = np.concatenate([start, end])
    order = np.argsort(when, kind="stable")
    largest = int(np.cumsum(np.where(order < count, 1, -1)).max(initial=0))
    base = batch_seconds(machine, largest).tolist()
    d2 = float(machine.decode_coeffs[2])
    prompts = prompt.tolist()
    tokens = [0.0] * count
    joined = [0.0] * count  # iterations done when each call joined
    batch, held, done, now = 0, 0.0, 0.0, 0.0
    for event, time in zip(order.tolist(), when[order].tolist(), strict=True):
        if batch and time > now:
            # v with first v + growth v^2 / 2 = seconds, in the form that loses no digits when growth is small;
            # written out, for this is what takes most of a check
            first = base[batch] + d2 * held
            v = (time - now) / first
            iterations = 2 * v / (1 + sqrt(1 + 2 * (d2 * batch / first) * v))
            done += iterations
            held += batch * iterations
        now = time
        if event < count:
            batch += 1
            held += prompts[event]
            joined[event] = done
        else:
            call = event - count
            tokens[call] = done - joined[call]
            batch -= 1
            held -= prompts[call] + tokens[call]
            if batch == 0:  # nothing is carried over an idle moment, rounding included
                held = done = 0.0
    return np.array(tokens)
