"""Policies against the archive: how far each is from the best bounds known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.library.archive import Entry

if TYPE_CHECKING:
    from hexsched.policies import Policy


class ArchivedGap(NamedTuple):
    """One policy on one instance and objective.

    Attributes
    ----------
    instance, objective, policy : str
    value, lower_bound, upper_bound : float
    at_least, at_most : float
        (value - UB) / UB and (value - LB) / LB. A count of misses is compared as a share of all workflows, since the
        best may be none: (value - UB) / W and (value - LB) / W.
    """

    instance: str
    objective: str
    policy: str
    value: float
    lower_bound: float
    upper_bound: float
    at_least: float
    at_most: float


class Summary(NamedTuple):
    """One policy and objective over all instances."""

    objective: str
    policy: str
    instances: int
    mean_at_least: float
    mean_at_most: float
    worst_at_least: float
    worst_at_most: float


def archived_gaps(
    entries: Iterable[Entry],
    policies: Sequence[Policy],
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[ArchivedGap]:
    """Run every policy on every instance, and compare it with what is archived.

    Parameters
    ----------
    entries : iterable of Entry
    policies : sequence of Policy
    seed : int
        Of random placements.
    on_progress : callable
        Called with (instances done, instances).
    """
    from experiments.library.names import instance
    from hexsched.simulator import simulate
    from solvers.problem.objective import read_objective

    by_instance: dict[str, list[Entry]] = {}
    for entry in entries:
        by_instance.setdefault(entry.instance, []).append(entry)
    rows = []
    for done, (name, known) in enumerate(by_instance.items()):
        problem = instance(name)
        for policy in policies:
            run = simulate(problem, policy, seed=seed)
            for entry in known:
                aim = read_objective(entry.objective)
                value = aim.value(run.arrival, run.completed, run.horizon)
                bounds = (entry.upper_bound, entry.lower_bound)
                base = [len(run.arrival)] * 2 if aim.kind == "misses" else bounds
                apart = [max(value - bound, 0.0) / over for bound, over in zip(bounds, base, strict=True)]
                rows.append(
                    ArchivedGap(name, entry.objective, policy.name, value, entry.lower_bound, entry.upper_bound, *apart)
                )
        on_progress(done + 1, len(by_instance))
    return rows


def summary(gaps: Iterable[ArchivedGap]) -> list[Summary]:
    """Mean and worst over instances, by objective and policy in order of appearance."""
    groups: dict[tuple[str, str], list[ArchivedGap]] = {}
    for gap in gaps:
        groups.setdefault((gap.objective, gap.policy), []).append(gap)
    rows = []
    for (objective, policy), group in sorted(groups.items(), key=lambda item: item[0][0]):
        least, most = (np.array([getattr(gap, end) for gap in group]) for end in ("at_least", "at_most"))
        rows.append(
            Summary(
                objective,
                policy,
                len(group),
                float(least.mean()),
                float(most.mean()),
                float(least.max()),
                float(most.max()),
            )
        )
    return rows
