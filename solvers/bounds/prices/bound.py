"""The priced relaxation as a lower bound of every objective, in either decode model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hexsched.engine.kernel import announce
from hexsched.simulator import simulate, warm_up_simulator
from hexsched.simulator.warm_up import tiny_instance
from solvers.bounds.parts.destructive import ROUND_DOWN
from solvers.bounds.prices.ascent import Market, OnBound, mean_bound, misses_bound, tail_bound
from solvers.bounds.prices.mixture import improve
from solvers.bounds.prices.program import plan_workflows
from solvers.bounds.prices.relaxation import Relaxation, relax
from solvers.bounds.prices.tuning import TUNING, Tuning
from solvers.problem.left import Clock, Left, until, wall_clock
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem, offline_problem

Array = np.ndarray[Any, Any]

ANY_POLICY = "hexagent"

announce(improve, "the bound by prices", 7)
announce(plan_workflows, "proofs by prices", 3)


@dataclass(frozen=True)
class PricedBound:
    """A lower bound and what it rests on.

    Attributes
    ----------
    value : float
    binding : dict of str to float
        Share of the proof that each resource carries: "prefill A100", "decode H100", "KV cache H100". They sum to 1.
    passes : int
        Passes of price improvement.
    seconds : float
    """

    value: float
    binding: dict[str, float]
    passes: int
    seconds: float


def priced_bound(
    problem: OfflineProblem,
    objective: Objective,
    time_limit: float,
    *,
    completed: Array | None = None,
    workers: int = 1,
    seed: int = 0,
    on_bound: OnBound | None = None,
    left: Left | None = None,
    clock: Clock = wall_clock,
    tuning: Tuning = TUNING,
) -> PricedBound:
    """A value that no schedule of the instance can beat, by Lagrangian relaxation of all capacities.

    Give every second of every type of machine a price. A schedule that keeps to the capacities pays no more for what it
    uses than all supply is worth. Freed from capacities, workflows do not meet, and the cheapest schedule of each, with
    its precedences (a forest of them), delays, places and speeds, is a dynamic program (``program``). Where a call has
    more parents than the one in the forest, that it starts no earlier than these end has a price too: a toll on every
    second by which it does. No schedule pays tolls, on balance. For *any* prices and tolls:

    - tails: when the cheapest ``needed`` workflows that are in time for scale s cost more than the supply, no schedule
      has so many workflows in time. ``req(q)`` needs all but floor((1 - q) W) of them, whichever those are;
    - misses: no more workflows meet s than the cheapest that the supply pays for;
    - means: slack at the end of workflows has a price as well; at that price all slack is worth what the cheapest
      schedules pay, slack included, less the supply.

    It is never below the critical path's bound.

    What a call uses of a decode instance is its share of the time of iterations in the largest batch in which it could
    be as fast as it is (``relaxation.relax``); how fast that is follows from a price of tokens (``decode``). Costs are
    functions of slack that are kept on a grid, nowhere above the true ones (``grid``). Prices are looked for by
    pairwise Frank-Wolfe steps on a smooth version of the primal (``mixture``, ``ascent``); that search proves nothing,
    and needs to be neither exact nor finished.

    Parameters
    ----------
    problem : OfflineProblem
    objective : Objective
    time_limit : float
        Seconds; valid however early the time runs out.
    completed : (W,) float array, optional
        Completion of each workflow in a known schedule, to choose grids by; a policy's when absent.
    workers : int
        Threads for proofs; the search for prices uses one.
    seed : int
        Of the order in which workflows are looked at.
    on_bound : callable, optional
        Called with each better bound.
    left : callable, optional
        Seconds for which to go on, where something else than the time may end it.
    clock : callable
        What these seconds are told by.
    tuning : Tuning

    References
    ----------
    Held and Karp, The traveling-salesman problem and minimum spanning trees: part II, 1971. Moehring, Schulz, Stork and
    Uetz, Solving project scheduling problems by minimum cut computations, 2003, price the resources of projects in the
    same way. Lacoste-Julien, Jaggi, Schmidt and Pletscher, Block-coordinate Frank-Wolfe optimization, 2013.
    """
    began = clock()
    left = left or until(began + time_limit, clock)
    if completed is None:
        completed = problem.completed(simulate(problem.instance, ANY_POLICY).schedule)
    x = relax(problem)
    ceiling = objective.value(x.arrival, completed, x.horizon)
    kind = objective.kind
    tell = _within_rounding(objective, on_bound)
    base = 1.0
    if kind in ("mean_ratio", "mean_latency"):
        weight = np.ones(x.workflows) if kind == "mean_ratio" else x.horizon
        base = float(weight.mean())
        if ceiling <= base * (1 + ROUND_DOWN):
            return PricedBound(base, {}, 0, clock() - began)
        excess = (completed - x.arrival) / x.horizon - 1
        most = excess + float(excess.mean())
        end = float((x.arrival + (1 + most) * x.horizon).max())
        market = market_until(x, end, seed, workers, tuning, tuning.ranges, clock)
        found = mean_bound(
            market,
            weight / x.workflows,
            most,
            ceiling - base,
            left,
            None if tell is None else lambda value: tell(base + value),
        )
        value = max(base, (base + found) * (1 - ROUND_DOWN))
    elif kind == "misses":
        scale = objective.parameter * (1 + ROUND_DOWN)  # a ratio that is over s by rounding alone meets it
        if objective.parameter < 1 - ROUND_DOWN:
            return PricedBound(float(x.workflows), {}, 0, clock() - began)
        market = market_until(x, float((x.arrival + scale * x.horizon).max()), seed, workers, tuning, clock=clock)
        value = float(misses_bound(market, scale, 0, left, tell))
    else:
        if ceiling <= 1 + ROUND_DOWN:
            return PricedBound(base, {}, 0, clock() - began)
        market = market_until(x, float((x.arrival + ceiling * x.horizon).max()), seed, workers, tuning, clock=clock)
        needed = x.workflows - objective.dropped(x.workflows)
        value = max(base, tail_bound(market, needed, base, ceiling, left, tell) * (1 - ROUND_DOWN))
    return PricedBound(value, _binding(x, market), market.passes, clock() - began)


@cache
def warm_up() -> None:
    """Compile what ``priced_bound`` runs, before its clock starts."""
    warm_up_simulator()
    x = relax(offline_problem(tiny_instance()))
    latest = x.arrival + 2 * x.horizon
    market = market_until(x, float(latest.max()), 0)
    market.improve(latest, 1.0)
    market.costs(latest)


def market_until(
    x: Relaxation,
    end: float,
    seed: int,
    workers: int = 1,
    tuning: Tuning = TUNING,
    ranges: int = 1,
    clock: Clock = wall_clock,
) -> Market:
    """Prices from time 0 to ``end``, none as yet."""
    cells = tuning.cells if len(x.head) < tuning.large else tuning.cells_of_large
    edge = np.linspace(0.0, end, tuning.intervals + 1)
    return Market(x, edge, cells=cells, workers=workers, ranges=ranges, seed=seed, tuning=tuning, clock=clock)


def _within_rounding(objective: Objective, on_bound: OnBound | None) -> OnBound | None:
    if on_bound is None or objective.kind == "misses":
        return on_bound
    return lambda value: on_bound(value * (1 - ROUND_DOWN))


def _binding(x: Relaxation, market: Market) -> dict[str, float]:
    """Value of each resource's supply at the best prices, as a share of all."""
    value = (market.rate * market.supply).sum(axis=1)
    if value.sum() <= 0:
        return {}
    names = [f"prefill {gpu}" for gpu in x.prefill_gpus]
    names += [f"decode {gpu}" for gpu in x.decode_gpus] + [f"KV cache {gpu}" for gpu in x.decode_gpus]
    shares: dict[str, float] = {}
    for name, share in zip(names, (value / value.sum()).tolist(), strict=True):
        shares[name] = shares.get(name, 0.0) + share  # types may differ in links alone
    return shares
