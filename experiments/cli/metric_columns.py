"""Metrics as they are printed: their keys, and what people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hexsched.simulator import Run

# key in JSON and CSV -> heading
HEADINGS = {
    "req50": "Req50",
    "req95": "Req95",
    "req99": "Req99",
    "max_ratio": "max ratio",
    "mean_ratio": "mean ratio",
    "mean_latency": "mean latency s",
    "makespan": "makespan s",
}

DECISION_HEADING = "decision us"
MICROSECONDS = 1e6


class Figures(Protocol):
    """The metrics of the simulator, or those of the verifier, which shares no code with it."""

    @property
    def workflows(self) -> int: ...
    @property
    def calls(self) -> int: ...


def metric_values(metrics: Figures) -> dict[str, int | float]:
    """The metrics of a schedule as JSON holds them, times in seconds."""
    return {"workflows": metrics.workflows, "calls": metrics.calls} | {key: getattr(metrics, key) for key in HEADINGS}


def run_values(run: Run) -> dict[str, int | float]:
    """As ``metric_values``, with how long the policy took to decide, seconds of wall clock."""
    return metric_values(run.metrics) | {
        "decision_latency": run.decision_latency,
        "decision_latency_p99": run.decision_latency_p99,
        "decisions": run.decisions,
    }


def metric_rows(values: dict[str, int | float]) -> list[tuple[str, object]]:
    """Rows of a ``facts`` table."""
    rows: list[tuple[str, object]] = [("workflows", values["workflows"]), ("calls", values["calls"])]
    return rows + [(heading, values[key]) for key, heading in HEADINGS.items()]
