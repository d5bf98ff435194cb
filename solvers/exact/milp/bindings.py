"""Gurobi and CPLEX through PuLP's in-process bindings, for those who have them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pulp

from solvers.exact.milp.answer import Answer, Effort, MilpStatus, finite, has_start


def gurobi_available() -> bool:
    """Whether gurobipy can be loaded and has a licence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(pulp.GUROBI(msg=False).available())


def gurobi_version() -> str:
    """Of Gurobi."""
    import gurobipy

    return ".".join(map(str, gurobipy.gurobi.version()))


def solve_gurobi(lp: pulp.LpProblem, limits: Effort) -> Answer:
    """Solve with Gurobi from the values that the variables have."""
    solver = pulp.GUROBI(
        msg=False,
        timeLimit=max(limits.seconds, 1e-3),
        warmStart=has_start(lp),
        MIPGap=0.0,  # PuLP's gapRel=0 is taken for "not given"
        Threads=limits.workers,
        Seed=limits.seed % 2**31,
    )
    return _run(lp, solver, _gurobi_answer)


def _gurobi_answer(model: Any) -> Answer:
    optimal, infeasible = model.Status == 2, model.Status == 3
    said = {9: "time limit", 11: "interrupted"}.get(model.Status, f"status {model.Status}")
    return _answer("Gurobi", said, optimal, infeasible, model.SolCount > 0, finite(model.ObjBound), None)


def cplex_available() -> bool:
    """Whether CPLEX's Python interface can be loaded."""
    return bool(pulp.CPLEX_PY().available())


def cplex_version() -> str:
    """Of CPLEX."""
    import cplex

    return str(cplex.Cplex().get_version())


def solve_cplex(lp: pulp.LpProblem, limits: Effort) -> Answer:
    """Solve with CPLEX from the values that the variables have."""
    solver = pulp.CPLEX_PY(
        msg=False,
        timeLimit=limits.seconds,
        gapRel=0.0,
        warmStart=has_start(lp),
        threads=limits.workers,
        randomseed=limits.seed % 2**31,
    )
    return _run(lp, solver, _cplex_answer)


def _cplex_answer(model: Any) -> Answer:
    solution, status = model.solution, model.solution.status
    said, code = solution.get_status_string(), solution.get_status()
    optimal = code in (status.MIP_optimal, status.optimal_tolerance)
    has_solution = bool(solution.is_primal_feasible())
    bound = finite(solution.MIP.get_best_objective())
    return _answer("CPLEX", said, optimal, code == status.MIP_infeasible, has_solution, bound, None)


def _run(lp: pulp.LpProblem, solver: Any, read: Callable[[Any], Answer]) -> Answer:
    try:
        solver.actualSolve(lp)
    except KeyboardInterrupt:
        return Answer("unknown", message="interrupted", interrupted=True)
    return read(lp.solverModel)


def _answer(
    name: str, said: str, optimal: bool, infeasible: bool, solved: bool, bound: float | None, root: float | None
) -> Answer:
    if infeasible:
        return Answer("infeasible", message=f"{name} finds no solution")
    status: MilpStatus = "optimal" if optimal else "feasible" if solved else "unknown"
    interrupted = "interrupt" in said
    return Answer(status, bound, root, "" if optimal else f"{name}: {said}", interrupted=interrupted)
