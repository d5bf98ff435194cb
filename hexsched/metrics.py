"""What a run is judged by (model.md section 4)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

Array = np.ndarray[Any, Any]


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a schedule. Ratios are L_w / H_w; times are seconds.

    Attributes
    ----------
    workflows, calls : int
    req50, req95, req99 : float
        The smallest SLO scale that 50, 95 or 99 % of the workflows meet.
    max_ratio, mean_ratio : float
    mean_latency : float
    makespan : float
        Completion of the last call, from time 0.
    """

    workflows: int
    calls: int
    req50: float
    req95: float
    req99: float
    max_ratio: float
    mean_ratio: float
    mean_latency: float
    makespan: float


def summarise(arrival: Array, completed: Array, horizon: Array, calls: int) -> Metrics:
    """Metrics from arrival, completion and horizon of each workflow, all (W,) seconds."""
    latency = completed - arrival
    ratio = latency / horizon
    return Metrics(
        workflows=len(arrival),
        calls=calls,
        req50=required_scale(ratio, 0.50),
        req95=required_scale(ratio, 0.95),
        req99=required_scale(ratio, 0.99),
        max_ratio=float(ratio.max()),
        mean_ratio=float(ratio.mean()),
        mean_latency=float(latency.mean()),
        makespan=float(completed.max()),
    )


def required_scale(ratio: Array, q: float) -> float:
    """Req_q: the ceil(q N)-th smallest ratio."""
    exact = Fraction(str(q)) * len(ratio)  # 0.95 means 95/100; in binary 0.07 * 100 is more than 7
    rank = max(math.ceil(exact), 1)
    return float(np.sort(ratio)[rank - 1])


def attainment(ratio: Array, scale: Array) -> Array:
    """A(s): the share of workflows with ratio <= s, for every s in ``scale``."""
    return np.searchsorted(np.sort(ratio), scale, side="right") / len(ratio)
