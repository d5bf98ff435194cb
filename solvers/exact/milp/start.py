"""Where a MILP starts: a schedule from the clairvoyant search, and a bound that needs no solver."""

from __future__ import annotations

from typing import NamedTuple

from hexsched.model import Schedule
from solvers.bounds import critical_path
from solvers.problem.bracket import OPTIMALITY_TOLERANCE
from solvers.problem.certificate import certified_value
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import INTERRUPTED, Options

SHARE = 0.1  # of the time, the most that the search may take
SECONDS_PER_PAIR = 0.015  # of search, for each pair of calls
SHORTEST = 0.05  # seconds for which a search is worth its start


class Bracket(NamedTuple):
    """The best schedule known, its value in real time, and a value that none can beat."""

    value: float
    schedule: Schedule
    bound: float


def closed(objective: Objective, value: float, bound: float) -> bool:
    """Whether nothing is left to be found or proved."""
    if objective.kind == "misses":
        return value - bound < 1 - 1e-6
    return value - bound <= OPTIMALITY_TOLERANCE * abs(value) / 2


def bracket(problem: OfflineProblem, objective: Objective, options: Options, known: tuple[float, Schedule]) -> Bracket:
    """A bound, and a schedule that is as good as the known one or better."""
    from solvers.schedules.search import search  # it takes long to load

    value, schedule = known
    seconds = min(SHARE * options.time_limit, SECONDS_PER_PAIR * problem.calls**2)
    # the bounds that use SciPy's HiGHS are left alone: in one process with highspy it has crashed
    bound = critical_path.compute(problem, objective)
    if seconds < SHORTEST or closed(objective, value, bound):
        return Bracket(value, schedule, bound)
    found = search(
        problem.instance,
        str(objective),
        start=[schedule],
        time_limit=seconds,
        workers=1,
        seed=options.seed,
        with_neighbourhoods=False,  # else a formulation would have the help of the one it is compared with
    )
    better = certified_value(problem, objective, found.schedule)
    if better is not None and better[0] < value:
        value, schedule = better
        if options.on_incumbent is not None:
            options.on_incumbent(schedule)
    if found.message == INTERRUPTED:
        raise KeyboardInterrupt
    return Bracket(value, schedule, bound)
