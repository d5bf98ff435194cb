"""The bounds of ``solvers.fluid`` against the best known schedules of many tiny instances.

``python -m reference.fluid_containment`` in ``tests/`` prints how often a bound is above one (never, or it is wrong),
and how near it comes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
from msgspec.structs import replace

from hexsched.model import Instance
from hexsched.policies import policies
from hexsched.simulator import simulate
from reference.exhaustive import Value, largest, mean_latency, mean_ratio, misses, required
from reference.fluid_optimum import event_optima
from reference.instances import random_instance
from solvers.bounds.windows.window_bound import window_lp_bound
from solvers.bounds.windows.window_lp import Level
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem

INSTANCES = 300
STEPS = 3_000  # of the exhaustive search: about a second
LEVELS = (Level(12),)
SECONDS = 60.0  # never reached on these sizes
OBJECTIVES: Mapping[str, Value] = {
    "max_ratio": largest,
    "req(0.5)": required("0.5"),
    "mean_ratio": mean_ratio,
    "mean_latency": mean_latency,
    "misses(1.1)": misses(1.1),
}


def tiny(seed: int, decode_model: str = "fluid") -> Instance:
    """Two workflows of one or two calls on one or two instances a stage, arriving close together."""
    rng = np.random.default_rng(seed)
    drawn = random_instance(rng, decode_model=decode_model, workflows=(2, 2), calls=(1, 2))
    prefill, decode = drawn.prefill[: 1 + seed % 2], drawn.decode[: 1 + seed // 2 % 2]
    kept = {machine.id for machine in (*prefill, *decode)}
    return replace(
        drawn,
        prefill=prefill,
        decode=decode,
        links=tuple(link for link in drawn.links if {link.source, link.to} <= kept),
        workflows=tuple(replace(w, arrival=w.arrival / 20) for w in drawn.workflows),
    )


def best_policies(instance: Instance) -> dict[str, float]:
    """The least value of each objective over all registered policies."""
    alone = offline_problem(instance)
    runs = [simulate(instance, policy) for policy in policies()]
    return {
        text: min(read_objective(text).value(alone.arrival, run.completed, alone.horizon) for run in runs)
        for text in OBJECTIVES
    }


def window_bounds(instance: Instance) -> dict[str, float]:
    """The bound of each objective."""
    problem = offline_problem(instance)
    return {text: window_lp_bound(problem, read_objective(text), SECONDS, LEVELS) for text in OBJECTIVES}


def main(count: int) -> None:
    """Print, for each objective, violations and the mean of LB / best known value where that is above 0."""
    above, complete = 0, 0
    nearness: dict[str, list[float]] = {text: [] for text in OBJECTIVES}
    for seed in range(count):
        instance = tiny(seed, "fixed" if seed % 4 == 3 else "fluid")
        reference, proved = event_optima(instance, OBJECTIVES, STEPS)
        known, bounds = best_policies(instance), window_bounds(instance)
        complete += proved
        for text in OBJECTIVES:
            best = min(reference[text], known[text])
            above += bounds[text] > best * (1 + 1e-9)
            if best > 0:
                nearness[text].append(bounds[text] / best)
    print(f"{count} instances, {complete} of them searched to the end; {above} bounds above a schedule")
    for text, near in nearness.items():
        print(f"{text:>13}: LB / best known mean {np.mean(near):.4f}, least {np.min(near):.4f}, of {len(near)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else INSTANCES)
