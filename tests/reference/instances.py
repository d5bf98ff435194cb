"""Small random instances: every feature of the model turns up, in sizes that occur."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from hexsched.model import Call, DecodeInstance, Instance, Link, PrefillInstance, Workflow

GPUS = {  # prefill and decode coefficients, roughly a dense 70 B model on four of each
    "A100": ((0.02, 2.5e-4, 4.7e-9), (0.029, 2.5e-4, 5.9e-8)),
    "H100": ((0.02, 7.9e-5, 1.5e-9), (0.019, 7.9e-5, 3.5e-8)),
    "H200": ((0.02, 7.9e-5, 1.5e-9), (0.014, 7.9e-5, 2.4e-8)),
}


def random_instance(
    rng: np.random.Generator,
    *,
    decode_model: str = "fluid",
    workflows: tuple[int, int] = (1, 5),
    calls: tuple[int, int] = (1, 5),
    prompt: tuple[int, int] = (50, 3000),
    output: tuple[int, int] = (20, 500),
) -> Instance:
    """Draw an instance; the pairs are inclusive ranges, ``calls`` of one workflow."""
    drawn = tuple(
        _workflow(rng, f"w{k}", int(rng.integers(*calls, endpoint=True)), prompt, output)
        for k in range(rng.integers(*workflows, endpoint=True))
    )
    largest = max(call.prompt_tokens + call.output_tokens for workflow in drawn for call in workflow.calls)
    tight = bool(rng.integers(2))
    prefill = tuple(_prefill(rng, f"p{i}") for i in range(rng.integers(1, 3, endpoint=True)))
    decode = tuple(_decode(rng, f"d{j}", largest, tight, j == 0) for j in range(rng.integers(1, 3, endpoint=True)))
    return Instance(
        format="hexsched-instance/1",
        decode_model=decode_model,
        kv_bytes_per_token=327_680,
        prefill=prefill,
        decode=decode,
        links=tuple(
            Link(source=p.id, to=d.id, latency=0.005, bandwidth=float(rng.choice([2e9, 25e9, 50e9])))
            for p in prefill
            for d in decode
        ),
        workflows=drawn,
    )


def instances(**options) -> st.SearchStrategy[Instance]:
    """``random_instance`` as a hypothesis strategy."""
    return st.integers(0, 2**32 - 1).map(lambda seed: random_instance(np.random.default_rng(seed), **options))


def _workflow(
    rng: np.random.Generator, name: str, count: int, prompt: tuple[int, int], output: tuple[int, int]
) -> Workflow:
    calls = []
    for k in range(count):
        n = int(rng.integers(*prompt, endpoint=True))
        parents = rng.choice(k, size=rng.integers(min(k, 2), endpoint=True), replace=False) if k else []
        calls.append(
            Call(
                call_id=f"c{k}",
                prompt_tokens=n,
                output_tokens=int(rng.integers(*output, endpoint=True)),
                cached_tokens=int(rng.integers(n)) if rng.integers(2) else 0,
                parents=tuple(f"c{parent}" for parent in parents),
                delay=float(rng.uniform(0, 2)) if rng.integers(2) else 0.0,
            )
        )
    order = rng.permutation(count)
    return Workflow(workflow_id=name, arrival=float(rng.uniform(0, 5)), calls=tuple(calls[k] for k in order))


def _prefill(rng: np.random.Generator, name: str) -> PrefillInstance:
    gpu = str(rng.choice(list(GPUS)))
    return PrefillInstance(id=name, gpu=gpu, prefill_coeffs=GPUS[gpu][0])


def _decode(rng: np.random.Generator, name: str, largest: int, tight: bool, holds_all: bool) -> DecodeInstance:
    gpu = str(rng.choice(list(GPUS)))
    d0, d1, d2 = GPUS[gpu][1]
    least = 1.0 if holds_all else 0.6
    max_batch = int(rng.integers(1, 3, endpoint=True) if tight else rng.integers(4, 32, endpoint=True))
    curve = None
    if rng.integers(2):
        middle = 1 + max_batch // 3
        curve = ((1, d0), (1 + middle, 1.3 * d0), (1 + middle + max_batch, 1.5 * d0))
    return DecodeInstance(
        id=name,
        gpu=gpu,
        decode_coeffs=(d0, d1, d2),
        batch_curve=curve,
        fixed_iteration_time=d0 + 4 * d1,
        kv_capacity_tokens=int(np.ceil(largest * rng.uniform(least, 2) * (1 if tight else 5))),
        max_batch=max_batch,
    )
