"""Largest and mean ratio L_w / H_w."""

from hexsched.metrics.parts.metric import Metric

METRIC = (
    Metric("max_ratio", "max ratio", lambda run: float(run.ratio.max()), rank=20),
    Metric("mean_ratio", "mean ratio", lambda run: float(run.ratio.mean()), rank=21),
)
