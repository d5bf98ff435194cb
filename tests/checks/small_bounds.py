"""Lower bounds of small instances, as they were: ``python -m checks.small_bounds`` in ``tests`` writes them anew.

That a bound is below every optimum says nothing of how good it is; what it was, says that it has become no worse.
"""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path

import numpy as np
from instances import corner_instance
from msgspec.structs import replace

from hexsched.model import Instance
from solvers.bounds import BOUNDS, time_indexed_lp
from solvers.bounds.prices.ascent import Market
from solvers.bounds.prices.relaxation import relax
from solvers.bounds.prices.tuning import Tuning
from solvers.bounds.windows import window_bound
from solvers.bounds.windows.window_lp import Level
from solvers.problem.objective import read_objective
from solvers.problem.offline import OfflineProblem, offline_problem

STORED = Path(__file__).with_name("small_bounds.json")
OBJECTIVES = ("max_ratio", "req(0.5)", "mean_ratio", "mean_latency", "misses(1.3)")
SEEDS = tuple(range(6))
SECONDS = 1e6  # nothing here ends by the clock
ANY_TIME = ("capacity-prices",)  # what looks for prices as long as there is time; its proofs are below
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


def priced(seed: int) -> dict[str, list[float]]:
    """Cheapest schedules at prices that are drawn at random, (W,) shares of the supply; and what is owed at least."""
    x = relax(problem(seed))
    rng = np.random.default_rng([seed, 4])
    latest = x.arrival + rng.uniform(1.2, 3.0) * x.horizon
    edge = np.linspace(0.0, float(latest.max()), 4)
    tuning = Tuning(finer=2, proof_token_prices=3, ranges=2)
    market = Market(x, edge, cells=6, workers=1, ranges=2, tuning=tuning)
    market.rate = rng.exponential(size=market.rate.shape)
    market.toll = rng.exponential(size=market.toll.shape) * 0.1
    found = {"costs": market.costs(latest).tolist()}
    market.slowness = rng.exponential(size=x.workflows)
    market.count(np.ones(x.workflows), np.full(x.workflows, 2.0))
    found["owed"] = [market.least_owed(latest)]
    return found


def everything() -> dict[str, dict[str, float] | dict[str, list[float]]]:
    """All of it, as it is stored."""
    return {name: values(name) for name in bound_names()} | {f"prices {seed}": priced(seed) for seed in SEEDS}


if __name__ == "__main__":
    STORED.write_text(json.dumps(everything(), indent=1) + "\n")
