"""Solving the offline problem: ``solve`` is the one public function."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.simulator import retime, simulate
from solvers.bounds import cheap
from solvers.brackets import isolation
from solvers.brackets.portfolio import best_bound
from solvers.exact import FORMULATIONS
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import ContradictionError
from solvers.problem.certificate import certified_value, certify
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import OfflineProblem, fixed_problem
from solvers.problem.result import INTERRUPTED, OnProgress, Options, Raw, Size, SolveResult

FLOOR_SECONDS = 5.0  # at most, for the bounds that need no solver
OVERTIME = 60.0  # seconds beyond the time limit that building a model or a solver's last step may take
START_POLICIES = ("hexagent", "workflow-llf", "workflow-fcfs", "sjf")  # each takes milliseconds on what can be solved


def solve(
    instance: Instance,
    formulation: str = "cpsat",
    objective: str = "max_ratio",
    *,
    options: Options = Options(),  # noqa: B008 - frozen
    start_policies: Sequence[str] = START_POLICIES,
) -> SolveResult:
    """Find a schedule and a lower bound, both certified in real time.

    Parameters
    ----------
    instance : Instance
        In the ``fixed`` decode model.
    formulation : str
        A name of ``solvers.formulations``.
    objective : str
        ``max_ratio``, ``req(Q)``, ``mean_ratio``, ``mean_latency`` or ``misses(S)``.
    options : Options
    start_policies : sequence of str
        The formulation starts from the best of their schedules and ``options.warm_start``, and the result is never
        worse. Empty for a start from nothing.

    Returns
    -------
    SolveResult
        Also when the solver is missing or crashes (status ``unknown``; the message says why), and after Ctrl-C: with
        the best schedule so far.

    Raises
    ------
    InputError
        For a ``fluid`` instance, an unknown formulation, objective, policy or switch, and a warm start that is no
        schedule of the instance.
    """
    began = time.perf_counter()
    chosen, aim, problem = FORMULATIONS.find(formulation), read_objective(objective), fixed_problem(instance)
    _check(chosen, aim, options)
    start = _best_start(problem, aim, options.warm_start, start_policies)
    series = _Series(options.on_progress)
    if start is not None:
        series(time.perf_counter() - began, start[0], None)
    with_start = replace(options, warm_start=start[1] if start else None, on_progress=series)
    run = _run_in_child if options.isolate and isolation.AVAILABLE else _run
    raw, crashed = run(chosen, problem, aim, with_start, began)
    floor = best_bound(problem, aim, FLOOR_SECONDS, cheap())
    result = certify(chosen.name, problem, aim, _no_worse(problem, aim, raw, start), floor.value, floor.source)
    return replace(
        result,
        status="unknown" if crashed else result.status,
        seconds=time.perf_counter() - began,
        series=tuple(series.rows),
    )


def _check(chosen: Formulation, aim: Objective, options: Options) -> None:
    if aim.kind not in chosen.objectives:
        raise InputError(f"formulation {chosen.name!r} cannot minimise {aim}; it can {', '.join(chosen.objectives)}")
    for switch in options.extra:
        if switch not in chosen.switches:
            known = ", ".join(chosen.switches) or "none"
            raise InputError(f"formulation {chosen.name!r} has no switch {switch!r}; it has {known}")
    if options.solver is not None and options.solver not in chosen.solvers:
        raise InputError(
            f"formulation {chosen.name!r} cannot use solver {options.solver!r}; it can use {', '.join(chosen.solvers)}"
        )
    if options.write_model is not None and not str(options.write_model).endswith(chosen.model_formats):
        known = ", ".join(chosen.model_formats) or "none"
        raise InputError(
            f"formulation {chosen.name!r} cannot write such a model file; endings: {known}", options.write_model
        )
    if not options.time_limit > 0:
        raise InputError(f"time_limit must be above 0 seconds, got {options.time_limit}")
    if options.workers < 1:
        raise InputError(f"workers must be at least 1, got {options.workers}")


def _best_start(
    problem: OfflineProblem, aim: Objective, given: Schedule | None, policies: Sequence[str]
) -> tuple[float, Schedule] | None:
    found = []
    if given is not None:
        try:
            retime(problem.instance, given)
        except InputError as error:
            raise InputError(f"the warm start cannot be used: {error}") from None
        found.append(certified_value(problem, aim, given))
    found += [certified_value(problem, aim, simulate(problem.instance, name).schedule) for name in policies]
    return min((start for start in found if start is not None), key=lambda start: start[0], default=None)


def _run(
    chosen: Formulation, problem: OfflineProblem, aim: Objective, options: Options, began: float
) -> tuple[Raw, bool]:
    """What the formulation found, and whether it crashed."""
    try:
        return chosen.solve(problem, aim, options), False
    except (InputError, ContradictionError):
        raise
    except KeyboardInterrupt:
        message = INTERRUPTED
    except Exception as error:  # whatever a solver's bindings may raise; bounds and warm start are still worth having
        message = f"{chosen.name} failed: {type(error).__name__}: {error}"
    crashed = message != INTERRUPTED
    return Raw("unknown", None, None, Size(0, 0), time.perf_counter() - began, message=message), crashed


def _run_in_child(
    chosen: Formulation, problem: OfflineProblem, aim: Objective, options: Options, began: float
) -> tuple[Raw, bool]:
    """``_run``, with what the formulation had told before it died where it does not survive."""
    bounds: list[float] = []
    incumbents: list[Schedule] = []

    def work(tell: isolation.Tell) -> tuple[Raw, bool]:
        told = replace(
            options,
            on_progress=lambda *row: tell(("progress", row)),
            on_incumbent=lambda schedule: tell(("incumbent", schedule)),
        )
        return _run(chosen, problem, aim, told, began)

    def hear(message: tuple[str, Any]) -> None:
        kind, content = message
        if kind == "incumbent":
            incumbents.append(content)
            if options.on_incumbent is not None:
                options.on_incumbent(content)
            return
        if content[2] is not None:
            bounds.append(content[2])
        if options.on_progress is not None:
            options.on_progress(*content)

    try:
        raw, crashed = isolation.in_child(work, hear, options.time_limit + max(options.time_limit, OVERTIME))
    except isolation.CrashedError as error:
        raw = Raw("unknown", None, None, Size(0, 0), 0.0, message=f"{chosen.name} crashed: {error}")
        crashed = True
    except KeyboardInterrupt:
        raw, crashed = Raw("unknown", None, None, Size(0, 0), 0.0, message=INTERRUPTED), False
    if raw.decisions is None and raw.bound is None:
        raw = replace(raw, decisions=incumbents[-1] if incumbents else None, bound=max(bounds, default=None))
    return replace(raw, seconds=time.perf_counter() - began), crashed


def _no_worse(problem: OfflineProblem, aim: Objective, raw: Raw, start: tuple[float, Schedule] | None) -> Raw:
    """``raw`` with the decisions of the warm start, where the solver's are not better."""
    if start is None:
        return raw
    found = certified_value(problem, aim, raw.decisions) if raw.decisions is not None else None
    return raw if found is not None and found[0] < start[0] else replace(raw, decisions=start[1])


@dataclass
class _Series:
    """Keeps incumbent and bound over time, and passes them on."""

    on_progress: OnProgress | None
    rows: list[tuple[float, float | None, float | None]] = field(default_factory=list)
    incumbent: float = math.inf
    bound: float = -math.inf

    def __call__(self, seconds: float, incumbent: float | None, bound: float | None) -> None:
        if incumbent is not None:
            self.incumbent = min(self.incumbent, incumbent)
        if bound is not None:
            self.bound = max(self.bound, bound)
        best = self.incumbent if math.isfinite(self.incumbent) else None
        proved = self.bound if math.isfinite(self.bound) else None
        row = (seconds, best, proved)
        if not self.rows or row[1:] != self.rows[-1][1:]:
            self.rows.append(row)
            if self.on_progress is not None:
                self.on_progress(*row)
