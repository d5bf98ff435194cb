"""Req50, Req95, Req99: the smallest SLO scale that 50, 95, 99 % of the workflows meet."""

from hexsched.metrics.parts.metric import Metric
from hexsched.metrics.parts.quantile import required

METRIC = (
    Metric("req50", "Req50", lambda run: required(run.ratio, 0.50), rank=10),
    Metric("req95", "Req95", lambda run: required(run.ratio, 0.95), rank=11),
    Metric("req99", "Req99", lambda run: required(run.ratio, 0.99), rank=12),
)
