"""The best of several bounds, and which one it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hexsched.baselines import ALL
from hexsched.display import Summary, displayed
from hexsched.errors import InputError
from hexsched.model.instance import Instance, as_instance
from hexsched.progress import Progress, Wanted
from solvers.bounds import BOUNDS, critical_path
from solvers.bounds.parts.bound import FRUITLESS, NO_TIME, Bound, fair_share
from solvers.defaults import OBJECTIVE
from solvers.problem.left import check_time_limit
from solvers.problem.memory import check_memory
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import OfflineProblem, offline_problem

if TYPE_CHECKING:
    import pandas as pd


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
        What it does not hold for, ``no time left``, that it proved nothing in its time, or why it says no more than
        what takes no time.
    """

    bound: str
    value: float | None
    seconds: float
    note: str = ""


@displayed
class BoundReport(NamedTuple):
    """The largest lower bound.

    Attributes
    ----------
    objective : str
    value : float
    source : str
        The first bound that reached it; the critical path where none of those asked for had time to prove more.
    table : list of Row
        All that were asked for, in their order.
    """

    objective: str
    value: float
    source: str
    table: list[Row]

    def to_frame(self) -> pd.DataFrame:
        """A row a bound: ``bound``, ``value`` (NaN where it does not apply), ``seconds``."""
        import pandas as pd

        return pd.DataFrame(self.table, columns=list(Row._fields)).astype({"value": float})

    def _summary(self) -> Summary:
        rows = [row._asdict() for row in self.table]
        facts = {"lower bound": self.value, "from": self.source}
        return Summary(self.objective, facts, rows, len(rows), text=True)


def bound(
    instance: Instance | str | Path,
    objective: str | Objective = OBJECTIVE,
    *,
    bounds: str | Iterable[str] = ALL,
    time_limit: float = 60.0,
    progress: Wanted = None,
) -> BoundReport:
    """Values that no schedule of an instance can beat, in either decode model; the best is a lower bound.

    Parameters
    ----------
    instance : Instance, str or Path
        An instance, or the path of its file.
    objective : str or Objective
        ``max_ratio``, ``req(Q)``, ``mean_ratio``, ``mean_latency`` or ``misses(S)``.
    bounds : str or iterable of str
        Names with commas between them, or ``all`` that apply.
    time_limit : float
        Seconds for all together. Each value is valid whatever it is.
    progress : bool or callable, optional
        False for no line that says how far it is; a function is called in its place with (bounds done, bounds).

    Returns
    -------
    BoundReport

    Raises
    ------
    InputError
        For an unknown name, a closed loop, and where none of the bounds applies.

    Examples
    --------
    >>> import hexsched as hx
    >>> import solvers
    >>> solvers.bound(hx.instance("demo", "bfcl", workflows=4), bounds="critical-path").source
    'critical-path'
    """
    check_memory()
    aim, chosen = read_objective(objective), read_bounds(bounds)
    with Progress(f"bounds of {aim}", "bounds", progress) as report:
        return best_bound(offline_problem(as_instance(instance)), aim, time_limit, chosen, report)


def read_bounds(names: str | Iterable[str]) -> list[Bound]:
    """The bounds of a list, each once; raises ``InputError`` for an unknown or missing name."""
    listed = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    if not all(listed):
        raise InputError(f"a name is missing in {names!r}; expected names with a comma between them", "bounds")
    found = {b.name: b for name in listed for b in (BOUNDS.values() if name == ALL else [BOUNDS.find(name)])}
    return list(found.values())


def best_bound(
    problem: OfflineProblem,
    objective: Objective,
    time_limit: float,
    chosen: Sequence[Bound] | None = None,
    report: Callable[[float, float], object] = lambda done, total: None,
) -> BoundReport:
    """Compute bounds one after another; the largest of valid lower bounds is one.

    Parameters
    ----------
    problem : OfflineProblem
    objective : Objective
    time_limit : float
        Seconds for all together: each may use its share of what is left.
    chosen : sequence of Bound, optional
        All registered ones by default.
    report : callable, optional
        Called with (bounds done, bounds).

    Raises
    ------
    InputError
        When none of the chosen bounds applies to objective and decode model, or the time limit is not above 0.
    """
    check_time_limit(time_limit)
    candidates = list(BOUNDS.values()) if chosen is None else list(chosen)
    usable = [bound for bound in candidates if bound.holds_for(problem, objective)]
    if not usable:
        able = [name for name, bound in BOUNDS.items() if bound.holds_for(problem, objective)]
        what = f"{objective} in decode model {problem.instance.decode_model}"
        raise InputError(f"none of the chosen bounds applies to {what}; those that do are {', '.join(able)}")
    for bound in usable:
        bound.warm_up()
    stop = time.monotonic() + time_limit
    rows = {bound.name: Row(bound.name, None, 0.0, bound.why_not(problem, objective)) for bound in candidates}
    value, source = -float("inf"), ""
    floor = critical_path.compute(problem, objective)
    for position, bound in enumerate(usable):
        began = time.monotonic()
        report(position, len(usable))
        limit = max(stop - began, 0.0) * fair_share(usable[position:])
        if bound.is_too_late(limit):
            rows[bound.name] = Row(bound.name, None, 0.0, NO_TIME)
            continue
        answer = bound.value(problem, objective, limit)
        seconds = time.monotonic() - began
        if bound.said_nothing(answer, max(floor, value), seconds, limit):
            rows[bound.name] = Row(bound.name, None, seconds, FRUITLESS)
            continue
        rows[bound.name] = Row(bound.name, answer, seconds, bound.why_no_more(problem) if answer <= floor else "")
        if answer > value:
            value, source = answer, bound.name
    if not source:
        value, source = floor, critical_path.BOUND.name
    return BoundReport(str(objective), value, source, list(rows.values()))
