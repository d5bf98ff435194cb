"""MILP solvers by name. To add one: ``available`` and ``solve`` in a module, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pulp

from hexsched.errors import InputError
from hexsched.registry import choices
from solvers.exact.milp import bindings, cbc, highs
from solvers.exact.milp.answer import Answer, Effort


@dataclass(frozen=True)
class Backend:
    """A MILP solver.

    Attributes
    ----------
    available : callable
        Whether it is installed (and licensed).
    solve : callable
        ``(model, limits) -> Answer``, from the values of the model's variables to better ones.
    """

    available: Callable[[], bool]
    solve: Callable[[pulp.LpProblem, Effort], Answer]


BACKENDS = {
    "HiGHS": Backend(highs.available, highs.solve),
    "CBC": Backend(cbc.available, cbc.solve),
    "SCIP": Backend(bindings.scip_available, bindings.solve_scip),
    "Gurobi": Backend(bindings.gurobi_available, bindings.solve_gurobi),
    "CPLEX": Backend(bindings.cplex_available, bindings.solve_cplex),
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
        raise InputError(f"solver {by_name[asked]} is not installed; installed: {', '.join(installed) or 'none'}")
    return chosen


def run(lp: pulp.LpProblem, solver: Backend, limits: Effort) -> Answer:
    """Solve and tell the outcome as progress; a solver that breaks down says nothing instead of raising."""
    try:
        answer = solver.solve(lp, limits)
    except Exception as error:  # whatever a solver's binding raises
        return Answer("unknown", message=f"the solver failed: {type(error).__name__}: {error}")
    limits.on_progress(pulp.value(lp.objective) if answer.solved else None, answer.bound)
    return answer
