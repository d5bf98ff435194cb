"""Shares of calls and workflows within thresholds (model M38)."""

from __future__ import annotations

import numpy as np

from hexsched.metrics.parts.completions import Array, Completions
from hexsched.metrics.parts.thresholds import Thresholds

ROUNDING = 1e-9  # of a threshold: two ways to compute the same time may differ by that much
COLUMNS = ("calls_within", "workflows_within", "call_goodput", "workflow_goodput")


def goodput(run: Completions, thresholds: Thresholds) -> dict[str, float | None]:
    """What of a run stays within thresholds.

    Returns
    -------
    dict
        ``calls_within`` and ``workflows_within``: shares from 0 to 1. ``call_goodput`` and ``workflow_goodput``: how
        many of them a second, from the first arrival to the last completion. Those of calls are None where no
        threshold is one of calls.
    """
    calls_ok = np.ones(len(run.calls.output), dtype=bool)
    for name, most in thresholds.of_calls.items():
        calls_ok &= ~_above(getattr(run.calls, name), most)
    workflows_ok = np.ones(len(run.arrival), dtype=bool)
    workflows_ok[run.calls.workflow[~calls_ok]] = False
    for name, most in thresholds.of_workflows.items():
        workflows_ok &= ~_above(getattr(run, name), most)
    seconds = float(run.completed.max() - run.arrival.min())
    of_calls = bool(thresholds.of_calls)
    return {
        "calls_within": float(calls_ok.mean()) if of_calls else None,
        "workflows_within": float(workflows_ok.mean()),
        "call_goodput": float(calls_ok.sum() / seconds) if of_calls else None,
        "workflow_goodput": float(workflows_ok.sum() / seconds),
    }


def _above(values: Array, most: float) -> Array:
    """Where a value is above the threshold; NaN, of a call that has no such value, is not."""
    return values > most * (1 + ROUNDING)
