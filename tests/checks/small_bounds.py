"""Lower bounds of small instances, as they were: ``python -m checks.small_bounds`` in ``tests`` writes them anew.

That a bound is below every optimum says nothing of how good it is; what it was, says that it has become no worse.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from instances import corner_instance
from msgspec.structs import replace

from hexsched.model import Instance
from solvers.bounds import BOUNDS, preemptive_lp, time_indexed_lp
from solvers.bounds.parts.linear import Program
from solvers.bounds.parts.pools import pools, resources
from solvers.bounds.prices.ascent import Market
from solvers.bounds.prices.relaxation import relax
from solvers.bounds.prices.tuning import Tuning
from solvers.bounds.windows import window_bound, window_lp
from solvers.bounds.windows.window_lp import Level
from solvers.problem.objective import read_objective
from solvers.problem.offline import OfflineProblem, offline_problem

STORED = Path(__file__).with_name("small_bounds.json")
OBJECTIVES = ("max_ratio", "req(0.5)", "mean_ratio", "mean_latency", "misses(1.3)")
SEEDS = tuple(range(6))
SECONDS = 1e6  # nothing here ends by the clock
ANY_TIME = ("capacity-prices", "groups")  # what looks for prices as long as there is time; its proofs are below
COARSE = {
    "time-indexed-lp": {"tuning": time_indexed_lp.Tuning(resolutions=(6,), precision=0.05)},
    "window-lp": {
        "tuning": window_bound.Tuning(precision=0.05, mean_precision=0.05, halvings=3),
        "levels": (Level(6, batches=(2, 8)),),
    },
}


@cache
def problem(seed: int) -> OfflineProblem:
    """Two or three workflows that get in each other's way, by turns in both decode models."""
    rng = np.random.default_rng([seed, 58])
    fluid = seed % 2 == 1
    count, calls = (3, (1, 2)) if fluid else ((3, (1, 1)), (2, (2, 2)))[seed // 2 % 2]
    drawn = corner_instance(
        rng,
        workflows=(count, count),
        calls=calls,
        decode_model="fluid" if fluid else "fixed",
        arrivals="spread" if seed == 2 else "together",
        room="loose" if seed == 3 else "barely",
        transfers="slow",
    )
    flows = tuple(replace(flow, arrival=flow.arrival / 10) for flow in drawn.workflows)
    return offline_problem(_thinned(replace(drawn, workflows=flows), 1 + seed % 3 % 2))


def _thinned(drawn: Instance, most: int) -> Instance:
    """One instance for prefill and few for decode: queues come about."""
    prefill, decode = drawn.prefill[:1], drawn.decode[:most]
    kept = {machine.id for machine in (*prefill, *decode)}
    links = tuple(link for link in drawn.links if {link.source, link.to} <= kept)
    return replace(drawn, prefill=prefill, decode=decode, links=links)


def bound_names() -> list[str]:
    """The bounds that come with solvers and end by themselves."""
    return sorted(name for name in BOUNDS if name not in ANY_TIME)


def values(name: str) -> dict[str, float]:
    """What a bound says of every small instance and objective for which it holds."""
    found = {}
    for seed in SEEDS:
        for text in OBJECTIVES:
            objective = read_objective(text)
            if BOUNDS[name].holds_for(problem(seed), objective):
                compute = partial(BOUNDS[name].compute, **COARSE.get(name, {}))
                found[f"{seed} {text}"] = compute(problem(seed), objective, SECONDS)
    return found


@cache
def larger(seed: int) -> OfflineProblem:
    """Four workflows with delays, joins and instances of several types: nothing is solved, so it may be larger."""
    drawn = corner_instance(
        np.random.default_rng([seed, 59]),
        workflows=(4, 4),
        calls=(2, 5),
        decode_model=("fixed", "fluid")[seed % 2],
        arrivals="spread",
        delays="some",
        transfers="slow",
        room=("barely", "loose")[seed // 2],
    )
    return offline_problem(drawn)


LARGER = range(4)
NAMES = ("prefill_gpus", "decode_gpus")  # of what has no numbers


def traces(*arrays: Any) -> list[float]:
    """A few numbers of each array that change with each of its entries, and with their places."""
    found: list[float] = []
    for array in arrays:
        values = np.asarray(array, dtype=float).ravel()
        values = np.where(np.isfinite(values), values, -7.0)
        found += [float(len(values)), float(values.sum()), float(values @ np.cos(np.arange(len(values))))]
    return found


def traced(program: Program) -> list[float]:
    """The same of a linear program: it need not be solved, and solvers may differ."""
    matrix = program._matrix().tocoo()
    order = np.lexsort((matrix.col, matrix.row))
    cost, upper, rhs = (np.concatenate(part) for part in (program._cost, program._upper, program._rhs))
    return traces(matrix.row[order], matrix.col[order], matrix.data[order], cost, upper, rhs)


def programs(seed: int) -> dict[str, list[float]]:
    """Linear programs of some scales, and what they are made of."""
    own = larger(seed)
    cluster, paths, stop = pools(own), preemptive_lp.path_cover(own), math.inf
    found = {
        "paths": traces(*paths),
        "relaxations": [n for x in resources(cluster) for n in traces(x.work, x.head, x.tail, x.rate)],
        "demands": traces(*cluster.demands),
    }
    level, tuning = Level(7, batches=(2, 8)), time_indexed_lp.Tuning()
    family = window_bound._Family(own, paths, level, own.horizon, stop, window_bound.Tuning())
    found["modes"] = [n for modes in family.modes for mode in modes for n in traces(*mode)]
    for scale in (1.05, 1.3, 2.5):
        grid = window_lp.time_grid(own, scale, 2 * scale, level)
        window = window_lp.WindowLP(own, paths, family.modes, scale, grid, level, own.horizon)
        found[f"windows {scale}"] = traces(grid) + traced(window.program)
        if not own.fluid:
            found[f"preemptive {scale}"] = traced(preemptive_lp._Model(cluster, paths, scale, stop).program)
            found[f"time-indexed {scale}"] = traced(time_indexed_lp._Kept(cluster, 5, scale, tuning, stop).program)
    if not own.fluid:
        for unit in (own.horizon, np.ones(own.workflows)):
            found[f"mean {unit[0] == 1}"] = traced(time_indexed_lp._Mean(cluster, 5, unit, tuning, stop).program)
    return found


def priced(seed: int) -> dict[str, list[float]]:
    """Cheapest schedules at prices that are drawn at random: what each workflow pays and uses, and what is owed."""
    x = relax(larger(seed))
    found = {"relaxation": [n for f in fields(x) if f.name not in NAMES for n in traces(getattr(x, f.name))]}
    for draw in range(4):
        rng = np.random.default_rng([seed, draw])
        latest = x.arrival + rng.uniform(1.05, 2.0) * x.horizon
        edge = np.concatenate([[0.0], np.sort(rng.uniform(0, latest.max(), 4)), [float(latest.max())]])
        tuning = Tuning(finer=2, proof_token_prices=3 + draw, ranges=1 + draw % 3)
        market = Market(x, edge, cells=4 + 2 * draw, workers=1 + draw % 2, ranges=tuning.ranges, tuning=tuning)
        market.rate = rng.exponential(size=market.rate.shape) * (rng.random(market.rate.shape) < 0.7)
        market.toll = rng.exponential(size=market.toll.shape) * 0.1
        found[f"costs {draw}"] = market.costs(latest).tolist()
        prices = market.fine.prices(market.rate, edge, market.toll, 2.0, rng.exponential(size=x.workflows) * 0.01)
        found[f"use {draw}"] = [n for part in market.fine.plan(prices, latest) for n in traces(part)]
        market.slowness = rng.exponential(size=x.workflows)
        market.count(np.ones(x.workflows), np.full(x.workflows, 2.0))
        found[f"owed {draw}"] = [market.least_owed(latest)]
    return found


def dense(seed: int) -> dict[str, list[float]]:
    """The same where prices change several times within a cell, and when each call of a workflow begins and ends."""
    x = relax(larger(seed))
    found = {}
    for draw in range(2):
        rng = np.random.default_rng([seed, draw, 1])
        latest = x.arrival + rng.uniform(1.3, 2.5) * x.horizon
        edge = np.concatenate([[0.0], np.sort(rng.uniform(0, latest.max(), 29)), [float(latest.max())]])
        market = Market(x, edge, cells=5 + 7 * draw, workers=1, ranges=1 + draw, tuning=Tuning())
        rate = rng.exponential(size=market.rate.shape) * (rng.random(market.rate.shape) < 0.8)
        toll = rng.exponential(size=market.toll.shape) * 0.1
        cost, use = market.fine.plan(market.fine.prices(rate, edge, toll, 2.0), latest)
        scratch = market.fine._free[-1]  # as the last workflow left it
        found[f"plan {draw}"] = traces(cost, use, scratch.began, scratch.ended)
    return found


def everything() -> dict[str, dict[str, float] | dict[str, list[float]]]:
    """All of it, as it is stored."""
    found = {name: values(name) for name in bound_names()} | {f"prices {seed}": priced(seed) for seed in LARGER}
    found |= {f"dense {seed}": dense(seed) for seed in LARGER}
    return found | {f"programs {seed}": programs(seed) for seed in LARGER}


if __name__ == "__main__":
    STORED.write_text(json.dumps(everything(), indent=1) + "\n")
