"""Both sides of one bracket, and the relaxation's own optimum between them."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from experiments.grid.loads import read_load
from hexsched.baselines import BASELINES, HEXAGENT
from hexsched.clusters import compile_instance, read_cluster
from hexsched.model import Instance
from hexsched.simulator import simulate
from hexsched.workloads.arrivals import apply_arrivals
from hexsched.workloads.families import generate
from solvers.bounds.prices.ascent import Market, tail_bound
from solvers.bounds.prices.bound import market_until
from solvers.bounds.prices.columns import Columns, Prices
from solvers.bounds.prices.relaxation import Relaxation, relax
from solvers.problem.left import cpu_clock, until
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem
from solvers.schedules.search import search

Array = np.ndarray[Any, Any]

FIRST_SEARCH = 0.1  # of the time of the search: the bound is laid out for what it finds, as in ``gap``
PRECISION = 0.003  # relative: of the relaxation's optimum
SHARE_OF_A_SCALE = 0.4  # of the time that is left
FIRST_STEP = 1.04  # beyond what the search for prices proved


def instance_at(cluster: str, family: str, workflows: int, load: str, seed: int = 0) -> Instance:
    """Workflows of a family on a cluster, under a load rule whose rate is searched."""
    pool, rule, flows = read_cluster(cluster), read_load(load), generate(family, workflows, seed)

    def at(rate: float) -> Instance:
        return compile_instance(pool, apply_arrivals(flows, rule.arrivals(rate), seed))

    assert rule.rule.search is not None
    return at(rule.rule.search(at, rule)[0])


def sides(instance: Instance, objective: str, prices: float, columns: float, searching: float) -> dict[str, float]:
    """What each part comes to in so many CPU seconds.

    Returns
    -------
    dict of str to float
        ``half_bound`` and ``bound``: what prices proved in half of their time and in all; ``relaxation_at_least``,
        ``relaxation_at_most``: what prices could prove at the most, at these intervals; ``half_value``, ``value``: of
        the best schedule after half of the time of the search and after all.
    """
    aim, problem = read_objective(objective), offline_problem(instance)
    runs = [simulate(instance, policy) for policy in (HEXAGENT, *BASELINES)]
    best = min(runs, key=lambda run: aim.value(run.arrival, run.completed, run.horizon))
    clock = cpu_clock(1)

    def searched(start: list[Any], seconds: float, seed: int) -> Any:
        return search(
            instance, objective, start=start, time_limit=seconds, workers=1, seed=seed, clock=clock, progress=False
        )

    first = searched([best.schedule], FIRST_SEARCH * searching, 0)
    starts = [first.schedule] + ([] if first.guide is None else [first.guide])
    rest = searched(starts, (1 - FIRST_SEARCH) * searching, 1)
    middle = (0.5 - FIRST_SEARCH) * searching
    half = min([first.value] + [value for seconds, value in rest.series if seconds <= middle])

    x = relax(problem)
    market = market_until(x, float((x.arrival + first.value * x.horizon).max()), 0)
    began, series = clock(), [(0.0, 1.0)]
    needed = x.workflows - aim.dropped(x.workflows)
    bound = tail_bound(
        market,
        needed,
        1.0,
        first.value,
        lambda: max(prices - (clock() - began), 0.0),
        lambda value: series.append((clock() - began, value)),
    )
    low, high = optimum(market, x, needed, bound, rest.value, columns)
    return {
        "half_bound": max(value for seconds, value in series if seconds <= prices / 2),
        "bound": bound,
        "relaxation_at_least": low,
        "relaxation_at_most": high,
        "half_value": half,
        "value": rest.value,
    }


def optimum(
    market: Market, x: Relaxation, needed: int, bound: float, ceiling: float, seconds: float
) -> tuple[float, float]:
    """Between which scales the largest is that prices refute, in the intervals and at the cells of the last proof."""
    program = Columns(x, market.edge, market.coarse.cells, droppable=x.workflows - needed)
    program.know(market)
    low, high, open_from = bound, ceiling, bound  # between the last two nothing has been decided yet
    prices = Prices(market.rate, np.zeros(len(x.join_gap)))
    end = time.process_time() + seconds
    while high > open_from * (1 + PRECISION) and time.process_time() < end:
        scale = math.sqrt(open_from * high) if high < ceiling else min(open_from * FIRST_STEP, ceiling)
        patience = until(end - (1 - SHARE_OF_A_SCALE) * (end - time.process_time()), time.process_time)
        found = program.solve(x.arrival + scale * x.horizon, prices, patience, decide=True)
        if found.upper <= 1:
            high = scale
            continue
        open_from = scale
        if found.lower > 1:
            low, prices = scale, found.prices
    return low, high
