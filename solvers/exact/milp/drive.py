"""From a formulation in PuLP to a ``Raw`` result: the start, the solver, the bound, the decisions."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pulp

from hexsched.errors import InputError
from hexsched.model import Schedule
from solvers.exact.milp.answer import BOUND_SAFETY, Answer, Limits, safe
from solvers.exact.milp.backends import FAILED, Backend, backend, run
from solvers.exact.milp.model import OutOfTimeError
from solvers.exact.milp.start import Bracket, bracket, closed
from solvers.exact.milp.windows import Windows, target_windows, windows
from solvers.problem.certificate import certified_value
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import INTERRUPTED, Options, Raw, Size, Status
from solvers.schedules.list_schedule import best_list_schedule
from solvers.schedules.timetable import Timetable, from_schedule, to_schedule

MODEL_FORMATS = (".mps", ".lp")
MISSED = 1e-5  # relative; a schedule this far above a target may be a solver's tolerance
STEP = 2e-5  # relative; how far below a known value the next target is, less than OPTIMALITY_TOLERANCE
HALF, LEAST = 1 / 2, 1 / 16  # of the way from bound to value: where the first target lies, and the lowest ones
LITTLE = 0.1  # share of the bracket; who gains less is likely to be at the optimum, and looks just below it next
BOLDER = 1.2  # a target that cannot be met is followed by one that is so much further on that way
LAST = 5e-4  # relative distance of bound and value at which the next target gets all the time that is left
FIRST_ATTEMPT, LONGER = 0.06, 1.4  # share of the time for one target, and how much more after one that is not decided


class Model(Protocol):
    """A formulation written out for one instance.

    Attributes
    ----------
    lp : pulp.LpProblem
    exact : bool
        Whether its solutions are schedules, not only its bounds ones of all schedules.
    """

    lp: pulp.LpProblem
    exact: bool

    def load(self, timetable: Timetable) -> None:
        """Give every variable its value in that timetable."""

    def timetable(self) -> Timetable:
        """The timetable that the values of the variables say."""

    def learn(self, timetable: Timetable) -> bool:
        """Note what is wrong with a timetable of the model, for the next model; whether there was anything new."""


class Build(Protocol):
    """What writes a formulation out."""

    def __call__(
        self, problem: OfflineProblem, objective: Objective, windows: Windows, until: float = math.inf
    ) -> Model:
        """The model; ``OutOfTimeError`` when it is not complete at ``until``, in seconds of ``time.monotonic``."""


def solve_model(name: str, build: Build, problem: OfflineProblem, objective: Objective, options: Options) -> Raw:
    """Find a start, then look for better schedules and proofs that there are none.

    For tails and ``misses`` that is a series of targets: can the objective be so low? Each model has only what can be
    in time for its target, which leaves far less to be decided than a model of all schedules does. The other
    objectives are minimised in windows that the start gives.
    """
    began = time.monotonic()
    solver = backend(options.solver)
    known = starting_point(problem, objective, options)
    if options.write_model is not None:
        write_model(build(problem, objective, windows(problem, objective, known[0])).lp, options.write_model)
    start = bracket(problem, objective, options, known)
    if closed(objective, start.value, start.bound):
        try:  # nothing is left to solve; the size is that of what would have been
            model = build(problem, objective, windows(problem, objective, start.value), began + options.time_limit)
            told = size(model.lp)
        except OutOfTimeError:
            told = Size(0, 0)
        return Raw("optimal", start.schedule, start.bound, told, time.monotonic() - began)
    if has_targets(objective):
        return Targets(name, build, problem, objective, options, solver, began).run(start)
    return _minimise(name, build, problem, objective, options, solver, began, start)


def _minimise(
    name: str,
    build: Build,
    problem: OfflineProblem,
    objective: Objective,
    options: Options,
    solver: Backend,
    began: float,
    start: Bracket,
) -> Raw:
    """Solve in windows that the value of a known schedule gives, again wherever the model has something to learn."""
    value, schedule, bound = start
    answer, root, last_size = Answer("unknown"), None, Size(0, 0)
    learning = True
    while learning and not closed(objective, value, bound) and time.monotonic() < began + options.time_limit:
        learning = False
        try:
            known = windows(problem, objective, value)
            model = build(problem, objective, known, began + options.time_limit)
        except OutOfTimeError as error:
            answer = Answer("unknown", message=str(error))
            break
        model.load(from_schedule(problem, schedule))
        last_size = size(model.lp)
        answer = run(model.lp, solver, limits(options, began, options.time_limit, with_incumbents=model.exact))
        root = safe(answer.root_bound) if root is None else root
        bound = max(bound, safe(answer.bound) or bound)
        if not answer.solved:
            break
        timetable = model.timetable()
        found = certified_value(problem, objective, to_schedule(problem, timetable, name))
        if found is not None and found[0] < value:
            value, schedule = found
            if options.on_incumbent is not None:
                options.on_incumbent(schedule)
        learning = not answer.interrupted and model.learn(timetable)
    seconds = time.monotonic() - began
    if closed(objective, value, bound):
        return Raw("optimal", schedule, bound, last_size, seconds, root)
    status: Status = "feasible" if answer.status == "optimal" else answer.status
    return replace(
        raw_result(replace(answer, status=status), schedule, last_size, seconds), bound=bound, root_bound=root
    )


def has_targets(objective: Objective) -> bool:
    """Whether a value of the objective is a deadline for each workflow that counts."""
    return objective.is_tail or (objective.kind == "misses" and objective.parameter >= 1)


class Targets:
    """A series of models that ask whether the objective can be as low as a target.

    Targets are half way between bound and value, or nearer to the bound after one that could not be decided: the lower
    a target the less is in time for it, so that either answer is found sooner.
    """

    def __init__(
        self,
        name: str,
        build: Build,
        problem: OfflineProblem,
        objective: Objective,
        options: Options,
        solver: Backend,
        began: float,
    ) -> None:
        self.name, self.build, self.problem, self.objective = name, build, problem, objective
        self.options, self.solver, self.began = options, solver, began
        self.stop = began + options.time_limit
        self.size = Size(0, 0)
        self.message = ""
        self.failed = False
        self.root: float | None = None

    def run(self, start: Bracket) -> Raw:
        """Narrow the bracket until it is closed or the time is up."""
        self.value, self.schedule, self.bound = start
        self._tell(self.value, self.bound)
        share, seconds = HALF, FIRST_ATTEMPT * self._left()
        while not (self._closed() or self._left() <= 0):
            target = self.value - 1
            if self.objective.is_tail:
                target = min(self.bound + share * (self.value - self.bound), self.value * (1 - STEP))
            last = not self.objective.is_tail or self.bound >= self.value * (1 - LAST)
            known = self.value
            answer = self._attempt(target, self._left() if last else min(seconds, self._left()))
            if answer is None or answer.interrupted:
                break
            if answer.solved:
                gained = (known - self.value) / max(known - self.bound, 1e-12)
                share = HALF if gained > LITTLE else 1.0
            elif answer.status == "infeasible":
                share = min(share * BOLDER, 1.0)
                self._proved(target if self.objective.is_tail else self.value)
            elif answer.message:  # not for want of time
                self.message = answer.message
                break
            else:
                share, seconds = max(share / 2, LEAST), seconds * LONGER
        return Raw(
            status="unknown" if self.failed else "optimal" if self._closed() else "feasible",
            decisions=self.schedule,
            bound=self.bound,
            size=self.size,
            seconds=time.monotonic() - self.began,
            root_bound=self.root,
            message=self.message,
        )

    def _attempt(self, target: float, seconds: float) -> Answer | None:
        """Look for a schedule that meets the target; None when what the solver says cannot be used."""
        problem, objective = self.problem, self.objective
        tail = objective.is_tail
        scale, spare = (target, objective.dropped(problem.workflows)) if tail else (objective.parameter, int(target))
        silent = replace(self.options, on_progress=None)  # what it minimises is not the objective
        until = math.inf
        while True:
            try:
                model = self.build(problem, objective, target_windows(problem, scale, spare), self.stop)
            except OutOfTimeError as error:
                self.message = str(error)
                return Answer("unknown")
            self.size = size(model.lp)
            until = min(until, time.monotonic() + seconds)  # building does not count
            answer = run(model.lp, self.solver, limits(silent, self.began, until - self.began, with_incumbents=False))
            if answer.interrupted:
                self.message = INTERRUPTED
            elif answer.message.startswith(FAILED):
                self.failed, self.message = True, answer.message
            elif objective.kind == "misses" and answer.bound is not None:
                self._proved(math.ceil(answer.bound - 1e-6))
            if not answer.solved:
                return answer
            timetable = model.timetable()
            met = self._improved(timetable, target)
            if met or self._closed():
                return answer
            if not model.learn(timetable):
                self.message = "the solver's schedule misses its target once it is re-timed"
                return None
            if time.monotonic() >= min(until, self.stop):
                return Answer("unknown")

    def _improved(self, timetable: Timetable, target: float) -> bool:
        """Keep the timetable if it is better than the best; whether it is as good as the target."""
        found = certified_value(self.problem, self.objective, to_schedule(self.problem, timetable, self.name))
        if found is None:
            return False
        if found[0] < self.value:
            self.value, self.schedule = found
            if self.options.on_incumbent is not None:
                self.options.on_incumbent(self.schedule)
            self._tell(self.value, None)
        return found[0] <= target * (1 + MISSED)

    def _proved(self, bound: float) -> None:
        if self.objective.is_tail:
            bound -= BOUND_SAFETY * bound
        self.root = bound if self.root is None else self.root
        self.bound = max(self.bound, bound)
        self._tell(None, self.bound)

    def _tell(self, value: float | None, bound: float | None) -> None:
        if self.options.on_progress is not None:
            self.options.on_progress(time.monotonic() - self.began, value, bound)

    def _closed(self) -> bool:
        return closed(self.objective, self.value, self.bound)

    def _left(self) -> float:
        return self.stop - time.monotonic()


def raw_result(answer: Answer, schedule: Schedule, size: Size, seconds: float) -> Raw:
    """The solver's answer in the common form; ``schedule`` is the start where the solver found none."""
    status, message = answer.status, INTERRUPTED if answer.interrupted else answer.message
    if status == "infeasible":  # the start is a solution, so this is numerical trouble and no proof
        status, message = "unknown", "the solver calls a model infeasible that has a known solution"
    if not answer.solved and not answer.interrupted:
        message = "; ".join(filter(None, (message, "the schedule is the one the solver started from")))
    return Raw(
        status=status,
        decisions=schedule,
        bound=safe(answer.bound),
        size=size,
        seconds=seconds,
        root_bound=safe(answer.root_bound),
        message=message,
    )


def starting_point(problem: OfflineProblem, objective: Objective, options: Options) -> tuple[float, Schedule]:
    """The better of the warm start and a list schedule, with its value in real time.

    Raises
    ------
    InputError
        When the warm start is not a schedule of the instance.
    """
    listed = to_schedule(problem, best_list_schedule(problem, objective), "list-schedule")
    found = certified_value(problem, objective, listed)
    assert found is not None, "a list schedule keeps every rule"
    if options.warm_start is None:
        return found
    given = certified_value(problem, objective, options.warm_start)
    if given is None:
        raise InputError("the warm start is not a valid schedule of the instance")
    return given if given[0] <= found[0] else found


def limits(options: Options, began: float, seconds: float, with_incumbents: bool) -> Limits:
    """What a run that starts now may use of ``seconds`` since ``began``; progress is told in seconds since then."""

    def on_progress(incumbent: float | None, bound: float | None) -> None:
        if options.on_progress is not None:
            told = incumbent if with_incumbents else None
            options.on_progress(time.monotonic() - began, told, safe(bound))

    left = began + seconds - time.monotonic()
    return Limits(max(left, 0.0), options.workers, options.seed, on_progress)


def size(lp: pulp.LpProblem) -> Size:
    """Columns, rows and nonzeros."""
    rows = lp.constraints()
    return Size(variables=len(lp.variables()), constraints=len(rows), nonzeros=sum(len(row) for row in rows))


def write_model(lp: pulp.LpProblem, path: str | Path) -> None:
    """Write the model for another solver, as MPS or LP by the file's suffix.

    Raises
    ------
    InputError
        For another suffix, or when the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in MODEL_FORMATS:
        raise InputError(f"unknown model format {suffix!r}; expected {' or '.join(MODEL_FORMATS)}", path)
    try:
        if suffix == ".mps":
            lp.writeMPS(str(path))
        else:
            lp.writeLP(str(path))
    except OSError as error:
        raise InputError(f"cannot write the file: {error.strerror or error}", path) from None
