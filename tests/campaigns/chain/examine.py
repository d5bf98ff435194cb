"""Everything that says something of the optimum of one instance, held against everything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from conftest import policy_names
from reference.exhaustive import Value, largest, mean_latency, mean_ratio, misses, optima, required
from reference.fluid_optimum import event_optima

from hexsched.model import Instance, Schedule
from hexsched.simulator import simulate
from hexsched.verifier import verify
from solvers.bounds import BOUNDS
from solvers.bounds.parts.bound import Cost
from solvers.brackets.solve import solve_with
from solvers.exact import FORMULATIONS
from solvers.problem.objective import read_objective
from solvers.problem.offline import OfflineProblem, offline_problem
from solvers.problem.result import Options
from solvers.schedules.search import search

ALWAYS: Mapping[str, Value] = {"max_ratio": largest, "mean_ratio": mean_ratio, "mean_latency": mean_latency}
SHARES = ("0.01", "0.34", "0.5", "0.99", "1")
SCALES = ("0.5", "1", "1.0000001", "1.1", "2", "1000000")
ROUNDING = 1e-9  # relative
AT_ONCE = 10.0  # seconds for a bound by arithmetic; never reached on these sizes
ACCURACY = 1e-3  # relative, of what a formulation calls optimal


@dataclass(frozen=True)
class Effort:
    """What an instance is worth.

    Attributes
    ----------
    policies : tuple of str
    linear_program, any_time, exact : float
        Seconds of a bound by linear programs, of one that takes any time, and of an exact formulation; 0 for none.
    all_tried : int
        Placements of all calls times orders in both stages, up to which everything is tried.
    steps : int
        Of the search over events, where not everything can be tried: 3,000 a second.
    evaluations : int
        Of the clairvoyant search.
    """

    policies: tuple[str, ...] = tuple(policy_names())
    linear_program: float = 0.25
    any_time: float = 0.1
    exact: float = 3.0
    all_tried: int = 30_000
    steps: int = 1_000
    evaluations: int = 60


EFFORT = Effort()


@dataclass
class Found:
    """What came of an instance.

    Attributes
    ----------
    bounds, schedules : int
        How many values were compared, over all objectives.
    optima : int
        Objectives of which the optimum is known from trying everything; ``proved``: from an exact formulation.
    nearest : float
        The least LB / (best schedule) of all objectives above 0, with the best of the bounds.
    wrong : list of str
        A sentence for each contradiction.
    """

    bounds: int = 0
    schedules: int = 0
    optima: int = 0
    proved: int = 0
    nearest: float = 1.0
    wrong: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def objectives(number: int) -> dict[str, Value]:
    """Three of them always, shares and scales in turn."""
    share, scale = SHARES[number % len(SHARES)], SCALES[number % len(SCALES)]
    return {**ALWAYS, f"req({share})": required(share), f"misses({scale})": misses(float(scale))}


def examine(instance: Instance, number: int, effort: Effort = EFFORT) -> Found:
    """Let everything loose on one instance.

    The policies are all those that tests know, the search and the exact formulation are for one of the objectives in
    turn. Values of schedules are computed from what the verifier says of ratios and latencies.
    """
    problem, aims, found = offline_problem(instance), objectives(number), Found()
    upper: dict[str, dict[str, float]] = {text: {} for text in aims}
    lower: dict[str, dict[str, float]] = {text: {} for text in aims}
    for name in effort.policies:
        _judge(problem, name, simulate(instance, name).schedule, aims, upper, found)
    one = list(aims)[number % len(aims)]
    looked = search(instance, one, evaluations=effort.evaluations, workers=1, start=["fcfs"], progress=False)
    _judge(problem, "search", looked.schedule, aims, upper, found)
    limits = {Cost.LINEAR_PROGRAM: effort.linear_program, Cost.ANY_TIME: effort.any_time}
    for text in aims:
        aim = read_objective(text)
        for name, bound in BOUNDS.items():
            if bound.holds_for(problem, aim):
                seconds = limits.get(bound.cost, AT_ONCE)
                if seconds:
                    lower[text][name] = bound.value(problem, aim, seconds)
    _try_everything(instance, problem, effort, aims, lower, upper, found)
    if not problem.fluid and effort.exact:
        _solve(instance, problem, one, number, effort, aims, lower, upper, found)
    for text in aims:
        _compare(text, lower[text], upper[text], found)
    return found


def _judge(
    problem: OfflineProblem,
    name: str,
    schedule: Schedule,
    aims: Mapping[str, Value],
    upper: Mapping[str, dict[str, float]],
    found: Found,
) -> None:
    """Add the values of a schedule; it has to be valid, and the objective has to say the same."""
    report = verify(problem.instance, schedule)
    if report.metrics is None:
        found.wrong.append(f"the schedule of {name} breaks {report.counts()}")
        return
    ratios = [flow.ratio for flow in report.metrics.per_workflow]
    latencies = [flow.latency for flow in report.metrics.per_workflow]
    completed = problem.completed(schedule)
    for text, value in aims.items():
        worth = value(ratios, latencies)
        said = read_objective(text).value(problem.arrival, completed, problem.horizon)
        if not abs(worth - said) <= 2 * ROUNDING * max(abs(worth), 1e-300):
            found.wrong.append(f"{text} of {name} is {said!r}, by the verifier's ratios {worth!r}")
        upper[text][name] = worth


def _try_everything(
    instance: Instance,
    problem: OfflineProblem,
    effort: Effort,
    aims: Mapping[str, Value],
    lower: Mapping[str, dict[str, float]],
    upper: Mapping[str, dict[str, float]],
    found: Found,
) -> None:
    """The optimum of a small ``fixed`` instance; in ``fluid`` the best of what starts at events, if in time."""
    ways = (problem.prefill.shape[1] * len(problem.capacity)) ** problem.calls * math.factorial(problem.calls) ** 2
    if problem.fluid:
        best, _ = event_optima(instance, aims, effort.steps) if _resolves(problem) else ({}, False)
        for text, value in best.items():
            if math.isfinite(value):
                upper[text]["events"] = value
    elif ways <= effort.all_tried:
        for text, value in optima(instance, aims).items():
            lower[text]["all tried"] = upper[text]["all tried"] = value
            found.optima += 1


def _resolves(problem: OfflineProblem) -> bool:
    """Whether the search over events, which has a fixed idea of what is the same moment, can tell these apart."""
    iteration = min(
        float((problem.alone_of_type / problem.output[:, None]).min()), float(problem.prefill_of_type.min())
    )
    latest = float(problem.arrival.max() + (problem.delay + problem.best).sum())
    return iteration > 1e-4 and max(latest, float(problem.output.max())) < 1e5


def _solve(
    instance: Instance,
    problem: OfflineProblem,
    text: str,
    number: int,
    effort: Effort,
    aims: Mapping[str, Value],
    lower: Mapping[str, dict[str, float]],
    upper: Mapping[str, dict[str, float]],
    found: Found,
) -> None:
    """One exact formulation, in turn; from nothing, so that what a policy found does not make up for its faults."""
    exact = [name for name, kind in FORMULATIONS.items() if kind.exact]
    name = exact[number // len(aims) % len(exact)]
    options = Options(time_limit=effort.exact, workers=1)
    solved = solve_with(instance, name, text, options=options, start_policies=())
    lower[text][name] = solved.lower_bound
    if solved.message and "failed" in solved.message:
        found.wrong.append(f"{name} for {text}: {solved.message}")
    if solved.schedule is not None:
        _judge(problem, name, solved.schedule, aims, upper, found)
    if solved.status == "optimal" and solved.objective is not None:
        found.proved += 1
        best = min(upper[text].values())
        if solved.objective > best + ACCURACY * max(abs(best), 1e-9):
            found.wrong.append(f"{name} says that {text} of {solved.objective!r} is optimal, there is {best!r}")


def _compare(text: str, lower: Mapping[str, float], upper: Mapping[str, float], found: Found) -> None:
    """No lower bound above the value of any schedule, and none that says nothing of ratios."""
    best = min(upper, key=lambda name: upper[name])
    floor = 0.0 if text.startswith("misses") else 1.0
    for name, value in lower.items():
        if not value <= upper[best] * (1 + ROUNDING):
            found.wrong.append(f"{text}: {name} says at least {value!r}, but {best} has {upper[best]!r}")
        if text != "mean_latency" and not value >= floor * (1 - ROUNDING):
            found.wrong.append(f"{text}: {name} says at least {value!r}, which is below {floor:g}")
    if upper[best] > 0:
        found.nearest = min(found.nearest, max(lower.values()) / upper[best])
    found.bounds += len(lower)
    found.schedules += len(upper)
