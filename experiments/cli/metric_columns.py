"""Metrics as they are printed: their keys, and what people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexsched.metrics import METRICS

if TYPE_CHECKING:
    from hexsched.simulator import Run

DECISION_HEADING = "decision us"
MICROSECONDS = 1e6


def metric_values(metrics: object) -> dict[str, int | float]:
    """The metrics of a schedule as JSON holds them, times in seconds.

    Parameters
    ----------
    metrics : object
        The simulator's or the verifier's, which shares no code with it and has the shipped metrics only.
    """
    return {name: getattr(metrics, name) for name in METRICS if hasattr(metrics, name)}


def run_values(run: Run) -> dict[str, int | float]:
    """As ``metric_values``, with how long the policy took to decide, seconds of wall clock."""
    return metric_values(run.metrics) | {
        "decision_latency": run.decision_latency,
        "decision_latency_p99": run.decision_latency_p99,
        "decisions": run.decisions,
    }


def metric_rows(values: dict[str, int | float]) -> list[tuple[str, object]]:
    """Rows of a ``facts`` table; what is no metric among the values is left out."""
    return [(metric.label, values[name]) for name, metric in METRICS.items() if name in values]
