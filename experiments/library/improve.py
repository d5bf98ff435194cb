"""Making the archive better, never worse."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from experiments.library.archive import NOBODY, Entry, Finder, Key
from experiments.library.check import fault, prepared
from experiments.library.decisions import from_text
from experiments.library.filing import Bound, Upper, first_entry, with_bound, with_schedule
from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.model import Schedule
    from solvers.problem.offline import OfflineProblem
    from solvers.problem.result import OnProgress

BOUND_ROUNDING = 1e-6  # a bound this little above a whole number is that number


@dataclass(frozen=True)
class Effort:
    """How much an entry is worth.

    Attributes
    ----------
    time_limit : float
        Seconds for the solver, and as many for the bounds where the solver leaves a gap.
    workers, seed : int
    formulation : str
    finder : Finder
        Who is named where something is found.
    on_progress : callable, optional
        As ``solvers.problem.result.OnProgress``.
    """

    time_limit: float = 5.0
    workers: int = 2
    seed: int = 0
    formulation: str = "cpsat"
    finder: Finder = NOBODY
    on_progress: OnProgress | None = None


class Outcome(NamedTuple):
    """What came of an attempt.

    Attributes
    ----------
    entry : Entry
        The best now known.
    interrupted : bool
        Ctrl-C ended the solver; the entry is right all the same.
    message : str
        What a person should know: a solver that is missing or crashed.
    """

    entry: Entry
    interrupted: bool = False
    message: str = ""


def is_closed(entry: Entry) -> bool:
    """Whether nothing can be gained: the bounds agree as far as a solver's claim of optimality goes."""
    from solvers.problem.bracket import OPTIMALITY_TOLERANCE

    return entry.upper_bound - entry.lower_bound <= OPTIMALITY_TOLERANCE * max(abs(entry.upper_bound), 1e-12)


def improve(key: Key, known: Entry | None, effort: Effort, keep: Callable[[Entry], None]) -> Outcome:
    """Solve and bound one instance and objective, from the best known schedule.

    Parameters
    ----------
    key : (str, str)
        Name of the instance, and objective.
    known : Entry or None
        What the archive has.
    effort : Effort
    keep : callable
        Called with each entry that is better than the last, at once, so that nothing is lost when the rest is
        interrupted.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        When the archived entry is of another instance than the generator makes, or its schedule is wrong.
    ContradictionError
        When a lower bound is above a verified schedule: a mistake in a formulation or bound.
    """
    from solvers.brackets.portfolio import best_bound
    from solvers.brackets.solve import solve_with
    from solvers.problem.objective import read_objective
    from solvers.problem.result import Options

    name, aim = key[0], read_objective(key[1])
    problem, sha256 = prepared(name)
    start = _known_schedule(problem, known)
    options = Options(effort.time_limit, effort.workers, effort.seed, warm_start=start, on_progress=effort.on_progress)
    result = solve_with(problem.instance, effort.formulation, key[1], options=options)
    if result.objective is None or result.schedule is None:  # not even a policy's schedule: nothing to file
        raise InputError(f"{name}, {key[1]}: no schedule was found; {result.message}")
    begin = known or first_entry(key, sha256, Bound(result.lower_bound, result.bound_source, effort.finder))
    found = Upper(result.objective, result.schedule, result.schedule.policy, effort.finder)
    best = with_schedule(begin, problem, found)
    best = with_bound(best, Bound(result.lower_bound, result.bound_source, effort.finder))
    if best != known:
        keep(best)
    if result.interrupted:
        return Outcome(best, interrupted=True)
    if not is_closed(best):
        bound = best_bound(problem, aim, effort.time_limit)
        # misses are counted, so a bound on them is rounded up
        value = math.ceil(bound.value - BOUND_ROUNDING) if aim.kind == "misses" else bound.value
        tighter = with_bound(best, Bound(float(value), bound.source, effort.finder))
        if tighter != best:
            keep(tighter)
        best = tighter
    return Outcome(best, message=result.message)


def _known_schedule(problem: OfflineProblem, known: Entry | None) -> Schedule | None:
    if known is None:
        return None
    wrong = fault(known)
    if wrong is not None:
        raise InputError(f"the archive's {known.instance}, {known.objective}: {wrong}; remove that row and try again")
    return from_text(problem.instance, known.decisions, known.upper_source)
