"""How far policies are from the best possible: (value - LB) / LB, with the bracket it came from."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.policies import Policy, read_policy
from hexsched.simulator import Run, simulate
from hexsched.verifier import verify
from solvers.bounds import BOUNDS, cheap
from solvers.brackets.portfolio import best_bound
from solvers.problem.bracket import CONTRADICTION, OPTIMALITY_TOLERANCE, ContradictionError
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import OfflineProblem, offline_problem
from solvers.problem.result import INTERRUPTED

if TYPE_CHECKING:
    from solvers.schedules.search.guide import Guide

Array = np.ndarray[Any, Any]

EXACT_CALLS = 100  # up to so many the exact formulation is tried, and the LPs over time windows
SHARE_OF_SOLVER, SHARE_OF_LPS = 0.4, 0.3  # of the time that is left when it is their turn
SHARE_OF_FIRST_SEARCH = 0.1
SHARE_OF_PRICES = 0.4  # of the time, where one thread does both prices and search
SOLVER = "cpsat"
NO_SCHEDULE = Schedule(format="hexsched-schedule/1", policy="", calls=())
PRICES, WINDOWS = "capacity-prices", "window-lp"

# called with (seconds, lower bound, upper bound) whenever one of them got better
OnBracket = Callable[[float, float, float], None]


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
        What each bound came to; None where it does not apply or was not needed.
    binding : dict of str to float
        Share of the proof that each resource carries, where the bound is made of prices: what is scarce.
    series : tuple of (seconds, lower bound, upper bound)
        Whenever one of them got better.
    solver_status : str
        Of the exact solver: ``optimal``, ``feasible``, ``unknown``, with its message; empty when it was not asked.
    message : str
        ``interrupted`` after Ctrl-C.
    seconds : float
    """

    objective: str
    lower_bound: float
    bound_source: str
    upper_bound: float
    upper_source: str
    policies: dict[str, PolicyGap]
    bounds: dict[str, float | None]
    binding: dict[str, float]
    series: tuple[tuple[float, float, float], ...]
    solver_status: str
    message: str
    seconds: float


def gap(
    instance: Instance,
    objective: str,
    policies: Sequence[str | Policy],
    time_limit: float = 60.0,
    seed: int = 0,
    *,
    workers: int = 2,
    on_progress: OnBracket | None = None,
) -> GapReport:
    """Bracket the optimum from both sides, and say how far each policy is; see ``bracket``."""
    return bracket(instance, objective, policies, time_limit, seed, workers=workers, on_progress=on_progress)[0]


def bracket(
    instance: Instance,
    objective: str,
    policies: Sequence[str | Policy],
    time_limit: float = 60.0,
    seed: int = 0,
    *,
    workers: int = 2,
    on_progress: OnBracket | None = None,
) -> tuple[GapReport, Schedule]:
    """As ``gap``, with the schedule that has the upper bound.

    What is done depends on the instance. Bounds that take no time come first. Up to ``EXACT_CALLS`` calls follow the
    exact formulation, in the ``fixed`` model, and linear programs over time windows. Whatever is still open then is
    closed in from both sides at once: prices of capacities from below, clairvoyant search from above.

    Parameters
    ----------
    instance : Instance
    objective : str
        ``max_ratio``, ``req(Q)``, ``mean_ratio``, ``mean_latency`` or ``misses(S)``.
    policies : sequence of str or Policy
        At least one. Their schedules are verified, and the best is where solver and search start.
    time_limit : float
        Seconds for everything together; policies and the cheap bounds are always run.
    seed : int
        Of random placements, solver and search.
    workers : int
        Threads. With two or more, prices and search run side by side.
    on_progress : callable, optional

    Raises
    ------
    InputError
        For an unknown name, no policies, and a policy whose schedule breaks a rule of the model.
    ContradictionError
        When a bound lies above a verified schedule: a bug, never the input's fault.
    """
    if not time_limit > 0:
        raise InputError(f"the time limit must be above 0 seconds, got {time_limit:g}")
    aim = read_objective(objective)
    chosen = [read_policy(name) if isinstance(name, str) else name for name in policies]
    if not chosen:
        raise InputError("a gap needs at least one policy")
    inside = _Bracket(aim, time_limit, on_progress)
    values = {}
    for policy in chosen:
        run = _run(instance, policy, seed)
        values[policy.name] = aim.value(run.arrival, run.completed, run.horizon)
        inside.found(values[policy.name], policy.name, run.schedule)
    status, message = "", ""
    try:
        status = _close_in(instance, aim, inside, seed, workers)
    except KeyboardInterrupt:
        message = INTERRUPTED
    lower, bound_source = inside.lower
    upper, upper_source, schedule = inside.upper
    report = GapReport(
        objective=str(aim),
        lower_bound=lower,
        bound_source=bound_source,
        upper_bound=upper,
        upper_source=upper_source,
        policies={name: PolicyGap(v, _relative(v, lower), _relative(v, upper)) for name, v in values.items()},
        bounds=inside.bounds,
        binding=inside.binding,
        series=tuple(inside.series),
        solver_status=status,
        message=message,
        seconds=inside.seconds,
    )
    return report, schedule


class _Bracket:
    """The best bound and the best schedule so far, from whatever thread."""

    def __init__(self, aim: Objective, time_limit: float, on_progress: OnBracket | None) -> None:
        self.aim = aim
        self.began = time.monotonic()
        self.stop = self.began + time_limit
        self.lower: tuple[float, str] = (0.0, "")
        self.upper: tuple[float, str, Schedule] = (float("inf"), "", NO_SCHEDULE)
        self.bounds: dict[str, float | None] = {}
        self.binding: dict[str, float] = {}
        self.series: list[tuple[float, float, float]] = []
        self._seen = float("inf")
        self._on_progress = on_progress
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds that are left, never quite none."""
        return max(self.stop - time.monotonic(), 1e-3)

    @property
    def is_closed(self) -> bool:
        return self.upper[0] <= self.lower[0] * (1 + OPTIMALITY_TOLERANCE)

    def found(self, value: float, source: str, schedule: Schedule) -> None:
        """A verified schedule."""
        with self._lock:
            if value < self.upper[0]:
                self.upper = (value, source, schedule)
                self._note()

    def seen(self, value: float) -> None:
        """A schedule that is not verified yet: it is shown, and counts for nothing else."""
        with self._lock:
            if value < self._seen:
                self._seen = value
                self._note()

    def proved(self, value: float | None, source: str) -> None:
        """A bound; above the best schedule by rounding alone it is that schedule's value."""
        with self._lock:
            self.bounds[source] = value if value is None else max(value, self.bounds.get(source) or value)
            if value is None or value <= self.lower[0]:
                if not self.lower[1] and value is not None:
                    self.lower = (self.lower[0], source)
                return
            self.lower = (value, source)
            self._note()

    def _note(self) -> None:
        (lower, source), (upper, schedule, _) = self.lower, self.upper
        if lower > upper * (1 + CONTRADICTION) + 1e-12:
            raise ContradictionError(f"{source} claims {self.aim} >= {lower!r}, but {schedule} has {upper!r}")
        self.lower = (min(lower, upper), source)
        self.series.append((self.seconds, self.lower[0], min(upper, self._seen)))
        if self._on_progress is not None:
            self._on_progress(*self.series[-1])


def _close_in(instance: Instance, aim: Objective, inside: _Bracket, seed: int, workers: int) -> str:
    """Work on both ends until they meet or the time is out; the exact solver's status."""
    exact = instance.call_count <= EXACT_CALLS
    problem = offline_problem(instance)
    status = ""
    for bound in cheap() if exact else cheap()[:1]:
        able = aim.kind in bound.objectives
        # in either decode model no call is faster than alone
        inside.proved(bound.compute(problem, aim, inside.left) if able else None, bound.name)
    if exact and not inside.is_closed and not problem.fluid:
        status = _solve(instance, aim, inside, seed, workers)
    if exact and not inside.is_closed:
        _linear_programs(problem, aim, inside)
    if not inside.is_closed:
        _prices_and_search(instance, aim, inside, seed, workers)
    return status


def _solve(instance: Instance, aim: Objective, inside: _Bracket, seed: int, workers: int) -> str:
    from solvers.brackets.solve import solve
    from solvers.problem.result import Options

    options = Options(time_limit=inside.left * SHARE_OF_SOLVER, workers=workers, seed=seed, warm_start=inside.upper[2])
    solved = solve(instance, SOLVER, str(aim), options=options, start_policies=())
    if solved.objective is not None and solved.schedule is not None:
        inside.found(solved.objective, SOLVER, solved.schedule)
    inside.proved(solved.lower_bound, SOLVER)
    if solved.message == INTERRUPTED:
        raise KeyboardInterrupt
    return ": ".join(filter(None, (solved.status, solved.message)))


def _linear_programs(problem: OfflineProblem, aim: Objective, inside: _Bracket) -> None:
    """The bounds that solve LPs over time windows."""
    from solvers.bounds.windows.window_bound import window_lp_bound

    seconds = inside.left * SHARE_OF_LPS
    if problem.fluid:
        inside.proved(window_lp_bound(problem, aim, seconds), WINDOWS)
        return
    others = {PRICES, *(bound.name for bound in cheap())}
    programs = [x for name, x in BOUNDS.items() if name not in others and aim.kind in x.objectives]
    for row in best_bound(problem, aim, seconds, programs).table:
        inside.proved(row.value, row.bound)


def _prices_and_search(instance: Instance, aim: Objective, inside: _Bracket, seed: int, workers: int) -> None:
    """Lower bounds and schedules for any size, side by side where there are two threads."""
    # prices are laid out for the best schedule known
    guide = _search(instance, aim, inside, inside.left * SHARE_OF_FIRST_SEARCH, seed, workers)
    if inside.is_closed:
        return
    completed = offline_problem(instance).completed(inside.upper[2])
    failures: list[BaseException] = []

    def price(seconds: float) -> None:
        from solvers.bounds.prices import priced_bound

        try:
            found = priced_bound(
                offline_problem(instance),
                aim,
                seconds,
                completed=completed,
                seed=seed,
                on_bound=lambda v: inside.proved(v, PRICES),
            )
            inside.proved(found.value, PRICES)
            inside.binding = found.binding
        except Exception as error:  # it is raised again where somebody listens
            failures.append(error)

    if workers > 1:
        # a daemon: after Ctrl-C what it has told so far counts, and nobody waits for it
        thread = threading.Thread(target=price, args=(inside.left,), daemon=True)
        thread.start()
        _search(instance, aim, inside, inside.left, seed + 1, workers - 1, guide)
        thread.join()
    else:
        price(inside.left * SHARE_OF_PRICES)
        if not inside.is_closed:
            _search(instance, aim, inside, inside.left, seed + 1, 1, guide)
    if failures:
        raise failures[0]


def _search(
    instance: Instance,
    aim: Objective,
    inside: _Bracket,
    seconds: float,
    seed: int,
    workers: int,
    guide: Guide | None = None,
) -> Guide | None:
    """Look for a better schedule, from the plan of an earlier search on; the plan that led to it."""
    from solvers.schedules.search import search

    found = search(
        instance,
        str(aim),
        start=[inside.upper[2], *([guide] if guide is not None else [])],
        time_limit=seconds,
        workers=workers,
        seed=seed,
        on_progress=lambda _, value: inside.seen(value),
    )
    inside.found(found.value, "search", found.schedule)
    if found.message == INTERRUPTED:
        raise KeyboardInterrupt
    return found.guide


def _run(instance: Instance, policy: Policy, seed: int) -> Run:
    run = simulate(instance, policy, seed=seed)
    report = verify(instance, run.schedule)
    if not report.ok:
        raise InputError(f"the schedule of policy {policy.name!r} breaks {', '.join(report.counts())}")
    return run


def _relative(value: float, base: float) -> float | None:
    if value <= base:
        return 0.0
    return (value - base) / base if base > 0 else None
