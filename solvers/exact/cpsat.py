"""Building the model and having CP-SAT search it."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from ortools.sat.python import cp_model

from hexsched.errors import InputError
from hexsched.model import Schedule
from solvers.bounds import load, preemptive_lp
from solvers.exact.cp.bracket import Bracket, close
from solvers.exact.cp.constraints import add_rules, order_identical_instances
from solvers.exact.cp.energy import add_energy, energy_bound
from solvers.exact.cp.objective import Minimised, deadlines, minimise
from solvers.exact.cp.ticked import TickedProblem, in_ticks
from solvers.exact.cp.variables import Variables, decisions, declare, hint
from solvers.exact.milp.drive import starting_point
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import OPTIMALITY_TOLERANCE
from solvers.problem.certificate import certified_value
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import INTERRUPTED, Options, Raw, Size, Status

PRECISIONS = (1e-5, 1e-6)  # ticks as shares of the shortest H_w; 1e-4 is no faster and seldom fine enough to close
WITH_ENERGY = ("default_lp", "no_lp")  # the same where there are windows of work, of which linear programs make use
PLAIN = 0.4  # of the time limit, for the first search, where others may follow
SEARCH_SHARE = 0.05  # of the time left, for local search
SOON = 0.01  # seconds: a limit must be above 0
BOUND_SHARE = 0.2  # of the time left, most, for the bound from windows of work
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


@dataclass
class _State:
    """What the searches of one solve have shown so far."""

    problem: OfflineProblem
    objective: Objective
    options: Options
    began: float
    best: tuple[float, Schedule] | None = None
    bounds: list[float] = field(default_factory=list)
    attempts: list[_Attempt] = field(default_factory=list)
    interrupted: bool = False

    @property
    def lower(self) -> float:
        return max(self.bounds, default=-math.inf)

    @property
    def upper(self) -> float:
        return self.best[0] if self.best is not None else math.inf

    @property
    def closed(self) -> bool:
        return self.upper - self.lower <= OPTIMALITY_TOLERANCE * abs(self.upper)

    def left(self) -> float:
        """Seconds; none after an interrupt, or when CP-SAT refuses a model."""
        if self.interrupted or (self.attempts and self.attempts[-1].message):
            return 0.0
        return max(self.options.time_limit - (time.perf_counter() - self.began), 0.0)

    def prove(self, bound: float) -> None:
        """Keep a lower bound."""
        self.bounds.append(bound)
        if self.options.on_progress is not None:
            self.options.on_progress(time.perf_counter() - self.began, None, bound)

    def found(self, schedule: Schedule) -> None:
        """Keep a schedule if it is the best."""
        known = certified_value(self.problem, self.objective, schedule)
        if known is not None and known[0] < self.upper:
            self.best = known

    def run(self, data: TickedProblem, effort: _Effort) -> _Attempt:
        """One search, and what it shows."""
        start = self.best[1] if self.best is not None else None
        attempt = _attempt(data, self.objective, replace(self.options, warm_start=start), self.began, effort)
        self.attempts.append(attempt)
        if attempt.decisions is not None:
            self.found(attempt.decisions)
        if attempt.bound is not None and attempt.code != cp_model.INFEASIBLE:
            self.bounds.append(attempt.bound)
        return attempt


def solve(problem: OfflineProblem, objective: Objective, options: Options) -> Raw:
    """Solve with CP-SAT in coarse ticks, and once more in fine ones where schedule and bound do not meet in real time.

    Where that takes longer than a share of the time, the largest ratio is bracketed (``bracket``). Stops at the time
    limit and at Ctrl-C.
    """
    state = _State(problem, objective, options, time.perf_counter())
    on = SWITCHED_ON | options.extra
    if on["start"]:
        state.best = starting_point(problem, objective, options)
    elif options.warm_start is not None:
        state.best = certified_value(problem, objective, options.warm_start)
    bracketing = on["bracket"] and objective.is_tail
    for precision in PRECISIONS:
        data = in_ticks(problem, precision)
        effort = _Effort(min(PLAIN * options.time_limit, state.left()) if bracketing else state.left())
        attempt = state.run(data, effort)
        if attempt.code != cp_model.OPTIMAL:
            if bracketing and state.left() > 0:
                try:
                    _bracket(state)
                except KeyboardInterrupt:  # outside CP-SAT
                    state.interrupted = True
            break
        if state.closed:
            break
    refuted = state.attempts[-1].code == cp_model.INFEASIBLE and state.best is not None  # of a cutoff alone
    return Raw(
        status="feasible" if refuted else STATUS.get(state.attempts[-1].code, "unknown"),
        decisions=state.best[1] if state.best is not None else None,
        bound=state.lower if state.bounds else None,
        size=state.attempts[0].size,
        seconds=time.perf_counter() - state.began,
        root_bound=state.attempts[0].root_bound,
        message=INTERRUPTED if state.interrupted else state.attempts[-1].message,
    )


def _bracket(state: _State) -> None:
    """Close the bracket of the largest ratio, in coarse ticks, then in fine ones."""
    on = SWITCHED_ON | state.options.extra
    if on["search"]:
        _local_search(state)
    coarse = in_ticks(state.problem, PRECISIONS[0])
    state.prove(_floor(state, coarse, on["energy"]))
    if not math.isfinite(state.upper):
        state.run(coarse, _Effort(state.left()))
        return
    for precision in PRECISIONS:
        data = in_ticks(state.problem, precision)

        def search(bracket: Bracket, cutoff: float, seconds: float, data: TickedProblem = data) -> bool:
            to_refute = cutoff < bracket.upper
            effort = _Effort(seconds, bracket.lower, cutoff, on["energy"] and to_refute, to_refute)
            attempt = state.run(data, effort)
            if attempt.code == cp_model.INFEASIBLE:
                state.prove(cutoff)
            bracket.lower, bracket.upper = max(bracket.lower, state.lower), state.upper
            return attempt.code in (cp_model.OPTIMAL, cp_model.INFEASIBLE)

        close(Bracket(max(state.lower, 1.0), state.upper), OPTIMALITY_TOLERANCE, state.left, search)


def _floor(state: _State, data: TickedProblem, energy: bool) -> float:
    """A lower bound from relaxations."""
    seconds = BOUND_SHARE * state.left()
    if not energy:
        return load.compute(state.problem, state.objective, seconds)
    # where workflows may be dropped, the preemptive LP says more than windows do
    begin = preemptive_lp if state.objective.dropped(state.problem.workflows) else load
    known = max(state.lower, begin.compute(state.problem, state.objective, seconds / 2))
    return energy_bound(data, state.objective, known, seconds / 2)


def _local_search(state: _State) -> None:
    """A better schedule from the search over priorities, which is quick where neighbourhoods of CP-SAT are slow."""
    from solvers.schedules.search.run import search as local_search  # it takes long to load

    options = state.options
    start = [state.best[1]] if state.best is not None else None
    found = local_search(
        state.problem.instance,
        str(state.objective),
        start=start,
        time_limit=SEARCH_SHARE * state.left() + SOON,
        workers=options.workers,
        seed=options.seed,
    )
    before = state.upper
    state.found(found.schedule)
    if state.best is not None and state.upper < before:
        if options.on_progress is not None:
            options.on_progress(time.perf_counter() - state.began, state.upper, None)
        if options.on_incumbent is not None:
            options.on_incumbent(state.best[1])
    state.interrupted = found.message == INTERRUPTED


@dataclass(frozen=True)
class _Effort:
    """How one search is made.

    Attributes
    ----------
    seconds : float
    lower, cutoff : float
        Only values between them count.
    energy : bool
        Whether windows of work go into the model.
    to_refute : bool
        Whether it is more likely that there is nothing to find: every worker then looks for a proof.
    """

    seconds: float
    lower: float = -math.inf
    cutoff: float = math.inf
    energy: bool = False
    to_refute: bool = False


def _attempt(data: TickedProblem, objective: Objective, options: Options, began: float, effort: _Effort) -> _Attempt:
    model, variables, minimised = build(data, objective, options, effort)
    within = minimised.in_real_time
    # what is proved of the schedules within a cutoff says nothing beyond it
    minimised = replace(minimised, in_real_time=lambda value: min(within(value), effort.cutoff))
    if options.write_model is not None and not model.export_to_file(str(options.write_model)):
        raise InputError("cannot write the model", options.write_model)
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.max_time_in_seconds = max(effort.seconds, 0.0)
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
        parameters.subsolvers.extend((WITH_ENERGY if effort.energy else PROOF)[: options.workers])
        if effort.to_refute:
            parameters.num_full_subsolvers = options.workers
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


def build(
    data: TickedProblem, objective: Objective, options: Options, effort: _Effort
) -> tuple[cp_model.CpModel, Variables, Minimised]:
    """The model, with what the switches of ``options`` add to it."""
    on = SWITCHED_ON | options.extra
    start = options.warm_start
    cutoff = effort.cutoff
    if on["windows"] and start is not None:
        cutoff = min(cutoff, _value(data.problem, objective, start))
    model = cp_model.CpModel()
    variables = declare(model, data, deadlines(data, objective, cutoff))
    add_rules(model, data, variables)
    minimised = minimise(model, data, variables, objective, effort.lower, cutoff)
    if on["symmetry"]:
        order_identical_instances(model, data, variables)
    if effort.energy and minimised.largest is not None:
        add_energy(model, data, variables, minimised.largest, effort.lower, cutoff)
    if on["hint"] and start is not None:
        hint(model, data, variables, start)
    return model, variables, minimised


def _value(problem: OfflineProblem, objective: Objective, schedule: Schedule) -> float:
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
    "bracket": True,
    "search": True,
    "energy": True,
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
        "bracket": "max_ratio or req(Q) is closed in from both sides where one search is not soon done (on)",
        "search": "local search over priorities before that (on)",
        "energy": "work in windows of time against the largest ratio, while that is closed in (on)",
    },
    model_formats=(".pb", ".txt"),
)
