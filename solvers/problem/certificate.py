"""From a solver's claim to one that holds in real time."""

from __future__ import annotations

import numpy as np

from hexsched.errors import InputError
from hexsched.model import Schedule
from hexsched.simulator import retime
from hexsched.verifier import verify
from solvers.problem.bracket import CONTRADICTION, OPTIMALITY_TOLERANCE, ContradictionError
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Raw, SolveResult


def certified_value(
    problem: OfflineProblem, objective: Objective, decisions: Schedule
) -> tuple[float, Schedule] | None:
    """Re-time the decisions exactly, have the schedule verified, and evaluate it.

    Returns
    -------
    (value, schedule) or None
        None when the decisions cannot be carried out or the verifier rejects what comes of them.
    """
    try:
        schedule = retime(problem.instance, decisions)
    except InputError:
        return None
    if not verify(problem.instance, schedule).ok:
        return None
    return objective.value(problem.arrival, problem.completed(schedule), problem.horizon), schedule


def certify(
    name: str, problem: OfflineProblem, objective: Objective, raw: Raw, floor: float, floor_source: str
) -> SolveResult:
    """Turn what a formulation found into a certified result.

    Parameters
    ----------
    name : str
        The formulation's.
    floor, floor_source : float, str
        A lower bound known without solving (the critical path, say), and which.
    """
    found = certified_value(problem, objective, raw.decisions) if raw.decisions is not None else None
    bound, source = floor, floor_source
    if raw.bound is not None and raw.bound > bound:
        bound, source = raw.bound, f"{name} (solver)"
    value, schedule = found if found is not None else (None, None)
    if objective.kind == "misses":
        bound = float(np.ceil(bound - 1e-6))
    message = raw.message
    if raw.decisions is not None and found is None:
        message = "; ".join(filter(None, (message, "the solver's schedule did not survive exact re-timing")))
    status = raw.status
    if value is not None:
        if bound > value * (1 + CONTRADICTION) + 1e-12:
            raise ContradictionError(f"{source} claims {objective} >= {bound!r}, but a verified schedule has {value!r}")
        bound = min(bound, value)  # beyond it by rounding alone
        status = "optimal" if value - bound <= OPTIMALITY_TOLERANCE * max(abs(value), 1e-12) else "feasible"
    elif status in ("optimal", "feasible"):
        status = "unknown"
    return SolveResult(
        formulation=name,
        objective_name=str(objective),
        status=status,
        objective=value,
        lower_bound=float(bound) + 0.0,  # neither NumPy's nor -0.0: it goes into JSON
        bound_source=source,
        schedule=schedule,
        seconds=raw.seconds,
        size=raw.size,
        root_bound=raw.root_bound,
        message=message,
    )
