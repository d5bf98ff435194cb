"""The model's formulas (model M5 to M8, M15, M16), over arrays of calls."""

from __future__ import annotations

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
