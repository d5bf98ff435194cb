"""``verify``: all rules, then all metrics."""

from __future__ import annotations

import numpy as np

from hexsched.model import Instance, Schedule
from hexsched.verifier.claims import match
from hexsched.verifier.metrics import measure, standalone_horizons
from hexsched.verifier.report import RULES, Report
from hexsched.verifier.rules import CHECKS


def verify(instance: Instance, schedule: Schedule) -> Report:
    """Check every rule of the model and recompute every metric from the schedule alone.

    Nothing is repaired and nothing assumed: idling is allowed, and every other departure from the rules (model M3, M10
    to M17) is a violation. Times are compared within the tolerance of ``hexsched.verifier.tolerance``.

    Parameters
    ----------
    instance : Instance
    schedule : Schedule
        Rows in any order.

    Returns
    -------
    Report
        With metrics when, and only when, no rule is broken.

    Raises
    ------
    InputError
        When the clock of the instance is too coarse to check anything.
    """
    claims = match(instance, schedule)
    with np.errstate(all="ignore"):  # absurd times overflow; the comparisons then count as broken
        horizons = standalone_horizons(claims)
        violations = [violation for check in CHECKS for violation in check(claims)]
        rank = {rule: k for k, rule in enumerate(RULES)}
        violations.sort(key=lambda violation: rank[violation.rule])
        metrics = None if violations else measure(claims, horizons)
    return Report(policy=schedule.policy, violations=tuple(violations), metrics=metrics)
