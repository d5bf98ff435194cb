"""Completion of the last call, from time 0."""

from hexsched.metrics.parts.metric import Metric

METRIC = Metric("makespan", "makespan", lambda run: float(run.completed.max()), unit="s", rank=31)
