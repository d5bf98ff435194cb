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
    waited, _ = preemptive(resource.head, resource.work / resource.rate, lambda c, _: latest[c])
    return bool(np.any(waited > latest - resource.head + problem.rounding + 1e-9 * np.abs(waited)))


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
    last = float(weight @ (busy + work / 2))  # since the heads
    if np.all(weight == weight[0]):
        flow, _ = preemptive(head, work, lambda _, left: left)
        last = max(last, float(weight @ flow))
    return (last + float(weight @ (head - problem.arrival + tail))) / size


def preemptive(head: Array, work: Array, key: Callable[[int, float], float]) -> tuple[Array, Array]:
    """Run jobs on one machine, always an available one with the least ``key(job, work left)``.

    The clock starts anew whenever the machine has been idle, and what is returned counts from the heads: sums over
    times of day would lose the durations that matter, and squares of such times even more.

    Returns
    -------
    flow, busy : (n,) float arrays
        Seconds from the head of each job to its completion, and to its mean busy time.
    """
    order = np.argsort(head, kind="stable")
    flow, moment = np.zeros(len(head)), np.zeros(len(head))
    left = work.astype(float)
    available: list[tuple[float, int]] = []
    since = np.zeros(len(head))  # heads, since the machine was last idle
    idle_until, now, k = 0.0, 0.0, 0
    while k < len(order) or available:
        if not available:
            idle_until, now = float(head[order[k]]), 0.0
        while k < len(order) and head[order[k]] - idle_until <= now:
            job = int(order[k])
            since[job] = head[job] - idle_until
            heapq.heappush(available, (key(job, left[job]), job))
            k += 1
        _, job = heapq.heappop(available)
        seconds = left[job]
        if k < len(order) and head[order[k]] - idle_until < now + seconds:
            seconds = float(head[order[k]] - idle_until) - now
            left[job] -= seconds
            heapq.heappush(available, (key(job, left[job]), job))
            until = float(head[order[k]] - idle_until)
        else:
            left[job] = 0.0
            until = now + seconds
            flow[job] = until - since[job]
        moment[job] += seconds * (now - since[job] + seconds / 2)
        now = until
    return flow, np.divide(moment, work, out=np.zeros(len(head)), where=work > 0)


BOUND = Bound(
    name="single-machine",
    summary="each stage as one preemptive machine with heads and tails",
    citation="Carlier, The one-machine sequencing problem, 1982; Goemans, 1997",
    compute=compute,
    cost=Cost.AT_ONCE,
    objectives=("max_ratio", "mean_ratio", "mean_latency"),
)
