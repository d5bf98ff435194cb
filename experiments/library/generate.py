"""Instances from (family, size, seed): the same on every machine and with every version of Python.

Draws use nothing but ``random.Random.random``, the one method whose values Python promises to keep, and are rounded, so
that the last bit of a logarithm does not change an instance.
"""

from __future__ import annotations

import math
import random

from experiments.library.families import Family, Shape
from hexsched.model import Call, DecodeInstance, Instance, Link, PrefillInstance, Workflow

KV_BYTES_PER_TOKEN = 327_680  # Llama-3.1-70B in bf16
LATENCY = 0.005  # seconds of every link
TYPICAL_BATCH = 4  # calls in the batch whose iteration time is taken for the ``fixed`` decode model

# prefill and decode coefficients, KV capacity relative to the largest, bytes a second of the network:
# roughly Llama-3.1-70B on four GPUs
GPUS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float], float, float]] = {
    "A100": ((0.02, 2.5e-4, 4.7e-9), (0.029, 2.5e-4, 5.9e-8), 0.6, 25e9),
    "H100": ((0.02, 7.9e-5, 1.5e-9), (0.019, 7.9e-5, 3.5e-8), 0.6, 50e9),
    "H200": ((0.02, 7.9e-5, 1.5e-9), (0.014, 7.9e-5, 2.4e-8), 1.0, 50e9),
}

FIRST_PROMPT = (800, 8000)  # tokens
RESULT = (200, 3000)  # tokens of what a tool or another call adds to the prompt
OUTPUT = (20, 250)  # tokens
LONGEST_DELAY = 0.8  # seconds of a tool


def generate(family: Family, size: int, seed: int) -> Instance:
    """The instance of ``size`` calls, in the ``fixed`` decode model."""
    draw = _Draw(f"{family.name}-{size}-{seed}")
    lengths = _deal(draw, size, family.workflows(size), family.calls[1])
    workflows = [_workflow(draw, f"w{k}", length, family.shape) for k, length in enumerate(lengths)]
    prefill = tuple(PrefillInstance(id=f"p{i}", gpu=g, prefill_coeffs=GPUS[g][0]) for i, g in enumerate(family.prefill))
    decode = _decode(family, max(c.prompt_tokens + c.output_tokens for calls in workflows for c in calls))
    work = sum(min(p.prefill_seconds(c.prompt_tokens, c.cached_tokens) for p in prefill) for w in workflows for c in w)
    work += sum(c.output_tokens * min(float(d.fixed_iteration_time) for d in decode) for w in workflows for c in w)
    arrivals = sorted(round(draw.uniform(0.0, family.spread * work), 3) for _ in workflows)
    return Instance(
        format="hexsched-instance/1",
        decode_model="fixed",
        kv_bytes_per_token=KV_BYTES_PER_TOKEN,
        prefill=prefill,
        decode=decode,
        links=tuple(
            Link(source=p.id, to=d.id, latency=LATENCY, bandwidth=min(GPUS[p.gpu][3], GPUS[d.gpu][3]))
            for p in prefill
            for d in decode
        ),
        workflows=tuple(
            Workflow(workflow_id=f"w{k}", arrival=arrival - arrivals[0], calls=calls)
            for k, (arrival, calls) in enumerate(zip(arrivals, workflows, strict=True))
        ),
    )


class _Draw:
    """Random numbers that stay the same."""

    def __init__(self, seed: str) -> None:
        self._next = random.Random(seed).random

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self._next()

    def integer(self, low: int, high: int) -> int:
        """From ``low`` to ``high``, both included."""
        return low + int(self._next() * (high - low + 1))

    def tokens(self, low: int, high: int) -> int:
        """Between ``low`` and ``high``, evenly in the logarithm."""
        return round(low * math.exp(self._next() * math.log(high / low)))

    def coin(self) -> bool:
        return self._next() < 0.5


def _deal(draw: _Draw, size: int, workflows: int, largest: int) -> list[int]:
    """How many calls each workflow has."""
    lengths = [1] * workflows
    while sum(lengths) < size:
        open_ones = [k for k, length in enumerate(lengths) if length < largest]
        lengths[open_ones[draw.integer(0, len(open_ones) - 1)]] += 1
    return lengths


def _workflow(draw: _Draw, name: str, length: int, shape: Shape) -> tuple[Call, ...]:
    """Prompts hold what the parents held and said; of that, the first parent's prompt is often cached."""
    calls: list[Call] = []
    for parents in _parents(draw, length, shape):
        before = [calls[p] for p in parents]
        if before:
            context = before[0].prompt_tokens + sum(call.output_tokens for call in before)
            prompt = context + draw.tokens(*RESULT)
            cached = before[0].prompt_tokens if draw.coin() else 0
            delay = round(draw.uniform(0.0, LONGEST_DELAY), 2) if draw.coin() else 0.0
        else:
            prompt, cached, delay = draw.tokens(*FIRST_PROMPT), 0, 0.0
        calls.append(
            Call(
                call_id=f"c{len(calls)}",
                prompt_tokens=prompt,
                output_tokens=draw.tokens(*OUTPUT),
                cached_tokens=cached,
                parents=tuple(call.call_id for call in before),
                delay=delay,
            )
        )
    return tuple(calls)


def _parents(draw: _Draw, length: int, shape: Shape) -> list[tuple[int, ...]]:
    if shape == "chain":
        return [(k - 1,) if k else () for k in range(length)]
    if shape == "star":
        return [(0,) if k else () for k in range(length)]
    return _dag(draw, length)


def _dag(draw: _Draw, length: int) -> list[tuple[int, ...]]:
    """A call, a fan-out of two to four, the call that joins them, and so on."""
    parents: list[tuple[int, ...]] = [()]
    while (remaining := length - len(parents)) > 0:
        source = len(parents) - 1
        width = min(draw.integer(2, 4), max(remaining - 1, 1))
        parents += [(source,)] * width
        if length > len(parents):
            parents.append(tuple(range(source + 1, source + 1 + width)))
    return parents


def _decode(family: Family, largest: int) -> tuple[DecodeInstance, ...]:
    biggest = max(GPUS[gpu][2] for gpu in family.decode)
    machines = []
    for j, gpu in enumerate(family.decode):
        d0, d1, d2 = GPUS[gpu][1]
        machines.append(
            DecodeInstance(
                id=f"d{j}",
                gpu=gpu,
                decode_coeffs=(d0, d1, d2),
                fixed_iteration_time=round(d0 + d1 * min(TYPICAL_BATCH, family.max_batch), 6),
                kv_capacity_tokens=round(largest * family.room * GPUS[gpu][2] / biggest),
                max_batch=family.max_batch,
            )
        )
    return tuple(machines)
