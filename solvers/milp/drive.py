"""From a formulation in PuLP to a ``Raw`` result: the start, the solver, the bound, the decisions."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pulp

from hexsched.errors import InputError
from hexsched.model import Schedule
from solvers.certificate import certified_value
from solvers.milp.answer import Answer, Limits, safe
from solvers.milp.backends import backend, run
from solvers.milp.list_schedule import best_list_schedule
from solvers.milp.plan import Plan, from_schedule, to_schedule
from solvers.milp.windows import Windows, windows
from solvers.objective import Objective
from solvers.problem import Problem
from solvers.result import INTERRUPTED, Options, Raw, Size

MODEL_FORMATS = (".mps", ".lp")


class Model(Protocol):
    """A formulation written out for one instance."""

    lp: pulp.LpProblem

    def load(self, plan: Plan) -> None:
        """Give every variable its value in that plan."""

    def plan(self) -> Plan:
        """The plan that the values of the variables say."""


Build = Callable[[Problem, Objective, Windows], Model]


def solve_model(name: str, build: Build, problem: Problem, objective: Objective, options: Options) -> Raw:
    """Build the model in windows that a known schedule gives, and solve it from there."""
    began = time.monotonic()
    solver = backend(options.solver)
    value, schedule = starting_point(problem, objective, options)
    model = build(problem, objective, windows(problem, objective, value))
    model.load(from_schedule(problem, schedule))
    if options.write_model is not None:
        write_model(model.lp, options.write_model)
    answer = run(model.lp, solver, limits(options, began, options.time_limit, with_incumbents=True))
    if answer.solved:
        schedule = to_schedule(problem, model.plan(), name)
    return raw_result(answer, schedule, size(model.lp), time.monotonic() - began)


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


def starting_point(problem: Problem, objective: Objective, options: Options) -> tuple[float, Schedule]:
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
