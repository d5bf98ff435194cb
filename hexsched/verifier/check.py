"""``verify``: all rules, then all metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule, read_schedule
from hexsched.model.instance import as_instance
from hexsched.verifier.claims import match
from hexsched.verifier.metrics import measure, standalone_horizons
from hexsched.verifier.report import RULES, Report
from hexsched.verifier.rules import CHECKS


class Scheduled(Protocol):
    """What has a schedule: a run, the answer of a solver."""

    @property
    def schedule(self) -> Schedule | None:
        """The schedule."""


def verify(instance: Instance | str | Path, schedule: Schedule | Scheduled | str | Path) -> Report:
    """Check every rule of the model and recompute every metric from the schedule alone.

    Nothing is repaired and nothing assumed: idling is allowed, and every other departure from the rules (model M3, M10
    to M17) is a violation. Times are compared within the tolerance of ``hexsched.verifier.tolerance``.

    Parameters
    ----------
    instance : Instance, str or Path
        An instance, or the path of its file.
    schedule : Schedule, Run, str or Path
        A schedule (rows in any order), what has one (a run, the answer of a solver), or the path of its file.

    Returns
    -------
    Report
        With metrics when, and only when, no rule is broken.

    Raises
    ------
    InputError
        When the clock of the instance is too coarse to check anything; for what is no instance and no schedule.

    Examples
    --------
    >>> import hexsched as hx
    >>> instance = hx.instance("demo", "bfcl", workflows=5)
    >>> hx.verify(instance, hx.simulate(instance, "fcfs")).ok
    True
    """
    return _verify(as_instance(instance), _schedule_of(schedule))


def _schedule_of(given: object) -> Schedule:
    if isinstance(given, str | Path):
        return read_schedule(given)
    found = given if isinstance(given, Schedule) else getattr(given, "schedule", None)
    if not isinstance(found, Schedule):
        raise InputError(f"expected a schedule, a run, or the path of a schedule; this is {type(given).__name__}")
    return found


def _verify(instance: Instance, schedule: Schedule) -> Report:
    claims = match(instance, schedule)
    with np.errstate(all="ignore"):  # absurd times overflow; the comparisons then count as broken
        horizons = standalone_horizons(claims)
        violations = [violation for check in CHECKS for violation in check(claims)]
        rank = {rule: k for k, rule in enumerate(RULES)}
        violations.sort(key=lambda violation: rank[violation.rule])
        metrics = None if violations else measure(claims, horizons)
    return Report(policy=schedule.policy, violations=tuple(violations), metrics=metrics)
