"""Destructive improvement: a scale that provably too few workflows can meet is a lower bound of the tail."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem

KEPT_SLACK = 1e-6  # a count of workflows this close below a whole number counts as that number
ROUND_DOWN = 1e-6  # relative, off every bound that floating-point sums went into
PRECISION = 2e-4  # relative distance at which the search for the scale stops
FIRST_STEP = 0.02

# (scale, seconds left) -> no schedule has more workflows with ratio <= scale; inf when nothing could be proved
MostKept = Callable[[float, float], float]


def destructive_bound(
    problem: OfflineProblem,
    objective: Objective,
    most_kept: MostKept,
    time_limit: float,
    start: float = 1.0,
    precision: float = PRECISION,
) -> float:
    """Lower bound of ``max_ratio``, ``req(q)`` or ``misses(s)`` from what limits the workflows that meet a scale.

    ``misses(s)``: at least W minus the most that can meet s are missed; s is taken a little larger, since a ratio that
    is over s by rounding alone meets it, and larger scales only let more workflows through.

    Tails: Req_q <= s means that W - floor((1 - q) W) workflows or more meet s (all of them for ``max_ratio``). When
    fewer can, Req_q > s. Scales are tried upwards in growing steps, then by bisection; each refuted scale is a proof by
    itself, so neither a time-out nor a relaxation that is not monotone in s spoils the result.

    The search begins at ``start``, a bound already known (1 is one, since L_w >= H_w: see ``critical_path``), and ends
    when the least scale that is not refuted is above the largest refuted one by no more than ``precision``, relative.
    """
    stop = time.monotonic() + time_limit
    workflows = problem.workflows
    if objective.kind == "misses":
        if objective.parameter < 1 - ROUND_DOWN:
            return float(workflows)
        kept = most_kept(objective.parameter * (1 + ROUND_DOWN), time_limit)
        return float(max(workflows - math.floor(min(kept, workflows) + KEPT_SLACK), 0))

    needed = workflows - objective.dropped(workflows)

    def refuted(scale: float) -> bool:
        left = stop - time.monotonic()
        return left > 0 and most_kept(scale, left) < needed - KEPT_SLACK

    low, step = start, FIRST_STEP
    while refuted(high := low * (1 + step)):
        low, step = high, 2 * step
    while high > low * (1 + precision) and time.monotonic() < stop:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return max(start, low * (1 - ROUND_DOWN))
