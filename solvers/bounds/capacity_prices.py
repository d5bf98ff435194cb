"""Every second of every machine has a price: Lagrangian relaxation of all capacities, at any size."""

from __future__ import annotations

from solvers.bounds.parts.bound import Bound, Cost
from solvers.bounds.prices import priced_bound
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem


def compute(problem: OfflineProblem, objective: Objective, time_limit: float) -> float:
    """See ``solvers.bounds.prices.priced_bound``, which holds in either decode model."""
    return priced_bound(problem, objective, time_limit).value


BOUND = Bound(
    name="capacity-prices",
    summary="capacities priced, and every workflow's cheapest schedule by dynamic programming",
    citation="Moehring, Schulz, Stork and Uetz, Solving project scheduling problems by minimum cut computations, 2003",
    compute=compute,
    cost=Cost.ANY_TIME,
)
