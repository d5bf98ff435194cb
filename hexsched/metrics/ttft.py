"""Time to first token (model M37) that 50, 95, 99 % of the calls need at most."""

from hexsched.metrics.parts.metric import Metric
from hexsched.metrics.parts.quantile import required

METRIC = (
    Metric("ttft_p50", "TTFT p50", lambda run: required(run.calls.ttft, 0.50), unit="s", detail=True, rank=40),
    Metric("ttft_p95", "TTFT p95", lambda run: required(run.calls.ttft, 0.95), unit="s", rank=41),
    Metric("ttft_p99", "TTFT p99", lambda run: required(run.calls.ttft, 0.99), unit="s", detail=True, rank=42),
)
