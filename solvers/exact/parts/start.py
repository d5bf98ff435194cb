"""Where formulations start: a list schedule, and what the clairvoyant search makes of the best schedule."""

from __future__ import annotations

import time

from solvers.problem.bracket import Bracket
from solvers.problem.certificate import offer
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options
from solvers.schedules.list_schedule import best_list_schedule
from solvers.schedules.timetable import to_schedule

LIST_SECONDS = 1.0  # at least, which is enough for some hundred calls
LIST_SHARE = 0.1  # of the time that is left


def offer_list_schedule(problem: OfflineProblem, bracket: Bracket) -> None:
    """Report the best list schedule; there is none where even one takes longer than there is time."""
    timetable = best_list_schedule(problem, bracket.objective, until=time_to_list(bracket))
    if timetable is None:
        return
    value = offer(problem, bracket, to_schedule(problem, timetable, "list-schedule"), "list-schedule")
    assert value is not None, "a list schedule keeps every rule"


def time_to_list(bracket: Bracket) -> float:
    """Until when list schedules are made, in seconds of ``time.monotonic``."""
    return time.monotonic() + max(LIST_SECONDS, LIST_SHARE * bracket.left)


def search_from(problem: OfflineProblem, bracket: Bracket, options: Options, with_neighbourhoods: bool = True) -> None:
    """Search over priorities from the best schedule, for as long as the bracket has time.

    Parameters
    ----------
    with_neighbourhoods : bool
        False where CP-SAT is not to help.
    """
    from solvers.schedules.search import search  # it takes long to load

    if bracket.left <= 0:
        return
    answer = search(
        problem.instance,
        str(bracket.objective),
        start=None if bracket.schedule is None else [bracket.schedule],
        time_limit=bracket.left,
        workers=options.workers,
        seed=options.seed,
        with_neighbourhoods=with_neighbourhoods,
    )
    offer(problem, bracket, answer.schedule, "search")
    if answer.interrupted:
        bracket.interrupt()
