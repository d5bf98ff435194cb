"""Time per output token (model M37) that 50, 95, 99 % of the calls with more than one need at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexsched.metrics.parts.metric import Metric
from hexsched.metrics.parts.quantile import required

if TYPE_CHECKING:
    from hexsched.metrics.parts.completions import Array, Completions


def _several(run: Completions) -> Array:
    """The TPOT of each call that has one."""
    values: Array = run.calls.tpot[run.calls.output > 1]
    return values


METRIC = (
    Metric("tpot_p50", "TPOT p50", lambda run: required(_several(run), 0.50), unit="s", detail=True, rank=45),
    Metric("tpot_p95", "TPOT p95", lambda run: required(_several(run), 0.95), unit="s", rank=46),
    Metric("tpot_p99", "TPOT p99", lambda run: required(_several(run), 0.99), unit="s", detail=True, rank=47),
)
