"""One search of CP-SAT: a model, and what its bracket learns of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata

from ortools.sat.python import cp_model

from hexsched.errors import InputError
from solvers.exact.cp.energy import Separation
from solvers.exact.cp.model import Effort, Model, build
from solvers.exact.cp.ticked import TickedProblem
from solvers.exact.cp.variables import decisions
from solvers.problem.bracket import Bracket, ContradictionError
from solvers.problem.certificate import offer
from solvers.problem.result import Options, Report, Size

NAME = "cpsat"
CPSAT_VERSION = metadata.version("ortools")
STATUS = {cp_model.OPTIMAL: "optimal", cp_model.FEASIBLE: "feasible", cp_model.INFEASIBLE: "infeasible"}
WITH_ENERGY = ("default_lp", "no_lp")  # the same where there are windows of work, of which linear programs make use
PROOF = ("no_lp", "objective_lb_search")  # ways of CP-SAT to search, a worker each


@dataclass(frozen=True)
class Attempt:
    """What CP-SAT made of one model.

    Attributes
    ----------
    is_done : bool
        Whether it has searched everything.
    is_refuted : bool
        Whether nothing is within the cutoff.
    root_bound : float or None
        The first bound it proved.
    size : Size
    report : Report or None
        None where it was only written.
    """

    is_done: bool
    is_refuted: bool
    root_bound: float | None
    size: Size
    report: Report | None = None


class _Watch(cp_model.CpSolverSolutionCallback):
    """Reports what CP-SAT finds and proves, while it searches.

    An exception in a callback would be lost or end the process, so a contradiction is left to ``Bracket.check``.
    """

    def __init__(self, data: TickedProblem, model: Model, bracket: Bracket, cutoff: float) -> None:
        super().__init__()
        self._data, self._model, self._bracket, self._cutoff = data, model, bracket, cutoff
        self.root_bound: float | None = None

    def on_solution_callback(self) -> None:
        with suppress(ContradictionError):
            self._bracket.announce(self._model.minimised.in_real_time(self.objective_value))
            offer(self._data.problem, self._bracket, decisions(self, self._data, self._model.variables), NAME)

    def on_bound(self, bound: float) -> None:
        # what is proved of the schedules within a cutoff says nothing beyond it
        real = min(self._model.minimised.in_real_time(bound), self._cutoff)
        if self.root_bound is None:
            self.root_bound = real
        with suppress(ContradictionError):
            self._bracket.prove(real, NAME)


def attempt(
    data: TickedProblem,
    bracket: Bracket,
    options: Options,
    on: Mapping[str, bool],
    effort: Effort,
    relative_gap: float,
    separation: Separation,
) -> Attempt:
    """Search one model from the best schedule known.

    Parameters
    ----------
    relative_gap : float
        Relative distance of the model's value and bound at which the search may stop.
    separation : Separation

    Raises
    ------
    InputError
        When the model cannot be written to the file asked for.
    RuntimeError
        When CP-SAT refuses the model.
    """
    model = build(data, bracket.objective, on, effort, bracket.schedule, bracket.value, separation)
    if options.write_model is not None and not model.cp.export_to_file(str(options.write_model)):
        raise InputError("cannot write the model", options.write_model)
    size = Size(variables=len(model.cp.proto.variables), constraints=len(model.cp.proto.constraints))
    if options.only_write:
        return Attempt(is_done=True, is_refuted=False, root_bound=None, size=size)
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.max_time_in_seconds = max(effort.seconds, 0.0)
    parameters.num_workers = options.workers
    parameters.random_seed = options.seed
    parameters.relative_gap_limit = relative_gap
    # OR-tools 9.15 loses solutions in this part of presolve and then proves a wrong optimum (google/or-tools#5293);
    # seen on req(q), whose rules hold for workflows that are not dropped.
    parameters.presolve_inclusion_work_limit = 0
    # Learning about which comes first. It used to be worth a lot; since each machine has one interval a call, no more.
    parameters.use_dynamic_precedence_in_disjunctive = on["precedences"]
    parameters.use_dynamic_precedence_in_cumulative = on["precedences"]
    if on["proof"] and options.workers <= len(PROOF):
        parameters.subsolvers.extend((WITH_ENERGY if effort.energy else PROOF)[: options.workers])
        if effort.to_refute:
            parameters.num_full_subsolvers = options.workers
    watch = _Watch(data, model, bracket, effort.cutoff)
    solver.best_bound_callback = watch.on_bound
    code = _search(solver, model.cp, watch, bracket)
    if code == cp_model.MODEL_INVALID:
        raise RuntimeError(f"CP-SAT refuses the model: {model.cp.validate()}")
    if code in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        offer(data.problem, bracket, decisions(solver, data, model.variables), NAME)
    if code != cp_model.INFEASIBLE and math.isfinite(solver.best_objective_bound):
        watch.on_bound(solver.best_objective_bound)
    bracket.check()
    proved = solver.best_objective_bound if code != cp_model.INFEASIBLE else math.inf
    bound = model.minimised.in_real_time(proved) if math.isfinite(proved) else None
    return Attempt(
        is_done=code in (cp_model.OPTIMAL, cp_model.INFEASIBLE),
        is_refuted=code == cp_model.INFEASIBLE,
        root_bound=watch.root_bound,
        size=size,
        report=Report("CP-SAT", CPSAT_VERSION, options.workers, 0.0, STATUS.get(code, "unknown"), bound),
    )


def _search(
    solver: cp_model.CpSolver, model: cp_model.CpModel, watch: _Watch, bracket: Bracket
) -> cp_model.CpSolverStatus:
    """The solver's status; in a thread of its own, as Python cannot see Ctrl-C before the call into CP-SAT returns."""
    solver.parameters.catch_sigint_signal = False
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(solver.solve, model, watch)
        try:
            return running.result()
        except KeyboardInterrupt:
            bracket.interrupt()
            solver.stop_search()
            return running.result()
