"""Work that must fit between two instants: the energy argument over time windows."""

from __future__ import annotations

import time

import numpy as np

from solvers.bounds.parts.bound import Bound, Cost
from solvers.bounds.parts.destructive import destructive_bound
from solvers.bounds.parts.pools import Array, Resource, pools, resources
from solvers.problem.objective import Objective
from solvers.problem.offline import ROUNDED_STEPS, OfflineProblem

ANCHORS = 48  # most starts and most ends of windows that are looked at; any choice of windows is valid


def compute(problem: OfflineProblem, objective: Objective, time_limit: float) -> float:
    """Workflows that meet scale s leave only so much work to a window [a, b].

    Take a one-machine relaxation of a stage (``pools.resources``) and a schedule in which the workflows of a set S meet
    s. A call c of S gets all its work between its head and a_w + s H_w minus its tails. If that lies in [a, b], all of
    work[c] is done in [a, b], where no more than rate (b - a) is done. So the workflows of S have together no more than
    that inside, and the workflows outside S number at least as many as the heaviest that must be left out until the
    others fit. The worst window over all resources counts. Workflows left out cost nothing at all, which relaxes.
    """
    relaxations = resources(pools(problem))

    def most_kept(scale: float, seconds: float) -> float:
        stop = time.monotonic() + seconds
        return problem.workflows - max((least_dropped(problem, x, scale, stop) for x in relaxations), default=0)

    return destructive_bound(problem, objective, most_kept, time_limit)


def least_dropped(problem: OfflineProblem, resource: Resource, scale: float, stop: float) -> int:
    """Fewest workflows to leave out so that the others fit into every window, of those looked at in time."""
    w = problem.workflow
    latest = problem.arrival[w] + scale * problem.horizon[w] - problem.tail - resource.tail
    ends = _anchors(latest)
    worst = 0
    for start in _anchors(resource.head):
        if time.monotonic() > stop:
            break
        inside = resource.head >= start
        first_end = np.searchsorted(ends, latest[inside])
        done = np.zeros((len(ends) + 1, problem.workflows))
        np.add.at(done, (first_end, w[inside]), resource.work[inside])
        work = -np.sort(-np.cumsum(done[:-1], axis=0), axis=1)  # heaviest first
        over = work.sum(axis=1) - resource.rate * np.maximum(ends - start, 0.0)
        over -= 1e-9 * resource.work.sum() + resource.rate * ROUNDED_STEPS * np.spacing(np.abs(ends))
        left_out = np.cumsum(work, axis=1)
        dropped = np.where(over > 0, 1 + np.sum(left_out < over[:, None], axis=1), 0)
        worst = max(worst, int(dropped.max()))
    return min(worst, problem.workflows)


def _anchors(times: Array) -> Array:
    found = np.unique(times)
    if len(found) > ANCHORS:
        found = found[np.linspace(0, len(found) - 1, ANCHORS).round().astype(int)]
    return found


BOUND = Bound(
    name="load",
    summary="work of a stage against what it can do between two instants",
    citation="Erschler, Lopez and Thuriot, Raisonnement temporel sous contraintes de ressource, 1991",
    compute=compute,
    cost=Cost.AT_ONCE,
    objectives=("max_ratio", "req", "misses"),
)
