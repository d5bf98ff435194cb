"""Making the archive better, never worse."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from experiments.library.archive import Entry, Key
from experiments.library.check import fault, prepared, value_of
from experiments.library.decisions import from_text, to_text
from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.model import Schedule
    from solvers.problem.offline import OfflineProblem
    from solvers.problem.result import OnProgress, SolveResult


LEAST_GAIN = 1e-9  # relative: what is better by less is the same but for rounding
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
    on_progress : callable, optional
        As ``solvers.problem.result.OnProgress``.
    """

    time_limit: float = 5.0
    workers: int = 2
    seed: int = 0
    formulation: str = "cpsat"
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
    best = _better_upper(key, sha256, known, result, problem)
    best = _better_lower(best, result.lower_bound, result.bound_source)
    if best != known:
        keep(best)
    if result.interrupted:
        return Outcome(best, interrupted=True)
    if not is_closed(best):
        bound = best_bound(problem, aim, effort.time_limit)
        # misses are counted, so a bound on them is rounded up
        value = math.ceil(bound.value - BOUND_ROUNDING) if aim.kind == "misses" else bound.value
        tighter = _better_lower(best, float(value), bound.source)
        if tighter != best:
            keep(tighter)
        best = tighter
    return Outcome(best, message=result.message)


def _better_upper(key: Key, sha256: str, known: Entry | None, result: SolveResult, problem: OfflineProblem) -> Entry:
    if result.objective is None or result.schedule is None:  # not even a policy's schedule: nothing to file
        raise InputError(f"{key[0]}, {key[1]}: no schedule was found; {result.message}")
    if known is not None and result.objective >= known.upper_bound * (1 - LEAST_GAIN):
        return known
    if known is not None:
        _refuse_contradiction(key, known.lower_bound, known.lower_source, result.objective, result.schedule.policy)
    entry = Entry(
        instance=key[0],
        objective=key[1],
        sha256=sha256,
        lower_bound=known.lower_bound if known is not None else result.lower_bound,
        lower_source=known.lower_source if known is not None else result.bound_source,
        upper_bound=result.objective,
        upper_source=result.schedule.policy,
        decisions=to_text(problem.instance, result.schedule),
    )
    entry = entry._replace(upper_bound=value_of(problem, entry))  # what the file says, not what was in memory
    return entry._replace(lower_bound=min(entry.lower_bound, entry.upper_bound))  # beyond it by rounding alone


def _better_lower(best: Entry, bound: float, source: str) -> Entry:
    _refuse_contradiction(best.key, bound, source, best.upper_bound, best.upper_source)
    bound = min(bound, best.upper_bound)  # beyond it by rounding alone
    if bound <= best.lower_bound + LEAST_GAIN * abs(best.lower_bound):
        return best
    return best._replace(lower_bound=bound, lower_source=source)


def _refuse_contradiction(key: Key, bound: float, bound_source: str, value: float, value_source: str) -> None:
    from solvers.problem.bracket import CONTRADICTION, ContradictionError

    if bound > value * (1 + CONTRADICTION) + 1e-12:
        raise ContradictionError(
            f"{key[0]}, {key[1]}: {bound_source} claims at least {bound!r}, but a verified schedule by {value_source} "
            f"has {value!r}"
        )


def _known_schedule(problem: OfflineProblem, known: Entry | None) -> Schedule | None:
    if known is None:
        return None
    wrong = fault(known)
    if wrong is not None:
        raise InputError(f"the archive's {known.instance}, {known.objective}: {wrong}; remove that row and try again")
    return from_text(problem.instance, known.decisions, known.upper_source)
