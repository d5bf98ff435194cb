"""The model's formulas for one call, as docs/model.md writes them."""

from __future__ import annotations

from hexsched.model import Call, DecodeInstance, Instance, PrefillInstance


def prefill_time(machine: PrefillInstance, call: Call) -> float:
    """P(n, h) in seconds."""
    p0, p1, p2 = machine.prefill_coeffs
    n, h = call.prompt_tokens, call.cached_tokens
    return p0 + p1 * (n - h) + p2 * (n**2 - h**2)


def transfer_time(instance: Instance, source: str, target: str, call: Call) -> float:
    """T(n) in seconds."""
    (link,) = [link for link in instance.links if link.source == source and link.to == target]
    return link.latency + call.prompt_tokens * instance.kv_bytes_per_token / link.bandwidth


def base_time(machine: DecodeInstance, batch: int) -> float:
    """g(B) in seconds."""
    if machine.batch_curve is None:
        return machine.decode_coeffs[0] + machine.decode_coeffs[1] * batch
    for (b0, s0), (b1, s1) in zip(machine.batch_curve, machine.batch_curve[1:], strict=False):
        if b0 <= batch <= b1:
            return s0 + (s1 - s0) * (batch - b0) / (b1 - b0)
    assert batch == 1 == len(machine.batch_curve)
    return machine.batch_curve[0][1]


def alone_time(instance: Instance, machine: DecodeInstance, call: Call) -> float:
    """Seconds to decode the call with nothing else in the batch."""
    n, m = call.prompt_tokens, call.output_tokens
    if instance.decode_model == "fixed":
        return m * machine.fixed_iteration_time
    return (base_time(machine, 1) + machine.decode_coeffs[2] * n) * m + machine.decode_coeffs[2] * m**2 / 2


def fits(machine: DecodeInstance, call: Call) -> bool:
    """Whether the call fits on an empty instance."""
    return call.prompt_tokens + call.output_tokens <= machine.kv_capacity_tokens
