"""The priced relaxation as a lower bound of every objective, in either decode model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hexsched.engine.announcing import announce
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
from solvers.problem.prices import KeptPrices

Array = np.ndarray[Any, Any]

ANY_POLICY = "hexagent"
MOST_INTERVALS = 10_000  # of prices that are gone on from
TINY, FAR = 1e-100, 1e9  # least worth of all supply, and the most that one that is owed may cost over it

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
    prices : KeptPrices or None
        Those that proved it; None where it took none.
    """

    value: float
    binding: dict[str, float]
    passes: int
    seconds: float
    prices: KeptPrices | None = None


@dataclass(frozen=True)
class Question:
    """What an objective asks of prices, laid out for a known schedule.

    Attributes
    ----------
    relaxation : Relaxation
    objective : Objective
    base : float
        No schedule is below it, whatever the prices.
    ceiling : float
        The value of the known schedule.
    is_settled : bool
        Whether prices can prove no more than ``base``.
    weight, most : (W,) float arrays
        For means: what a ratio adds to the objective, and ratios less 1 up to which schedules are looked at.
    """

    relaxation: Relaxation
    objective: Objective
    base: float
    ceiling: float
    is_settled: bool
    weight: Array
    most: Array

    @property
    def is_mean(self) -> bool:
        """Whether the objective is a mean."""
        return self.objective.kind in ("mean_ratio", "mean_latency")

    @property
    def needed(self) -> int:
        """For tails: workflows that have to be in time."""
        return self.relaxation.workflows - self.objective.dropped(self.relaxation.workflows)

    @property
    def highest(self) -> Array:
        """(W,) or one float: ratios up to which schedules are looked at."""
        if self.is_mean:
            return 1 + self.most
        if self.objective.kind == "misses":
            # a ratio that is over s by rounding alone meets it
            return np.asarray(self.objective.parameter * (1 + ROUND_DOWN))
        return np.asarray(self.ceiling)

    def latest(self, ratio: Array | float) -> Array:
        """(W,) seconds at which a workflow of that ratio completes."""
        return np.asarray(self.relaxation.arrival + ratio * self.relaxation.horizon)

    def market(
        self,
        seed: int,
        workers: int = 1,
        tuning: Tuning = TUNING,
        clock: Clock = wall_clock,
        start: KeptPrices | None = None,
    ) -> Market:
        """Prices until all of these schedules end, none as yet where there are none to start from."""
        end = float(self.latest(self.highest).max())
        ranges = tuning.ranges if self.is_mean else 1
        return market_until(self.relaxation, end, seed, workers, tuning, ranges, clock, start)

    def search(self, market: Market, left: Left, on_bound: OnBound | None = None, first: float = 0.0) -> float:
        """Look for prices; a value that no schedule can beat, and each better one is told, rounding not taken off.

        ``first`` is a scale that the prices at hand may refute.
        """
        base, tell = self.base, on_bound
        if self.is_mean:
            found = mean_bound(
                market,
                self.weight,
                self.most,
                self.ceiling - base,
                left,
                None if tell is None else lambda value: tell(base + value),
            )
            return max(base, (base + found) * (1 - ROUND_DOWN))
        if self.objective.kind == "misses":
            return float(misses_bound(market, float(self.highest), 0, left, tell))
        return max(base, tail_bound(market, self.needed, base, self.ceiling, left, tell, first) * (1 - ROUND_DOWN))


def ask(x: Relaxation, objective: Objective, completed: Array, tuning: Tuning = TUNING) -> Question:
    """What an objective asks of prices.

    Parameters
    ----------
    x : Relaxation
    objective : Objective
    completed : (W,) float array
        Completion of each workflow in a known schedule.
    tuning : Tuning
    """
    ceiling = objective.value(x.arrival, completed, x.horizon)
    weight, most, base = np.zeros(0), np.zeros(0), 1.0
    settled = ceiling <= 1 + ROUND_DOWN
    if objective.kind == "misses":
        # where none can be in time, all are late
        settled = objective.parameter < 1 - ROUND_DOWN
        base = float(x.workflows) if settled else 0.0
    elif not objective.is_tail:
        share = np.ones(x.workflows) if objective.kind == "mean_ratio" else x.horizon
        base = float(share.mean())
        settled = ceiling <= base * (1 + ROUND_DOWN)
        weight, excess = share / x.workflows, (completed - x.arrival) / x.horizon - 1
        evenly = (ceiling - base) / (x.workflows * weight)  # as if all were late by as much of the objective
        reach = tuning.reach_of_small if len(x.head) < tuning.small else tuning.reach
        # a workflow that is late by all of it is in no better schedule
        most = np.minimum(excess + reach * evenly, x.workflows * evenly)
    return Question(x, objective, base, ceiling, settled, weight, most)


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
    start: KeptPrices | None = None,
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
    start : KeptPrices, optional
        What an earlier search ended with, for this instance and objective: what they prove is proved first, and they
        are where the search sets out. Left aside where they do not fit the instance.

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
    asked = ask(relax(problem), objective, completed, tuning)
    if asked.is_settled:
        return PricedBound(asked.base, {}, 0, clock() - began)
    market = asked.market(seed, workers, tuning, clock, start)
    tell, first = _within_rounding(objective, on_bound), 0.0 if start is None else start.scale
    value = asked.search(market, left, tell, first)
    kept = _kept(market, value if objective.is_tail else 0.0)
    return PricedBound(value, _binding(asked.relaxation, market), market.passes, clock() - began, kept)


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
    start: KeptPrices | None = None,
) -> Market:
    """Prices from time 0 to ``end``, none as yet; those of ``start`` where they are of such a market."""
    cells = tuning.cells if len(x.head) < tuning.large else tuning.cells_of_large
    edge = np.linspace(0.0, end, tuning.intervals + 1)
    fits = start is not None and fit(x, start)
    if start is not None and fits:
        cells, edge = start.cells, np.array(start.edge)
    market = Market(x, edge, cells=cells, workers=workers, ranges=ranges, seed=seed, tuning=tuning, clock=clock)
    if start is not None and fits:
        rate = np.array(start.rate)
        worth = float((rate * market.supply).sum())
        market.begin_at(rate / worth, np.array(start.toll) / worth, start.owed / worth)
    return market


def fit(x: Relaxation, kept: KeptPrices) -> bool:
    """Whether these can be prices of the instance: of its resources and joins, and none that only rounding makes."""
    edge, toll = np.array(kept.edge), np.array(kept.toll)
    rows = len(x.prefill_count) + 2 * len(x.decode_count)
    if len(kept.rate) != rows or len(toll) != len(x.join_gap):
        return False
    if not 1 < len(edge) <= MOST_INTERVALS + 1 or any(len(row) != len(edge) - 1 for row in kept.rate):
        return False
    if edge[0] != 0 or (np.diff(edge) <= 0).any():
        return False
    count = np.concatenate([x.prefill_count, x.decode_count, x.decode_count])
    worth = float(count @ np.array(kept.rate) @ np.diff(edge))
    return TINY < worth < np.inf and not (toll > worth).any() and kept.owed <= FAR * worth


def _kept(market: Market, scale: float) -> KeptPrices | None:
    """What the market has proved most with, where that is any price at all."""
    best = market.proving
    if best is None or not best.rate.any():
        return None
    return KeptPrices(
        edge=tuple(best.edge.tolist()),
        rate=tuple(tuple(map(float, row)) for row in best.rate),
        toll=tuple(best.toll.tolist()),
        owed=best.owed,
        cells=best.cells,
        scale=scale,
    )


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
