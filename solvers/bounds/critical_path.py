"""What an idle cluster needs: heads, best calls and tails."""

from __future__ import annotations

from solvers.bounds.parts.bound import Bound, Cost
from solvers.bounds.parts.destructive import ROUND_DOWN
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem


def compute(problem: OfflineProblem, objective: Objective, time_limit: float = 0.0) -> float:
    """Every workflow alone on the cluster.

    A call takes best_c or longer from release to completion on any pair of instances, and is released delta_c after its
    last parent. Along the longest path of a workflow that adds up to H_w, so L_w >= H_w and every ratio is 1 or more:
    so are their maximum, their quantiles and their mean; the mean latency is at least the mean of H_w; and a scale
    below 1 is missed by all.
    """
    if objective.kind == "mean_latency":
        return float(problem.horizon.mean())
    if objective.kind == "misses":
        return float(problem.workflows) if objective.parameter < 1 - ROUND_DOWN else 0.0
    return 1.0


BOUND = Bound(
    name="critical-path",
    summary="every workflow alone on the cluster: L_w >= H_w",
    citation="Kelley and Walker, Critical-path planning and scheduling, 1959",
    compute=compute,
    cost=Cost.AT_ONCE,
)
