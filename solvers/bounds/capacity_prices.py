"""Every second of every machine has a price: Lagrangian relaxation of all capacities, at any size."""

from __future__ import annotations

from solvers.bounds.parts.bound import Bound, Cost
from solvers.bounds.prices import priced_bound, warm_up
from solvers.problem.bracket import Bracket
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem

NAME = "capacity-prices"


def compute(problem: OfflineProblem, objective: Objective, time_limit: float) -> float:
    """See ``solvers.bounds.prices.priced_bound``, which holds in either decode model."""
    return priced_bound(problem, objective, time_limit).value


def close_in(problem: OfflineProblem, bracket: Bracket, seed: int) -> None:
    """The same, with prices laid out for the best schedule, or an earlier bracket's; each better bound is proved."""
    schedule = bracket.schedule
    priced = priced_bound(
        problem,
        bracket.objective,
        bracket.left,
        completed=None if schedule is None else problem.completed(schedule),
        seed=seed,
        on_bound=lambda value: bracket.prove(value, NAME),
        left=lambda: bracket.open_for,
        clock=bracket.clock,
        start=bracket.prices,
    )
    bracket.keep_prices(priced.prices or bracket.prices)
    bracket.prove(priced.value, NAME, priced.binding)


BOUND = Bound(
    name=NAME,
    summary="capacities priced, and every workflow's cheapest schedule by dynamic programming",
    citation="Moehring, Schulz, Stork and Uetz, Solving project scheduling problems by minimum cut computations, 2003",
    compute=compute,
    close_in=close_in,
    warm_up=warm_up,
    cost=Cost.ANY_TIME,
)
