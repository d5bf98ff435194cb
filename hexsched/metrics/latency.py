"""Mean latency L_w of a workflow."""

from hexsched.metrics.parts.metric import Metric

METRIC = Metric("mean_latency", "mean latency", lambda run: float(run.latency.mean()), unit="s", rank=30)
