"""Several futures of one past: workflows that all of them share, and others that arrive later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from campaigns.clairvoyance.bound import online_bound
from hexsched.baselines import HEXAGENT
from hexsched.clusters import compile_instance, read_cluster
from hexsched.model import Call, Instance, Workflow
from hexsched.simulator import simulate
from hexsched.workloads.families import generate
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem

ESTIMATOR = "class_mean"  # knows nothing before it happens
POOL = 100  # workflows of a family, of which a few are drawn


def futures(
    cluster: str, family: str, workflows: int, shared: int, count: int, most_calls: int, spacing: float, seed: int
) -> list[Instance]:
    """Equally likely instances in the ``fixed`` model.

    Each draws, of the workflows of a family, cut to their first calls, those that are not shared, when they arrive, and
    the output lengths of the shared ones; no policy knows of any of it before it happens.

    Parameters
    ----------
    workflows, shared : int
        In each instance, and of these in all of them.
    count : int
        Instances.
    most_calls : int
        Of a workflow; those beyond are cut off.
    spacing : float
        Mean time between arrivals, over the mean horizon.
    """
    pool = [_first(flow, most_calls) for flow in generate(family, POOL, seed)]
    rng = np.random.default_rng([seed, count, workflows])
    same, outputs = _drawn(pool, shared, rng), [call.output_tokens for flow in pool for call in flow.calls]
    machines = read_cluster(cluster)

    def compiled(flows: Sequence[Workflow]) -> Instance:
        return compile_instance(machines, tuple(flows), decode_model="fixed")

    gap = spacing * float(offline_problem(compiled([replace(flow, arrival=0.0) for flow in pool])).horizon.mean())
    arrived = np.cumsum(rng.exponential(gap, shared)) - gap / 2
    made = []
    for k in range(count):
        own = np.random.default_rng([seed, count, workflows, k])
        past = [
            replace(
                flow,
                workflow_id=f"past-{i}",
                arrival=max(float(arrived[i]), 0.0),
                calls=tuple(replace(call, output_tokens=int(own.choice(outputs))) for call in flow.calls),
            )
            for i, flow in enumerate(same)
        ]
        times = max(float(arrived[-1]), 0.0) + np.cumsum(own.exponential(gap, workflows - shared))
        later = [
            replace(flow, workflow_id=f"future-{k}-{i}", arrival=float(times[i]))
            for i, flow in enumerate(_drawn(pool, workflows - shared, own))
        ]
        made.append(compiled(past + later))
    return made


def _first(flow: Workflow, count: int) -> Workflow:
    """The workflow with so many of its calls, none without its parents."""
    kept: dict[str, Call] = {}
    for _ in range(count):
        ready = (c for c in flow.calls if c.call_id not in kept and all(parent in kept for parent in c.parents))
        call = next(ready, None)
        if call is not None:
            kept[call.call_id] = call
    return replace(flow, calls=tuple(call for call in flow.calls if call.call_id in kept))


def _drawn(pool: Sequence[Workflow], count: int, rng: np.random.Generator) -> list[Workflow]:
    return [pool[int(k)] for k in rng.choice(len(pool), count, replace=False)]


def split(scenarios: Sequence[Instance], objective: str, seconds: float) -> dict[str, Any]:
    """HexAGenT's mean, and below it what any online policy has at least and what the best schedules have at least.

    HexAGenT is not told output lengths: it goes by the means of calls that are complete.
    """
    aim = read_objective(objective)
    runs = [simulate(instance, HEXAGENT, estimator=ESTIMATOR, progress=False) for instance in scenarios]
    mean = float(np.mean([aim.value(run.arrival, run.completed, run.horizon) for run in runs]))
    made = [run.schedule for run in runs]
    alone = online_bound(scenarios, objective, mean, seconds, schedules=made, clairvoyant=True)
    online = online_bound(scenarios, objective, mean, seconds, schedules=made)
    return {
        "calls": sum(instance.call_count for instance in scenarios),
        "policy": mean,
        "online": max(online.value, alone.value),
        "online_is_best": online.is_best,
        "clairvoyant": alone.value,
        "clairvoyant_is_best": alone.is_best,
    }
