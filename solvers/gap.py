"""How far policies are from the best possible: (value - LB) / LB, with the bracket it came from."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import numpy as np

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.policies import Policy
from hexsched.policies import policy as read_policy
from hexsched.simulator import simulate
from hexsched.verifier import verify
from solvers.bounds.portfolio import best_bound
from solvers.certificate import CONTRADICTION, ContradictionError
from solvers.objective import Objective
from solvers.objective import objective as read_objective
from solvers.problem import Problem, fixed_problem
from solvers.result import Options, SolveResult

SHARE_OF_BOUNDS = 0.5  # of the time limit; the solver gets what is left
SOLVER = "cpsat"


class PolicyGap(msgspec.Struct, frozen=True):
    """A policy against the bracket.

    Attributes
    ----------
    value : float
        The objective of its schedule.
    gap : float or None
        (value - LB) / LB; 0 where the value is LB, None where LB is 0 and the value is not.
    gap_to_upper : float or None
        The same against UB: what is certain to be missing.
    """

    value: float
    gap: float | None
    gap_to_upper: float | None


class GapReport(msgspec.Struct, frozen=True, kw_only=True):
    """LB <= OPT <= UB, and where every policy is.

    Attributes
    ----------
    objective : str
    lower_bound, upper_bound : float
    bound_source, upper_source : str
        Which bound, and whose schedule.
    policies : dict of str to PolicyGap
    bounds : dict of str to (float or None)
        What each bound came to; None where it does not apply.
    solver_status : str
        Of the solver: ``optimal``, ``feasible`` or ``unknown``; its message when it could not run.
    seconds : float
    """

    objective: str
    lower_bound: float
    bound_source: str
    upper_bound: float
    upper_source: str
    policies: dict[str, PolicyGap]
    bounds: dict[str, float | None]
    solver_status: str
    seconds: float


def gap(
    instance: Instance, objective: str, policies: Sequence[str | Policy], time_limit: float = 60.0, seed: int = 0
) -> GapReport:
    """Bracket the optimum from both sides, and say how far each policy is.

    Parameters
    ----------
    instance : Instance
        In the ``fixed`` decode model.
    objective : str
        ``max_ratio``, ``req(Q)``, ``mean_ratio``, ``mean_latency`` or ``misses(S)``.
    policies : sequence of str or Policy
        At least one. Their schedules are verified, and the best is where the solver starts.
    time_limit : float
        Seconds for bounds and solver together.
    seed : int
        Of random placements and of the solver.

    Raises
    ------
    InputError
        For a ``fluid`` instance, an unknown name, no policies, and a policy whose schedule breaks a rule of the model.
    ContradictionError
        When a bound lies above a verified schedule: a bug, never the input's fault.
    """
    began = time.monotonic()
    problem, aim = fixed_problem(instance), read_objective(objective)
    chosen = [read_policy(name) if isinstance(name, str) else name for name in policies]
    if not chosen:
        raise InputError("a gap needs at least one policy")
    values: dict[str, float] = {}
    upper, upper_source, schedule = np.inf, "", None
    for policy in chosen:
        values[policy.name], found = _run(problem, aim, policy, seed)
        if values[policy.name] < upper:
            upper, upper_source, schedule = values[policy.name], policy.name, found
    lower = best_bound(problem, aim, time_limit * SHARE_OF_BOUNDS)
    bound, bound_source = lower.value, lower.source
    left = max(time_limit - (time.monotonic() - began), 1e-3)
    solved = _solve(instance, aim, Options(time_limit=left, seed=seed, warm_start=schedule))
    if solved.lower_bound > bound:
        bound, bound_source = solved.lower_bound, solved.bound_source
    if solved.objective is not None and solved.objective < upper:
        upper, upper_source = solved.objective, SOLVER
    if bound > upper * (1 + CONTRADICTION) + 1e-12:
        raise ContradictionError(f"{bound_source} claims {aim} >= {bound!r}, but {upper_source} has {upper!r}")
    bound = min(bound, upper)  # beyond it by rounding alone
    return GapReport(
        objective=str(aim),
        lower_bound=bound,
        bound_source=bound_source,
        upper_bound=upper,
        upper_source=upper_source,
        policies={name: PolicyGap(v, _relative(v, bound), _relative(v, upper)) for name, v in values.items()},
        bounds={row.bound: row.value for row in lower.table},
        solver_status=": ".join(filter(None, (solved.status, solved.message))),
        seconds=time.monotonic() - began,
    )


def _run(problem: Problem, aim: Objective, policy: Policy, seed: int) -> tuple[float, Schedule]:
    run = simulate(problem.instance, policy, seed=seed)
    report = verify(problem.instance, run.schedule)
    if not report.ok:
        raise InputError(f"the schedule of policy {policy.name!r} breaks {', '.join(report.counts())}")
    return aim.value(problem.arrival, run.completed, problem.horizon), run.schedule


def _solve(instance: Instance, aim: Objective, options: Options) -> SolveResult:
    from solvers.solve import solve  # it knows the solvers, whose imports take seconds

    return solve(instance, SOLVER, str(aim), options=options, start_policies=())


def _relative(value: float, base: float) -> float | None:
    if value <= base:
        return 0.0
    return (value - base) / base if base > 0 else None
