"""How much there was to do."""

from hexsched.metrics.parts.metric import Metric

METRIC = (
    Metric("workflows", "workflows", lambda run: len(run.arrival), whole=True, size=True, rank=0),
    Metric("calls", "calls", lambda run: len(run.calls.output), whole=True, size=True, rank=1),
)
