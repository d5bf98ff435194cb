"""Checking an archive against the generator and the independent verifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from experiments.library.archive import Entry, Key, expected_keys
from experiments.library.decisions import from_text
from experiments.library.names import digest, instance
from hexsched.errors import InputError

if TYPE_CHECKING:
    from solvers.problem.offline import OfflineProblem

ACCURACY = 1e-9  # relative: the same machine code of the same additions, but perhaps another order


def check(
    entries: Mapping[Key, Entry],
    keys: Sequence[Key] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """What is wrong with an archive, a sentence each; empty when all is well.

    Parameters
    ----------
    entries : dict of (str, str) to Entry
    keys : sequence of (str, str), optional
        The entries to check; every entry, and that none is missing, by default.
    on_progress : callable
        Called with (done, total).
    """
    wrong = []
    checked = list(dict.fromkeys([*expected_keys(), *entries])) if keys is None else list(keys)
    for position, key in enumerate(checked):
        entry = entries.get(key)
        problem = "it is not in the archive" if entry is None else fault(entry)
        if problem is not None:
            wrong.append(f"{key[0]}, {key[1]}: {problem}")
        on_progress(position + 1, len(checked))
    return wrong


def fault(entry: Entry) -> str | None:
    """What is wrong with one entry: its hash, its bounds, or its schedule; None when it is right."""
    try:
        problem, sha256 = prepared(entry.instance)
    except InputError as error:
        return str(error)
    if sha256 != entry.sha256:
        return "the generator makes another instance than the one archived"
    if entry.lower_bound > entry.upper_bound:
        return f"the lower bound {entry.lower_bound!r} is above the upper bound {entry.upper_bound!r}"
    try:
        value = value_of(problem, entry)
    except InputError as error:
        return f"the schedule by {entry.upper_source}: {error}"
    if abs(value - entry.upper_bound) > ACCURACY * max(abs(value), 1.0):
        return f"the schedule by {entry.upper_source} has value {value!r}, the archive says {entry.upper_bound!r}"
    return None


def value_of(problem: OfflineProblem, entry: Entry) -> float:
    """The objective of the archived schedule, re-timed and verified.

    Raises
    ------
    InputError
        When there is no such schedule of the instance.
    """
    from solvers.problem.certificate import certified_value
    from solvers.problem.objective import read_objective

    answer = certified_value(
        problem, read_objective(entry.objective), from_text(problem.instance, entry.decisions, "archive")
    )
    if answer is None:
        raise InputError("its decisions cannot be carried out")
    return answer[0]


@lru_cache(maxsize=128)
def prepared(name: str) -> tuple[OfflineProblem, str]:
    """The offline problem of a library instance and its hash; objectives share them."""
    from solvers.problem.offline import fixed_problem

    problem = instance(name)
    return fixed_problem(problem), digest(problem)
