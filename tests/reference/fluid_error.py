"""How far fluid decode is from whole tokens: ``python -m reference.fluid_error`` in ``tests/`` prints the figure."""

from __future__ import annotations

import numpy as np

from hexsched.model import Instance, Schedule
from hexsched.simulator import retime, simulate
from reference.instances import random_instance
from reference.tokens import replay_tokens


def workflow_latencies(instance: Instance, schedule: Schedule) -> np.ndarray:
    """Seconds from arrival to last completion, in the instance's order."""
    last: dict[str, float] = {}
    for row in schedule.calls:
        last[row.workflow_id] = max(last.get(row.workflow_id, 0.0), row.decode_end)
    return np.array([last[workflow.workflow_id] - workflow.arrival for workflow in instance.workflows])


def fluid_errors(count: int, seed: int, output: tuple[int, int] = (20, 500)) -> np.ndarray:
    """(fluid - tokens) / tokens of every workflow latency over ``count`` random instances.

    Both sides time the same decisions, those of an online run, each step as early as they allow.
    """
    errors = []
    for child in np.random.SeedSequence(seed).spawn(count):
        instance = random_instance(np.random.default_rng(child), workflows=(2, 6), output=output)
        decided = simulate(instance, policy="fcfs").schedule
        tokens = workflow_latencies(instance, replay_tokens(instance, decided))
        errors.append((workflow_latencies(instance, retime(instance, decided)) - tokens) / tokens)
    return np.concatenate(errors)


def main() -> None:
    """Print median and worst for short, realistic and long outputs."""
    for output in ((1, 20), (20, 500), (200, 2000)):
        errors = fluid_errors(200, seed=0, output=output)
        size = np.abs(errors)
        print(
            f"outputs {output[0]:>4}..{output[1]:<4} {len(errors)} workflows: median |error| {np.median(size):.4%}, "
            f"p99 {np.quantile(size, 0.99):.4%}, worst {size.max():.4%}, mean error {errors.mean():+.4%}"
        )


if __name__ == "__main__":
    main()
