"""Choosing the arrival rate: the paper states none, so a stated rule stands in for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.rates import FASTEST, SLOWEST
from hexsched.baselines import BASELINES
from hexsched.clusters import ClusterSpec, compile_cluster, compile_instance
from hexsched.clusters.source import cluster as find_cluster
from hexsched.errors import InputError
from hexsched.model import Instance, Workflow
from hexsched.policies import as_policy
from hexsched.policies.lists import read_policies
from hexsched.progress import Progress, Wanted
from hexsched.simulator import simulate
from hexsched.workloads.arrivals import apply_arrivals
from hexsched.workloads.arrivals.renewal import FixedArrivals
from hexsched.workloads.families import Family
from hexsched.workloads.source import select_fitting
from hexsched.workloads.source import workload as find_workload

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


def find_load(
    cluster: str | Path | Mapping[str, Any] | ClusterSpec,
    workload: str | Path | Family | Iterable[Workflow],
    target: float = 5.6,
    baselines: Any = BASELINES,
    *,
    workflows: int | None = None,
    max_context: int | None = None,
    leave_out_oversize: bool = False,
    seed: int = 0,
    format: str | None = None,
    progress: Wanted = None,
    **options: Any,
) -> Load:
    """The fixed arrival rate at which the strongest baseline needs a stated SLO scale for 95 % attainment.

    The paper states no rates; this is one rule that can stand in for them.

    Parameters
    ----------
    cluster, workload
        As in ``hexsched.instance``.
    target : float
        Req95 that the strongest baseline is to need.
    baselines : str, Policy, or iterable of these
        As in ``hexsched.compare``.
    workflows, max_context, leave_out_oversize, seed, format, **options
        As in ``hexsched.instance``.
    progress : bool or callable, optional
        False for no line that says how far it is; a function is called in its place with (steps done, steps).

    Returns
    -------
    Load
        ``load.rate`` workflows a second; as ``arrivals``: ``f"fixed:{load.rate:g}"``.

    Raises
    ------
    InputError
        As ``hexsched.instance``.

    Examples
    --------
    >>> import experiments
    >>> experiments.find_load("demo", "bfcl", 2.0, "fcfs", workflows=5).baseline
    'fcfs'
    """
    if not target >= 1:
        raise InputError(
            f"target must be at least 1: no ratio of latency to standalone horizon is below, got {target:g}"
        )
    spec = find_cluster(cluster)
    drawn = find_workload(workload, workflows=workflows, seed=seed, format=format, **options)
    where = f"workload {drawn.name}" if drawn.name else "workload"
    kept, _ = select_fitting(drawn, compile_cluster(spec).largest_kv_cache, max_context, leave_out_oversize, where)
    with Progress("searching the load", "steps", progress) as report:
        return stress_load(spec, kept, read_policies(baselines), target, report)


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
