"""Where a MILP starts: a schedule that heuristics find, and a bound that needs no solver."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np

from hexsched.model import Schedule
from solvers.bounds import critical_path
from solvers.certificate import OPTIMALITY_TOLERANCE, certified_value
from solvers.milp.list_schedule import ANYWHERE, list_schedule
from solvers.milp.plan import Plan, from_schedule, to_schedule
from solvers.objective import Objective
from solvers.problem import Problem
from solvers.result import Options

Array = np.ndarray[Any, Any]

SHARE = 0.1  # of the time, the most that local search may take
SECONDS_PER_PAIR = 0.015  # of local search, for each pair of calls
LARGEST_MOVE = 2  # calls that one move changes
SHARE_OF_ORDERS = 0.6  # of the moves; the others hold a call to its instance or let it go
WORSE = 0.002  # relative, about; how much worse than the current plan the next one may be
TIE = 1e-3
SHORTEST = 0.05  # seconds for which local search is worth its start


class Bracket(NamedTuple):
    """The best schedule known, its value in real time, and a value that none can beat."""

    value: float
    schedule: Schedule
    bound: float


def closed(objective: Objective, value: float, bound: float) -> bool:
    """Whether nothing is left to be found or proved."""
    if objective.kind == "misses":
        return value - bound < 1 - 1e-6
    return value - bound <= OPTIMALITY_TOLERANCE * abs(value) / 2


def bracket(problem: Problem, objective: Objective, options: Options, known: tuple[float, Schedule]) -> Bracket:
    """A bound, and a schedule that is as good as the known one or better."""
    value, schedule = known
    seconds = min(SHARE * options.time_limit, SECONDS_PER_PAIR * problem.calls**2)
    # the bounds that use SciPy's HiGHS are left alone: in one process with highspy it crashes
    bound = critical_path.compute(problem, objective)
    if seconds < SHORTEST or closed(objective, value, bound):
        return Bracket(value, schedule, bound)
    plan = climb(problem, objective, from_schedule(problem, schedule), seconds, options.seed)
    better = certified_value(problem, objective, to_schedule(problem, plan, "list-schedule"))
    if better is not None and better[0] < value:
        value, schedule = better
        if options.on_incumbent is not None:
            options.on_incumbent(schedule)
    return Bracket(value, schedule, bound)


def climb(problem: Problem, objective: Objective, plan: Plan, seconds: float, seed: int) -> Plan:
    """Local search over list schedules: the order of the calls, and the instances of those that are held to one."""
    rng = np.random.default_rng(seed)
    until = time.monotonic() + seconds
    best, best_merit = plan, _merit(problem, objective, plan)
    order, merit = np.argsort(np.argsort(plan.start, kind="stable")).astype(float), math.inf
    placed = (plan.prefill.copy(), plan.decode.copy())
    while time.monotonic() < until:
        moved, held = order.copy(), (placed[0].copy(), placed[1].copy())
        for c in rng.integers(problem.calls, size=rng.integers(1, LARGEST_MOVE + 1)):
            if rng.random() < SHARE_OF_ORDERS:
                moved[c] += rng.normal(0.0, problem.calls / 4)
            else:
                stage = held[rng.integers(2)]
                stage[c] = ANYWHERE if stage[c] != ANYWHERE else (best.prefill if stage is held[0] else best.decode)[c]
        if not _fits(problem, held):
            continue
        tried = list_schedule(problem, moved, held)
        found = _merit(problem, objective, tried)
        if found <= merit * (1 + rng.exponential(WORSE)):
            order, placed, merit = np.argsort(np.argsort(moved, kind="stable")).astype(float), held, found
        if found < best_merit:
            best, best_merit = tried, found
    return best


def _fits(problem: Problem, placed: tuple[Array, Array]) -> bool:
    """Whether every call can be where it is held."""
    held = placed[1] != ANYWHERE
    return bool(np.isfinite(problem.decode[np.flatnonzero(held), placed[1][held]]).all())


def _merit(problem: Problem, objective: Objective, plan: Plan) -> float:
    """The objective, and a little of the mean ratio to tell equals apart."""
    completed = plan.workflow_completed(problem)
    ratio = float(((completed - problem.arrival) / problem.horizon).mean())
    return objective.value(problem.arrival, completed, problem.horizon) + TIE * ratio
