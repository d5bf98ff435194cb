"""Calls in time and at their places, as if no two of them ever met: what master and subproblems have in common."""

from __future__ import annotations

import numpy as np
from ortools.sat.python import cp_model

from solvers.exact.cp.constraints import admission_after_prefill, durations, one_placement, release
from solvers.exact.cp.ticked import Array, TickedProblem
from solvers.exact.cp.variables import Variables, declare
from solvers.exact.decomposition.cuts import Placement


def relaxed(model: cp_model.CpModel, data: TickedProblem, deadline: Array | None = None) -> Variables:
    """Add the variables and all rules but those of the instances (M11, M13).

    Parameters
    ----------
    deadline : (N,) float array, optional
        Seconds by which each call is completed; none by default.
    """
    variables = declare(model, data, np.full(data.problem.calls, np.inf) if deadline is None else deadline)
    one_placement(model, data, variables)
    durations(model, data, variables)
    release(model, data, variables)
    admission_after_prefill(model, data, variables)
    for c, literals in enumerate(variables.on_prefill):
        seconds = cp_model.LinearExpr.weighted_sum(literals, data.prefill[c].tolist())
        model.add(variables.prefilled[c] >= variables.start[c] + seconds)
    return variables


def literal(variables: Variables, one: Placement) -> cp_model.IntVar:
    """What says that a call is there."""
    return variables.on_decode[one.call][one.place] if one.is_decode else variables.on_prefill[one.call][one.place]


def search(
    model: cp_model.CpModel, seconds: float, workers: int, seed: int, by_precedence: bool = False
) -> tuple[cp_model.CpSolver, str]:
    """Search a model; the solver and its status: ``optimal``, ``feasible``, ``infeasible`` or ``unknown``.

    Parameters
    ----------
    by_precedence : bool
        Learn which of two comes first, without linear programs: of 61 subproblems of 15 calls, 11 more were decided in
        0.3 s each, and all took a tenth of the time.

    Raises
    ------
    RuntimeError
        When CP-SAT refuses the model.
    """
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.max_time_in_seconds = max(seconds, 0.0)
    parameters.num_workers = workers
    parameters.random_seed = seed
    parameters.catch_sigint_signal = False
    parameters.presolve_inclusion_work_limit = 0  # see ``cp.run``: it loses solutions
    if by_precedence:
        parameters.linearization_level = 0
        parameters.use_dynamic_precedence_in_disjunctive = True
        parameters.use_dynamic_precedence_in_cumulative = True
    code = solver.solve(model)
    if code == cp_model.MODEL_INVALID:
        raise RuntimeError(f"CP-SAT refuses the model: {model.validate()}")
    names = {cp_model.OPTIMAL: "optimal", cp_model.FEASIBLE: "feasible", cp_model.INFEASIBLE: "infeasible"}
    return solver, names.get(code, "unknown")
