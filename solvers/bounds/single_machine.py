"""Each stage as one preemptive machine with heads and tails."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from solvers.bounds import critical_path
from solvers.bounds.parts.bound import Bound, Cost
from solvers.bounds.parts.destructive import ROUND_DOWN, destructive_bound
from solvers.bounds.parts.pools import Array, Resource, pools, resources
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem


def compute(problem: OfflineProblem, objective: Objective, time_limit: float) -> float:
    """The best of the one-machine relaxations of ``pools.resources``; the functions below say why each holds."""
    relaxations = resources(pools(problem))
    floor = critical_path.compute(problem, objective)
    if objective.kind == "max_ratio":

        def most_kept(scale: float, _: float) -> float:
            return problem.workflows - any(_is_late(problem, x, scale) for x in relaxations)

        return max(floor, destructive_bound(problem, objective, most_kept, time_limit))
    weight = np.ones(problem.workflows) if objective.kind == "mean_latency" else 1.0 / problem.horizon
    found = (_mean(problem, x, weight) for x in relaxations)
    return max(floor, (1 - ROUND_DOWN) * max(found, default=0.0))


def _is_late(problem: OfflineProblem, resource: Resource, scale: float) -> bool:
    """Whether one machine cannot do all calls between their heads and the deadlines of ``scale``.

    Whatever a schedule does on the stage, giving the machine to each call in the same amounts at the same times is
    feasible for the machine (``pools.resources``). With preemption, earliest deadline first meets all deadlines if
    anything does (Jackson's preemptive schedule); so when it is late, no schedule has all ratios <= scale.
    """
    w = problem.workflow
    latest = problem.arrival[w] + scale * problem.horizon[w] - problem.tail - resource.tail
    completed, _ = preemptive(resource.head, resource.work / resource.rate, lambda c, _: latest[c])
    return bool(np.any(completed > latest + 1e-9 * np.abs(completed)))


def _mean(problem: OfflineProblem, resource: Resource, weight: Array) -> float:
    """Lower bound of the mean of weight (C - a).

    A workflow is one job: the work of its calls, from its earliest head on; it completes its least tail after the last
    of its work or later. On one preemptive machine,
    (1) shortest remaining time first minimises the sum of completions (Schrage, 1968), for equal weights;
    (2) running the available job with the largest weight/work minimises the weighted sum of mean busy times M, and
    C >= M + work / 2 at full rate (Goemans, Improved approximation algorithms for scheduling with release dates, 1997).
    """
    w, size = problem.workflow, problem.workflows
    head, tail = np.full(size, np.inf), np.full(size, np.inf)
    np.minimum.at(head, w, resource.head)
    np.minimum.at(tail, w, resource.tail + problem.tail)
    work = np.bincount(w, resource.work, size) / resource.rate
    _, busy = preemptive(head, work, lambda j, _: -weight[j] / max(work[j], 1e-300))
    last = float(weight @ (busy + work / 2))
    if np.all(weight == weight[0]):
        completed, _ = preemptive(head, work, lambda _, left: left)
        last = max(last, float(weight @ completed))
    return (last + float(weight @ (tail - problem.arrival))) / size


def preemptive(head: Array, work: Array, key: Callable[[int, float], float]) -> tuple[Array, Array]:
    """Run jobs on one machine, always an available one with the least ``key(job, work left)``.

    Returns
    -------
    completed, busy : (n,) float arrays
        Completion and mean busy time of each job, seconds.
    """
    order = np.argsort(head, kind="stable")
    completed, moment = head.astype(float), np.zeros(len(head))
    left = work.astype(float)
    available: list[tuple[float, int]] = []
    now, k = 0.0, 0
    while k < len(order) or available:
        if not available:
            now = max(now, float(head[order[k]]))
        while k < len(order) and head[order[k]] <= now:
            job = int(order[k])
            heapq.heappush(available, (key(job, left[job]), job))
            k += 1
        _, job = heapq.heappop(available)
        until = now + left[job]
        if k < len(order) and head[order[k]] < until:
            until = float(head[order[k]])
            left[job] -= until - now
            heapq.heappush(available, (key(job, left[job]), job))
        else:
            left[job] = 0.0
            completed[job] = until
        moment[job] += (until - now) * (until + now) / 2
        now = until
    return completed, np.divide(moment, work, out=completed.copy(), where=work > 0)


BOUND = Bound(
    name="single-machine",
    summary="each stage as one preemptive machine with heads and tails",
    citation="Carlier, The one-machine sequencing problem, 1982; Goemans, 1997",
    compute=compute,
    cost=Cost.AT_ONCE,
    objectives=("max_ratio", "mean_ratio", "mean_latency"),
)
