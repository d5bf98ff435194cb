"""Where formulations start: a list schedule, and what the clairvoyant search makes of the best schedule."""

from __future__ import annotations

from solvers.problem.bracket import Bracket
from solvers.problem.certificate import offer
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options
from solvers.schedules.list_schedule import best_list_schedule
from solvers.schedules.timetable import to_schedule


def offer_list_schedule(problem: OfflineProblem, bracket: Bracket) -> None:
    """Report the best list schedule; it is quick, and there always is one."""
    timetable = best_list_schedule(problem, bracket.objective)
    value = offer(problem, bracket, to_schedule(problem, timetable, "list-schedule"), "list-schedule")
    assert value is not None, "a list schedule keeps every rule"


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
