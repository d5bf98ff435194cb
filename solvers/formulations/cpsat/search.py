"""Building the model and having CP-SAT search it."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from ortools.sat.python import cp_model

from hexsched.errors import InputError
from hexsched.model import Schedule
from solvers.certificate import OPTIMALITY_TOLERANCE, certified_value
from solvers.formulations.cpsat.constraints import (
    add_rules,
    energy_within_ratio,
    order_identical_instances,
)
from solvers.formulations.cpsat.objective import Minimised, deadlines, minimise
from solvers.formulations.cpsat.ticked import TickedProblem, in_ticks
from solvers.formulations.cpsat.variables import Variables, decisions, declare, hint
from solvers.formulations.formulation import Formulation
from solvers.milp.drive import starting_point
from solvers.objective import Objective
from solvers.problem import Problem
from solvers.result import INTERRUPTED, Options, Raw, Size, Status

PRECISIONS = (1e-5, 1e-6)  # ticks as shares of the shortest H_w; 1e-4 is no faster and seldom fine enough to close
PROOF = ("no_lp", "objective_lb_search")  # ways of CP-SAT to search, a worker each
RELATIVE_GAP = 2e-5  # where the search may stop: with the roundings it stays well below OPTIMALITY_TOLERANCE

STATUS: dict[cp_model.CpSolverStatus, Status] = {
    cp_model.OPTIMAL: "optimal",
    cp_model.FEASIBLE: "feasible",
    cp_model.INFEASIBLE: "infeasible",
}


class _Watch(cp_model.CpSolverSolutionCallback):
    """Tells ``on_progress`` and ``on_incumbent`` what CP-SAT finds and proves."""

    def __init__(
        self, data: TickedProblem, variables: Variables, minimised: Minimised, options: Options, began: float
    ) -> None:
        super().__init__()
        self._data = data
        self._variables = variables
        self._in_real_time = minimised.in_real_time
        self._on_progress = options.on_progress
        self._on_incumbent = options.on_incumbent
        self._began = began
        self.root_bound: float | None = None

    def on_solution_callback(self) -> None:
        self._tell(self._in_real_time(self.objective_value), None)
        if self._on_incumbent is not None:
            self._on_incumbent(decisions(self, self._data, self._variables))

    def on_bound(self, bound: float) -> None:
        real = self._in_real_time(bound)
        if self.root_bound is None:
            self.root_bound = real
        self._tell(None, real)

    def _tell(self, incumbent: float | None, bound: float | None) -> None:
        if self._on_progress is not None:
            self._on_progress(time.perf_counter() - self._began, incumbent, bound)


@dataclass(frozen=True)
class _Attempt:
    """What CP-SAT made of one model."""

    code: cp_model.CpSolverStatus
    decisions: Schedule | None
    bound: float | None
    root_bound: float | None
    size: Size
    message: str


def solve(problem: Problem, objective: Objective, options: Options) -> Raw:
    """Solve with CP-SAT in coarse ticks, and once more in fine ones where schedule and bound do not meet in real time.

    Stops at the time limit and at Ctrl-C.
    """
    began = time.perf_counter()
    bounds: list[float] = []
    best: tuple[float, Schedule] | None = None
    root_bound = None
    if (SWITCHED_ON | options.extra)["start"]:
        best = starting_point(problem, objective, options)
        options = replace(options, warm_start=best[1])
    for precision in PRECISIONS:
        attempt = _attempt(in_ticks(problem, precision), objective, options, began)
        found = certified_value(problem, objective, attempt.decisions) if attempt.decisions is not None else None
        if found is not None and (best is None or found[0] < best[0]):
            best = found
            options = replace(options, warm_start=found[1])
        bounds += [attempt.bound] if attempt.bound is not None else []
        root_bound = attempt.root_bound if root_bound is None else root_bound
        proved = attempt.code == cp_model.OPTIMAL
        if not proved or (best is not None and best[0] - max(bounds) <= OPTIMALITY_TOLERANCE * abs(best[0])):
            break
    return Raw(
        status=STATUS.get(attempt.code, "unknown"),
        decisions=best[1] if best is not None else None,
        bound=max(bounds, default=None),
        size=attempt.size,
        seconds=time.perf_counter() - began,
        root_bound=root_bound,
        message=attempt.message,
    )


def _attempt(data: TickedProblem, objective: Objective, options: Options, began: float) -> _Attempt:
    model, variables, minimised = build(data, objective, options)
    if options.write_model is not None and not model.export_to_file(str(options.write_model)):
        raise InputError("cannot write the model", options.write_model)
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.max_time_in_seconds = max(options.time_limit - (time.perf_counter() - began), 0.0)
    parameters.num_workers = options.workers
    parameters.random_seed = options.seed
    parameters.relative_gap_limit = RELATIVE_GAP
    # OR-tools 9.15 loses solutions in this part of presolve and then proves a wrong optimum (google/or-tools#5293);
    # seen on req(q), whose rules hold for workflows that are not dropped.
    parameters.presolve_inclusion_work_limit = 0
    on = SWITCHED_ON | options.extra
    # Learning about which comes first. It used to be worth a lot; since each machine has one interval a call, no more.
    parameters.use_dynamic_precedence_in_disjunctive = on["precedences"]
    parameters.use_dynamic_precedence_in_cumulative = on["precedences"]
    if on["proof"] and options.workers <= len(PROOF):
        parameters.subsolvers.extend(PROOF[: options.workers])
    watch = _Watch(data, variables, minimised, options, began)
    solver.best_bound_callback = watch.on_bound
    code, interrupted = _search(solver, model, watch)
    found = code in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    bound = solver.best_objective_bound if code != cp_model.MODEL_INVALID else math.nan
    return _Attempt(
        code=code,
        decisions=decisions(solver, data, variables) if found else None,
        bound=minimised.in_real_time(bound) if math.isfinite(bound) else None,
        root_bound=watch.root_bound,
        size=Size(variables=len(model.proto.variables), constraints=len(model.proto.constraints)),
        message=_message(code, model, interrupted),
    )


def build(data: TickedProblem, objective: Objective, options: Options) -> tuple[cp_model.CpModel, Variables, Minimised]:
    """The model, with what the switches of ``options`` add to it."""
    on = SWITCHED_ON | options.extra
    start = options.warm_start
    cutoff = math.inf
    if on["windows"] and start is not None:
        cutoff = _value(data.problem, objective, start)
    model = cp_model.CpModel()
    variables = declare(model, data, deadlines(data, objective, cutoff))
    add_rules(model, data, variables)
    minimised = minimise(model, data, variables, objective, cutoff)
    if on["symmetry"]:
        order_identical_instances(model, data, variables)
    if on["energy"] and minimised.tail is not None:
        energy_within_ratio(model, data, variables, minimised.tail)
    if on["hint"] and start is not None:
        hint(model, data, variables, start)
    return model, variables, minimised


def _value(problem: Problem, objective: Objective, schedule: Schedule) -> float:
    end: dict[str, float] = {}
    for row in schedule.calls:
        end[row.workflow_id] = max(end.get(row.workflow_id, 0.0), row.decode_end)
    completed = np.array([end[w.workflow_id] for w in problem.instance.workflows])
    return objective.value(problem.arrival, completed, problem.horizon)


def _search(solver: cp_model.CpSolver, model: cp_model.CpModel, watch: _Watch) -> tuple[cp_model.CpSolverStatus, bool]:
    """The solver's status, and whether Ctrl-C ended the search.

    In a thread of its own, as Python cannot see Ctrl-C before the call into CP-SAT returns.
    """
    solver.parameters.catch_sigint_signal = False
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(solver.solve, model, watch)
        try:
            return running.result(), False
        except KeyboardInterrupt:
            solver.stop_search()
            return running.result(), True


def _message(code: cp_model.CpSolverStatus, model: cp_model.CpModel, interrupted: bool) -> str:
    if code == cp_model.MODEL_INVALID:
        return f"CP-SAT refuses the model: {model.validate()}"
    return INTERRUPTED if interrupted else ""


SWITCHED_ON = {
    "windows": False,
    "symmetry": True,
    "hint": True,
    "energy": False,
    "precedences": False,
    "proof": True,
    "start": True,
}

FORMULATION = Formulation(
    name="cpsat",
    summary="constraint programming over whole ticks: optional intervals, no-overlap and cumulative",
    citation="Laborie et al. 2018, IBM ILOG CP optimizer for scheduling; solver: CP-SAT of OR-tools",
    solve=solve,
    solvers=("CP-SAT",),
    switches={
        "windows": "deadlines of the calls from the value of the warm start (off)",
        "symmetry": "identical instances are used in turn (on)",
        "start": "a list schedule takes the place of a warm start that is worse or missing (on)",
        "hint": "the search begins at the warm start (on)",
        "precedences": "the search learns which of two comes first (off)",
        "proof": "of up to two workers one searches without linear programs and one from the bound upwards (on)",
        "energy": "work on each instance against the largest ratio, for max_ratio (off)",
    },
    model_formats=(".pb", ".txt"),
)
