"""Filing what was found: an entry changes for the better or not at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from experiments.library.archive import Entry, Finder, Key
from experiments.library.check import value_of
from experiments.library.decisions import to_text

if TYPE_CHECKING:
    from hexsched.model import Schedule
    from solvers.problem.offline import OfflineProblem

LEAST_GAIN = 1e-9  # relative: what is better by less is the same but for rounding


class Bound(NamedTuple):
    """A lower bound that somebody claims.

    Attributes
    ----------
    value : float
    source : str
        What proved it.
    finder : Finder
    """

    value: float
    source: str
    finder: Finder


class Upper(NamedTuple):
    """A schedule that somebody found.

    Attributes
    ----------
    value : float
        Its objective.
    schedule : Schedule
    source : str
        Whose it is: a policy, a formulation, a solver.
    finder : Finder
    """

    value: float
    schedule: Schedule
    source: str
    finder: Finder


def first_entry(key: Key, sha256: str, bound: Bound) -> Entry:
    """An entry of which no schedule is known yet."""
    return Entry(
        instance=key[0],
        objective=key[1],
        sha256=sha256,
        lower_bound=bound.value,
        lower_source=bound.source,
        upper_bound=math.inf,
        upper_source="",
        decisions="",
        lower_by=bound.finder.by,
        lower_on=bound.finder.on,
    )


def is_better(entry: Entry, value: float) -> bool:
    """Whether a schedule of that value beats the best known one by more than rounding."""
    return value < entry.upper_bound * (1 - LEAST_GAIN)


def with_schedule(entry: Entry, problem: OfflineProblem, found: Upper) -> Entry:
    """The entry with the schedule where that is better; with the value that its decisions have once they are filed.

    Raises
    ------
    InputError
        When its decisions cannot be carried out.
    ContradictionError
        When it is below what has been proved.
    """
    if not is_better(entry, found.value):
        return entry
    refuse_contradiction(entry.key, entry.lower_bound, entry.lower_source, found.value, found.source)
    better = entry._replace(
        upper_source=found.source,
        decisions=to_text(problem.instance, found.schedule),
        upper_by=found.finder.by,
        upper_on=found.finder.on,
    )
    better = better._replace(upper_bound=value_of(problem, better))  # what the file says, not what was in memory
    return better._replace(lower_bound=min(better.lower_bound, better.upper_bound))  # beyond it by rounding alone


def with_bound(entry: Entry, claim: Bound) -> Entry:
    """The entry with the bound where that is higher.

    Raises
    ------
    ContradictionError
        When it is above the best known schedule.
    """
    refuse_contradiction(entry.key, claim.value, claim.source, entry.upper_bound, entry.upper_source)
    bound = min(claim.value, entry.upper_bound)  # beyond it by rounding alone
    if bound <= entry.lower_bound + LEAST_GAIN * abs(entry.lower_bound):
        return entry
    return entry._replace(
        lower_bound=bound, lower_source=claim.source, lower_by=claim.finder.by, lower_on=claim.finder.on
    )


def refuse_contradiction(key: Key, bound: float, bound_source: str, value: float, value_source: str) -> None:
    """Raise ``ContradictionError`` where a bound is above a schedule's value by more than rounding."""
    from solvers.problem.bracket import CONTRADICTION, ContradictionError

    if bound > value * (1 + CONTRADICTION) + 1e-12:
        raise ContradictionError(
            f"{key[0]}, {key[1]}: {bound_source} claims at least {bound!r}, but a verified schedule by {value_source} "
            f"has {value!r}"
        )
