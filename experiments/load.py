"""Choosing the arrival rate: the paper states none, so a stated rule stands in for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.rates import FASTEST, SLOWEST
from hexsched.clusters import ClusterSpec, compile_instance
from hexsched.model import Instance, Workflow
from hexsched.policies import as_policy
from hexsched.simulator import simulate
from hexsched.workloads.arrivals import apply_arrivals
from hexsched.workloads.arrivals.renewal import FixedArrivals

STEPS = 14  # halvings of the range on a logarithmic scale: the rate is found to 0.1 %


@dataclass(frozen=True)
class Load:
    """A rate and what it does.

    Attributes
    ----------
    rate : float
        Workflows a second, at a fixed distance (as in the paper).
    req95 : float
        The strongest baseline's Req95 at that rate.
    baseline : str
        Which baseline that is.
    reached : bool
        False when not even the fastest rate makes Req95 as large as was asked for.
    """

    rate: float
    req95: float
    baseline: str
    reached: bool


def stress_load(
    cluster: ClusterSpec,
    workflows: Sequence[Workflow],
    baselines: Sequence[Any],
    target: float,
    progress: Callable[[int, int], None] | None = None,
) -> Load:
    """The highest rate found at which the strongest baseline's Req95 is still at most ``target``.

    ``baselines`` are names, or whatever ``hexsched.policies.as_policy`` takes.

    Bisection; Req95 need not grow everywhere with the rate, so this is one crossing, always the same.
    """
    return find_stress(lambda rate: at_rate(cluster, workflows, rate), baselines, target, progress)


def find_stress(
    instance_at: Callable[[float], Instance],
    baselines: Sequence[Any],
    target: float,
    progress: Callable[[int, int], None] | None = None,
) -> Load:
    """As ``stress_load``, given what makes the instance of a rate."""

    def at(rate: float) -> tuple[float, str]:
        instance = instance_at(rate)
        return min((simulate(instance, policy).metrics.req95, policy.name) for policy in map(as_policy, baselines))

    strongest, name = at(FASTEST)
    if strongest <= target:
        return Load(FASTEST, strongest, name, reached=False)
    low, high = math.log(SLOWEST), math.log(FASTEST)
    for step in range(STEPS):
        middle = (low + high) / 2
        if at(math.exp(middle))[0] <= target:
            low = middle
        else:
            high = middle
        if progress is not None:
            progress(step + 1, STEPS)
    rate = float(f"{math.exp(low):.4g}")
    return Load(rate, *at(rate), reached=True)


def at_rate(cluster: ClusterSpec, workflows: Sequence[Workflow], rate: float) -> Instance:
    """The instance in which these workflows arrive at a fixed rate."""
    return compile_instance(cluster, apply_arrivals(workflows, FixedArrivals(rate), 0))
