"""MILP solvers by name. To add one: ``available`` and ``solve`` in a module, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pulp

from hexsched.errors import InputError
from hexsched.registry import choices
from solvers.exact.milp import bindings, cbc, cp_sat, highs, scip
from solvers.exact.milp.answer import FEASIBILITY, Answer, Effort
from solvers.problem.result import Options, Report


@dataclass(frozen=True)
class Backend:
    """A MILP solver.

    Attributes
    ----------
    name : str
    available : callable
        Whether it is installed (and licensed).
    solve : callable
        ``(model, limits) -> Answer``, from the values of the model's variables to better ones.
    version : callable
        Of the solver, in words; called only where it is available.
    tolerance : float
        By how much a solution may break a row.
    threads : bool
        Whether it uses more than one.
    """

    name: str
    available: Callable[[], bool]
    solve: Callable[[pulp.LpProblem, Effort], Answer]
    version: Callable[[], str]
    tolerance: float = 1e-6
    threads: bool = True

    def report(self, answer: Answer, options: Options) -> Report:
        """What the solver says of itself and of its last model."""
        threads = options.workers if self.threads else 1
        return Report(self.name, _version(self), threads, self.tolerance, answer.status, answer.bound)


@cache
def _version(solver: Backend) -> str:
    return solver.version()


BACKENDS = {
    solver.name: solver
    for solver in (
        Backend("HiGHS", highs.available, highs.solve, highs.version, FEASIBILITY),
        Backend("CBC", cbc.available, cbc.solve, cbc.version),
        Backend("SCIP", scip.available, scip.solve, scip.version, FEASIBILITY, threads=False),
        Backend("CP-SAT", cp_sat.available, cp_sat.solve, cp_sat.version, 0.0),
        Backend("Gurobi", bindings.gurobi_available, bindings.solve_gurobi, bindings.gurobi_version),
        Backend("CPLEX", bindings.cplex_available, bindings.solve_cplex, bindings.cplex_version),
    )
}


def backend(name: str | None) -> Backend:
    """The solver of that name, HiGHS when None.

    Raises
    ------
    InputError
        When there is none of that name, or it is not installed.
    """
    by_name = {known.lower(): known for known in BACKENDS}
    asked = (name or "HiGHS").lower()
    if asked not in by_name:
        raise InputError(f"unknown solver {name!r}; {choices(asked, BACKENDS)}")
    chosen = BACKENDS[by_name[asked]]
    if not chosen.available():
        installed = [known for known, each in BACKENDS.items() if each.available()]
        how = "pip install 'hexsched[solvers]' brings SCIP; " if by_name[asked] == "SCIP" else ""
        raise InputError(f"solver {by_name[asked]} is not installed; {how}installed: {', '.join(installed) or 'none'}")
    return chosen


def run(lp: pulp.LpProblem, solver: Backend, limits: Effort) -> Answer:
    """Solve and tell the outcome as progress; a solver that breaks down says nothing instead of raising."""
    try:
        answer = solver.solve(lp, limits)
    except Exception as error:  # whatever a solver's binding raises
        return Answer("unknown", message=f"the solver failed: {type(error).__name__}: {error}")
    limits.on_progress(pulp.value(lp.objective) if answer.solved else None, answer.bound)
    return answer
