"""Durations that a double cannot add up, and those that vanish in sums, are refused before anything runs (model M9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hexsched.model.clock import LATEST
from hexsched.model.cluster import DecodeInstance, Link, Number, PrefillInstance
from hexsched.model.columns import WorkloadColumns

SHORTEST = 1e-12  # seconds of a prefill or an iteration: their inverses, rates, stay far from infinity
LONGEST = 1e12  # seconds of a stage of one call at its slowest: sums over a billion calls are still times


def check_durations(
    prefill: Sequence[PrefillInstance],
    decode: Sequence[DecodeInstance],
    links: Sequence[Link],
    kv_bytes_per_token: Number,
    workload: WorkloadColumns,
) -> None:
    """Refuse a cluster on which a stage of some call may take shorter than ``SHORTEST`` or longer than ``LONGEST``.

    The longest prompt and output of the workload stand for every call; a decode is slowest in a full batch that fills
    the KV cache.

    Raises
    ------
    ValueError
        Naming the instance or link, and the number that makes it so.
    """
    prompt, output = int(workload.prompt.max()), int(workload.output.max())
    for what, seconds in _shortest(prefill, decode):
        if not seconds >= SHORTEST:
            raise ValueError(f"{what} takes {seconds:g} s; nothing may take less than {SHORTEST:g} s")
    for what, seconds in _longest(prefill, decode, links, kv_bytes_per_token, prompt, output):
        if not seconds <= LONGEST:
            raise ValueError(f"{what} may take {seconds:g} s; no stage of a call may take more than {LONGEST:g} s")
    for c in np.flatnonzero(workload.delay > LONGEST)[:1].tolist():
        workflow_id, call_id = workload.name(c)
        raise ValueError(
            f"delay of call {call_id!r} of workflow {workflow_id!r} must be at most {LONGEST:g} s, "
            f"got {workload.delay[c]:g}"
        )
    check_together(prefill, decode, links, kv_bytes_per_token, workload)


def check_together(
    prefill: Sequence[PrefillInstance],
    decode: Sequence[DecodeInstance],
    links: Sequence[Link],
    kv_bytes_per_token: Number,
    workload: WorkloadColumns,
) -> None:
    """Refuse calls that, even one after another, each stage at its slowest, may end past ``LATEST``.

    A run in which something always happens lasts no longer. Past it a double is too coarse for short stages.

    Raises
    ------
    ValueError
        Saying how long they may take.
    """
    prompt, output = workload.prompt.astype(np.float64), workload.output.astype(np.float64)
    calls, held = len(prompt), float((prompt + output).sum())
    p0, p1, p2 = (max(machine.prefill_coeffs[k] for machine in prefill) for k in range(3))
    iteration = max(
        max(
            server.batch_seconds(min(server.max_batch, calls))
            + server.decode_coeffs[2] * min(float(server.kv_capacity_tokens), held),
            float(server.fixed_iteration_time),
        )
        for server in decode
    )
    latency, per_token = max(link.latency for link in links), max(kv_bytes_per_token / link.bandwidth for link in links)
    together = (
        workload.delay.sum()
        + calls * (float(p0) + latency)
        + (float(p1) + per_token) * prompt.sum()
        + float(p2) * (prompt**2).sum()
        + iteration * output.sum()
    )
    if not together <= LATEST:
        raise ValueError(
            f"the calls may take {together:g} s one after another, each stage at its slowest; beyond {LATEST:g} s "
            "times of double precision are too coarse for short stages"
        )


def _shortest(prefill: Sequence[PrefillInstance], decode: Sequence[DecodeInstance]) -> Iterator[tuple[str, float]]:
    for machine in prefill:
        yield f"a prefill of one token on {machine.id!r} (prefill_coeffs)", machine.prefill_seconds(1)
    for server in decode:
        yield f"an iteration on {server.id!r} (decode_coeffs)", server.batch_seconds(1) + server.decode_coeffs[2]
        yield f"an iteration on {server.id!r} (fixed_iteration_time)", float(server.fixed_iteration_time)


def _longest(
    prefill: Sequence[PrefillInstance],
    decode: Sequence[DecodeInstance],
    links: Sequence[Link],
    kv_bytes_per_token: Number,
    prompt: int,
    output: int,
) -> Iterator[tuple[str, float]]:
    for machine in prefill:
        yield f"a prefill of {prompt} tokens on {machine.id!r} (prefill_coeffs)", machine.prefill_seconds(prompt)
    for server in decode:
        iteration = server.batch_seconds(server.max_batch) + server.decode_coeffs[2] * float(server.kv_capacity_tokens)
        yield f"a decode of {output} tokens on {server.id!r} (decode_coeffs)", output * iteration
        fixed = output * float(server.fixed_iteration_time)
        yield f"a decode of {output} tokens on {server.id!r} (fixed_iteration_time)", fixed
    for link in links:
        what = f"a transfer of {prompt} tokens from {link.source!r} to {link.to!r} (latency, bandwidth)"
        yield what, link.transfer_seconds(prompt, kv_bytes_per_token)
