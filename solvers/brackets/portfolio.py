"""The best of several bounds, and which one it was."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from hexsched.errors import InputError
from solvers.bounds import BOUNDS, critical_path
from solvers.bounds.parts.bound import FRUITLESS, NO_TIME, Bound
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem

DOES_NOT_APPLY = "does not apply"


class Row(NamedTuple):
    """What one bound came to.

    Attributes
    ----------
    bound : str
        Its name.
    value : float or None
        None where there is none; the note says why.
    seconds : float
    note : str
        ``does not apply`` to objective and decode model, ``no time left``, or that it proved nothing in its time.
    """

    bound: str
    value: float | None
    seconds: float
    note: str = ""


class BestBound(NamedTuple):
    """The largest lower bound.

    Attributes
    ----------
    value : float
    source : str
        The first bound that reached it; the critical path where none of those asked for had time to prove more.
    table : list of Row
        All that were asked for, in their order.
    """

    value: float
    source: str
    table: list[Row]


def best_bound(
    problem: OfflineProblem, objective: Objective, time_limit: float, chosen: Sequence[Bound] | None = None
) -> BestBound:
    """Compute bounds one after another; the largest of valid lower bounds is one.

    Parameters
    ----------
    problem : OfflineProblem
    objective : Objective
    time_limit : float
        Seconds for all together: each may use an equal share of what is left.
    chosen : sequence of Bound, optional
        All registered ones by default.

    Raises
    ------
    InputError
        When none of the chosen bounds applies to objective and decode model, or the time limit is not above 0.
    """
    if not time_limit > 0:
        raise InputError(f"the time limit must be above 0 seconds, got {time_limit:g}")
    candidates = list(BOUNDS.values()) if chosen is None else list(chosen)
    usable = [bound for bound in candidates if bound.holds_for(problem, objective)]
    if not usable:
        able = [name for name, bound in BOUNDS.items() if bound.holds_for(problem, objective)]
        what = f"{objective} in decode model {problem.instance.decode_model}"
        raise InputError(f"none of the chosen bounds applies to {what}; those that do are {', '.join(able)}")
    for bound in usable:
        bound.warm_up()
    stop = time.monotonic() + time_limit
    rows: dict[str, Row] = {bound.name: Row(bound.name, None, 0.0, DOES_NOT_APPLY) for bound in candidates}
    value, source = -float("inf"), ""
    floor = critical_path.compute(problem, objective)
    for position, bound in enumerate(usable):
        began = time.monotonic()
        limit = max(stop - began, 0.0) / (len(usable) - position)
        if bound.is_too_late(limit):
            rows[bound.name] = Row(bound.name, None, 0.0, NO_TIME)
            continue
        answer = bound.value(problem, objective, limit)
        seconds = time.monotonic() - began
        if bound.said_nothing(answer, max(floor, value), seconds, limit):
            rows[bound.name] = Row(bound.name, None, seconds, FRUITLESS)
            continue
        rows[bound.name] = Row(bound.name, answer, seconds)
        if answer > value:
            value, source = answer, bound.name
    if not source:
        value, source = floor, critical_path.BOUND.name
    return BestBound(value, source, list(rows.values()))
