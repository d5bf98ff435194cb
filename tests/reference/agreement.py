"""Do all formulations, bounds and policies agree? ``python -m reference.agreement --instances 200`` in ``tests/``.

On random ``fixed`` instances: every exact formulation that proves an optimum proves the same one, which is that of the
exhaustive search where the instance is small enough; no bound lies above it and no policy below.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from instances import corner_instance
from msgspec.structs import replace

from hexsched.model import Instance
from hexsched.policies import policies
from hexsched.simulator import simulate
from reference.exhaustive import largest, mean_latency, mean_ratio, misses, optima, required
from solvers.bounds import BOUNDS
from solvers.brackets.solve import solve_with
from solvers.exact import FORMULATIONS
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem
from solvers.problem.result import Options

OBJECTIVES = {
    "max_ratio": largest,
    "req(0.5)": required("0.5"),
    "mean_ratio": mean_ratio,
    "mean_latency": mean_latency,
    "misses(1.1)": misses(1.1),
}
KINDS = ("any", "chains", "together", "kv-tight", "unary", "no-delays")
EXHAUSTIVE = 200_000  # placements of all calls times orders in both stages, up to which everything is tried
ACCURACY = 1e-3  # relative, of two optima
ROUNDING = 1e-9


@dataclass
class Findings:
    """What came of one instance and objective.

    Attributes
    ----------
    optimal : dict of str to float
        What each exact formulation that finished proved optimal.
    exhaustive : float or None
    bounds, policies : int
        How many were compared.
    wrong : list of str
        A sentence for each disagreement.
    """

    optimal: dict[str, float] = field(default_factory=dict)
    exhaustive: float | None = None
    bounds: int = 0
    policies: int = 0
    wrong: list[str] = field(default_factory=list)


def draw(seed: int) -> tuple[str, Instance]:
    """The kind and the instance of that seed: one to eight calls."""
    rng, kind = np.random.default_rng([seed, 4]), KINDS[seed % len(KINDS)]
    workflows = int(rng.integers(1, 4, endpoint=True))
    corners = {
        "together": {"arrivals": "together"},
        "kv-tight": {"room": "barely", "arrivals": "together"},
        "no-delays": {"delays": "none"},
    }.get(kind, {})
    drawn = corner_instance(
        rng,
        workflows=(workflows, workflows),
        calls=(1, {1: 6, 2: 3, 3: 2, 4: 2}[workflows]),
        decode_model="fixed",
        **corners,
    )
    if kind == "chains":
        chains = []
        for flow in drawn.workflows:
            before = [None, *flow.calls[:-1]]
            calls = [
                replace(c, parents=() if b is None else (b.call_id,)) for b, c in zip(before, flow.calls, strict=True)
            ]
            chains.append(replace(flow, calls=tuple(calls)))
        drawn = replace(drawn, workflows=tuple(chains))
    if kind == "unary":
        drawn = replace(drawn, decode=tuple(replace(d, max_batch=1, batch_curve=None) for d in drawn.decode))
    return kind, drawn


def examine(
    instance: Instance, text: str, seconds: float, bound_seconds: float, formulations: Sequence[str] | None = None
) -> Findings:
    """Let everything that is registered loose on one instance.

    Parameters
    ----------
    text : str
        The objective.
    seconds, bound_seconds : float
        Time limit of each formulation and of each bound.
    formulations : sequence of str, optional
        Every exact one by default.
    """
    problem, aim, found = fixed_problem(instance), read_objective(text), Findings()
    lower: dict[str, float] = {}
    upper: dict[str, float] = {}
    exact = [name for name, kind in FORMULATIONS.items() if kind.exact and aim.kind in kind.objectives]
    for name in formulations if formulations is not None else exact:
        # from nothing, so that what a policy found does not make up for what a formulation cannot find
        result = solve_with(instance, name, text, options=Options(time_limit=seconds, workers=1), start_policies=())
        lower[name] = result.lower_bound
        if result.objective is not None:
            upper[name] = result.objective
            if result.status == "optimal":
                found.optimal[name] = result.objective
    for name, bound in BOUNDS.items():
        if aim.kind in bound.objectives:
            lower[name] = bound.compute(problem, aim, bound_seconds)
            found.bounds += 1
    for policy in policies():
        upper[policy.name] = aim.value(problem.arrival, simulate(instance, policy).completed, problem.horizon)
        found.policies += 1
    placements = (problem.prefill.shape[1] * len(problem.capacity)) ** problem.calls
    if placements * math.factorial(problem.calls) ** 2 <= EXHAUSTIVE:
        found.exhaustive = optima(instance, {text: OBJECTIVES[text]})[text]
        lower["exhaustive search"] = upper["exhaustive search"] = found.exhaustive
    _compare(found, lower, upper)
    return found


def _compare(found: Findings, lower: dict[str, float], upper: dict[str, float]) -> None:
    best = min(upper, key=lambda name: upper[name])
    for name, value in lower.items():
        if value > upper[best] * (1 + ROUNDING) + 1e-12:
            found.wrong.append(f"{name} says at least {value!r}, but {best} has {upper[best]!r}")
    for name, value in found.optimal.items():
        if value > upper[best] + ACCURACY * max(abs(upper[best]), 1e-9):
            found.wrong.append(f"{name} says that {value!r} is optimal, but {best} has {upper[best]!r}")


def main(words: Sequence[str] | None = None) -> int:
    """Examine many instances, an objective each in turn, and print what came of it; 1 where anything disagrees."""
    parser = argparse.ArgumentParser(prog="reference.agreement", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--instances", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--time-limit", type=float, default=5.0, help="seconds of each formulation")
    parser.add_argument("--bound-limit", type=float, default=1.0, help="seconds of each bound")
    given = parser.parse_args(words)
    proved, kinds, agreeing, exhaustive, wrong = Counter[str](), Counter[str](), Counter[int](), 0, 0
    for seed in range(given.first, given.first + given.instances):
        kind, instance = draw(seed)
        text = list(OBJECTIVES)[seed // len(KINDS) % len(OBJECTIVES)]
        found = examine(instance, text, given.time_limit, given.bound_limit)
        proved.update(found.optimal.keys())
        kinds[kind] += 1
        agreeing[len(found.optimal)] += 1
        exhaustive += found.exhaustive is not None
        wrong += bool(found.wrong)
        for sentence in found.wrong:
            print(f"seed {seed}, {kind}, {text}: {sentence}", flush=True)
    print(f"{given.instances} instances ({', '.join(f'{n} {kind}' for kind, n in kinds.items())})")
    print(f"proved optimal by {', '.join(f'{name}: {n}' for name, n in proved.items())}")
    print(f"proved by so many formulations: {', '.join(f'{k}: {n}' for k, n in sorted(agreeing.items()))}")
    print(f"solved by exhaustive search: {exhaustive}")
    print(f"instances with a disagreement: {wrong}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
