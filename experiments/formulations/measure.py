"""One solve as columns: what the table of a grid and that of a comparison have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from experiments.formulations.columns import FOUND
from experiments.store.schema import TEXT
from hexsched.errors import InputError
from hexsched.model import Instance
from solvers.brackets.choice import Arm
from solvers.brackets.solve import solve_with
from solvers.problem.result import Options, Report

if TYPE_CHECKING:
    from solvers.problem.bracket import Progress

REFUSED = "refused"  # status: the solver is not installed or has no licence, or the formulation has not this objective


def measure(
    problem: Instance, arm: Arm, objective: str, options: Options
) -> tuple[dict[str, Any], tuple[Progress, ...]]:
    """Solve once.

    Returns
    -------
    dict, tuple of Progress
        Status, value, bounds, size, and what the solver says of itself; and when value and bound got better. What is
        refused has the status ``refused``, a message, and nothing else.
    """
    try:
        wanted = replace(options, solver=arm.solver, extra=dict(arm.switches))
        result = solve_with(problem, arm.formulation, objective, options=wanted)
    except InputError as error:
        nothing = {name: "" if kind == TEXT else None for name, kind in FOUND.items()}
        return {**nothing, "status": REFUSED, "message": " ".join(str(error).split())}, ()
    return {
        "status": result.status,
        "value": result.objective,
        "lower_bound": result.lower_bound,
        "bound_source": result.bound_source,
        "root_bound": result.root_bound,
        "variables": result.size.variables,
        "constraints": result.size.constraints,
        "nonzeros": result.size.nonzeros,
        "message": " ".join(result.message.split()),
        **_said(result.report),
    }, result.series


def _said(report: Report | None) -> dict[str, Any]:
    """The columns of what the solver says of itself; empty where none was asked."""
    if report is None:
        return {name: "" if kind == TEXT else None for name, kind in FOUND.items() if name.startswith("solver")}
    return {
        "solver": report.solver,
        "solver_version": report.version,
        "solver_threads": report.threads,
        "solver_tolerance": report.tolerance,
        "solver_status": report.status,
        "solver_bound": report.bound,
    }
