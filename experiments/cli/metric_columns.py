"""Metrics as they are printed: their keys, and what people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from experiments.cli.output import percent
from hexsched.errors import InputError
from hexsched.metrics import METRICS

if TYPE_CHECKING:
    from hexsched.metrics.parts.thresholds import Thresholds
    from hexsched.simulator import Run

GOODPUT = {
    "calls_within": "calls within",
    "workflows_within": "workflows within",
    "call_goodput": "call goodput per s",
    "workflow_goodput": "workflow goodput per s",
}
SLO = "slo"  # key of the thresholds themselves
SHARES = ("calls_within", "workflows_within")  # of these, what policies are compared by
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


def read_slo(text: str | None) -> Thresholds | None:
    """The thresholds of ``--slo``; raises ``InputError`` naming the option."""
    from hexsched.metrics.parts.thresholds import read_thresholds

    try:
        return None if text is None else read_thresholds(text)
    except InputError as error:
        raise InputError(str(error), "--slo") from None


def goodput_values(run: Run, thresholds: Thresholds | None) -> dict[str, object]:
    """The thresholds and what of a run is within them, as JSON and CSV hold it; nothing without thresholds."""
    return {} if thresholds is None else {SLO: str(thresholds), **run.goodput(thresholds)}


def goodput_rows(values: Mapping[str, object]) -> list[tuple[str, object]]:
    """Rows of a ``facts`` table: shares in percent, then how many a second; what nothing is asked of is left out."""
    if SLO not in values:
        return []
    found = ((name, heading, values[name]) for name, heading in GOODPUT.items())
    rows = [(heading, shown_goodput(name, value)) for name, heading, value in found if value is not None]
    return [("thresholds", values[SLO]), *rows]


def shown_goodput(name: str, value: object) -> object:
    """A value of ``GOODPUT`` as people read it: a share in percent."""
    return percent(value) if name in SHARES and isinstance(value, float) else value


def metric_rows(values: dict[str, int | float]) -> list[tuple[str, object]]:
    """Rows of a ``facts`` table; what is no metric among the values is left out."""
    return [(metric.label, values[name]) for name, metric in METRICS.items() if name in values]
