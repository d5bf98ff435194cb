"""Checking an archive against the generator and the independent verifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from experiments.library.archive import Entry, Key, expected_keys
from experiments.library.decisions import from_text
from experiments.library.names import digest, instance
from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.verifier import Metrics
    from solvers.problem.offline import OfflineProblem

ACCURACY = 1e-9  # relative: the same machine code of the same additions, but perhaps another order


class Standing(NamedTuple):
    """How far a lower bound has been checked, and of how many entries that is true.

    Attributes
    ----------
    verified : int
        The verifier's own critical path says as much.
    uncontradicted : int
        Proved by a bound or a solver, which the verifier cannot do again: it is only held against every archived
        schedule of the instance, those of other objectives too.
    """

    verified: int
    uncontradicted: int


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
    return examine(entries, keys, on_progress)[0]


def examine(
    entries: Mapping[Key, Entry],
    keys: Sequence[Key] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[str], Standing]:
    """As ``check``, and how far lower bounds have been checked."""
    wrong = []
    checked = list(dict.fromkeys([*expected_keys(), *entries])) if keys is None else list(keys)
    valid: dict[str, list[tuple[Entry, Metrics]]] = {}  # by instance
    for position, key in enumerate(checked):
        entry = entries.get(key)
        try:
            if entry is None:
                raise InputError("it is not in the archive")
            valid.setdefault(entry.instance, []).append((entry, _examined(entry)))
        except InputError as error:
            wrong.append(f"{key[0]}, {key[1]}: {error}")
        on_progress(position + 1, len(checked))
    verified = uncontradicted = 0
    for known in valid.values():
        for entry, metrics in known:
            contradictions = [_contradiction(entry, other, theirs) for other, theirs in known]
            wrong += [said for said in contradictions if said]
            proved = entry.lower_bound <= critical_path(metrics, entry.objective) * (1 + ACCURACY)
            verified += proved
            uncontradicted += not proved and not any(contradictions)
    return wrong, Standing(verified, uncontradicted)


def fault(entry: Entry) -> str | None:
    """What is wrong with one entry: its hash, its bounds, or its schedule; None when it is right."""
    try:
        _examined(entry)
    except InputError as error:
        return str(error)
    return None


def value_of(problem: OfflineProblem, entry: Entry) -> float:
    """The objective of the archived schedule, re-timed and verified, by the verifier's own metrics.

    Raises
    ------
    InputError
        When there is no such schedule of the instance.
    """
    return verified_value(metrics_of(problem, entry), entry.objective)


def metrics_of(problem: OfflineProblem, entry: Entry) -> Metrics:
    """What the verifier says of the archived schedule, re-timed; raises as ``value_of``."""
    from hexsched.simulator import retime
    from hexsched.verifier import verify

    decisions = from_text(problem.instance, entry.decisions, "archive")
    try:
        metrics = verify(problem.instance, retime(problem.instance, decisions)).metrics
    except InputError:
        metrics = None
    if metrics is None:
        raise InputError("its decisions cannot be carried out")
    return metrics


def verified_value(metrics: Metrics, objective: str) -> float:
    """An objective from the verifier's metrics of a schedule."""
    from solvers.problem.objective import SLACK, read_objective

    aim = read_objective(objective)
    if aim.kind == "misses":
        return float(metrics.misses(aim.parameter * (1 + SLACK)))
    return float(metrics.req(aim.parameter) if aim.kind == "req" else getattr(metrics, aim.kind))


def critical_path(metrics: Metrics, objective: str) -> float:
    """What no schedule is below, by the verifier's horizons: no workflow is faster than alone, so no ratio is below 1.

    (Kelley and Walker, Critical-path planning and scheduling, 1959; ``solvers.bounds.critical_path`` says it with the
    solvers' own horizons.)
    """
    from solvers.problem.objective import read_objective

    aim = read_objective(objective)
    if aim.kind == "mean_latency":
        return sum(one.horizon for one in metrics.per_workflow) / metrics.workflows
    if aim.kind == "misses":
        return float(metrics.workflows) if aim.parameter < 1 - ACCURACY else 0.0
    return 1.0


def _examined(entry: Entry) -> Metrics:
    """What the verifier says of the schedule; raises ``InputError`` for what is wrong with the entry."""
    problem, sha256 = prepared(entry.instance)
    if sha256 != entry.sha256:
        raise InputError("the generator makes another instance than the one archived")
    if entry.lower_bound > entry.upper_bound:
        raise InputError(f"the lower bound {entry.lower_bound!r} is above the upper bound {entry.upper_bound!r}")
    try:
        metrics = metrics_of(problem, entry)
    except InputError as error:
        raise InputError(f"the schedule by {entry.upper_source}: {error}") from None
    value = verified_value(metrics, entry.objective)
    if abs(value - entry.upper_bound) > ACCURACY * max(abs(value), 1.0):
        raise InputError(
            f"the schedule by {entry.upper_source} has value {value!r}, the archive says {entry.upper_bound!r}"
        )
    return metrics


def _contradiction(entry: Entry, other: Entry, metrics: Metrics) -> str:
    """What is wrong between a lower bound and another entry's schedule; empty where nothing is."""
    from solvers.problem.bracket import CONTRADICTION

    value = verified_value(metrics, entry.objective)
    if entry.lower_bound <= value * (1 + CONTRADICTION) + 1e-12:
        return ""
    return (
        f"{entry.instance}, {entry.objective}: the lower bound {entry.lower_bound!r} by {entry.lower_source} is above "
        f"the schedule archived for {other.objective}, which has {value!r}"
    )


@lru_cache(maxsize=128)
def prepared(name: str) -> tuple[OfflineProblem, str]:
    """The offline problem of a library instance and its hash; objectives share them."""
    from solvers.problem.offline import fixed_problem

    problem = instance(name)
    return fixed_problem(problem), digest(problem)
