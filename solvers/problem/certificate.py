"""From a solver's claim to one that holds in real time."""

from __future__ import annotations

from hexsched.errors import InputError
from hexsched.model import Schedule
from hexsched.simulator import retime
from hexsched.verifier import verify
from solvers.problem.bracket import Bracket
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem


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


def offer(problem: OfflineProblem, bracket: Bracket, decisions: Schedule, source: str) -> float | None:
    """Report what comes of a solver's decisions to the bracket; its value, None where they cannot be carried out."""
    certified = certified_value(problem, bracket.objective, decisions)
    if certified is None:
        return None
    bracket.improve(*certified, source)
    return certified[0]
