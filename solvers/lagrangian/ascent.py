"""Looking for the prices that prove most."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from solvers.lagrangian.kernels import Shares, rebalance
from solvers.lagrangian.planner import Planner
from solvers.lagrangian.relaxation import Relaxation

Array = np.ndarray[Any, Any]

SAFETY = 1e-7  # relative: what rounding could add to a sum of costs
MEMORY = 0.9  # of the average of past prices, a pass
TAIL_SHARPNESS = (30.0, 1.02, 150.0)  # of the soft maximum, over the largest load: at first, growth a pass, at last
MEAN_SHARPNESS = (4.0, 1.1, 60.0)
PASSES_A_CHECK = 3
SHARE_OF_PROOF = 0.15  # of the time, for the proof on the fine grid
CLOSE = 1e-4  # relative: a bound this close to a schedule needs no more work
PATIENCE = 12  # checks without news
SETTLED = 100  # passes after which prices are as sharp as they get
LEVEL = 0.01  # of the ceiling: what a resource costs in one interval at load 1; loads move until the price is right
LEAD = 0.015  # relative: how far beyond the bound prices are looked for
COARSE_PRECISION, FINE_PRECISION = 2e-3, 5e-4  # relative, of the scale that prices refute

OnBound = Callable[[float], None]


class Market:
    """Prices, and a fractional schedule that follows them.

    Parameters
    ----------
    relaxation : Relaxation
    cells, fine_cells : int
        Cells of slack while looking for prices, and when they are used for a proof.
    intervals : int
        Price intervals between time 0 and ``end``.
    end : float
        Seconds; everything is free afterwards.
    workers : int
        Threads.
    """

    def __init__(
        self,
        relaxation: Relaxation,
        end: float,
        *,
        cells: int,
        fine_cells: int,
        intervals: int,
        workers: int,
        seed: int = 0,
    ) -> None:
        self.relaxation = x = relaxation
        self.coarse = Planner(x, cells, intervals, workers)
        self.fine = Planner(x, fine_cells, intervals, workers)
        self.width = end / intervals
        count = np.concatenate([x.prefill_count, x.decode_count, x.decode_count]).astype(float)
        self.supply = np.repeat(count[:, None] * self.width, intervals, axis=1)
        shape = (x.workflows, *self.supply.shape)
        self.shares = Shares(
            use=np.zeros(shape),
            load=np.zeros(self.supply.shape),
            supply=self.supply,
            kept=np.zeros(x.workflows),
            ends=np.zeros(x.workflows),
            cost=np.zeros(x.workflows),
            fresh=np.zeros((1, *self.supply.shape)),
            fresh_end=np.zeros(1),
        )
        self.rate = np.zeros(self.supply.shape)
        self.passes = 0
        self._prices = self.coarse.prices(self.rate, self.width)
        self._scratch = self.coarse.scratch()
        self._released = np.zeros(len(x.head), np.int64)
        self._random = np.random.default_rng(seed)
        self._drop_cost = math.inf

    def improve(self, latest: Array, needed: int, end_weight: Array, escape: Array, level: float = 0.0) -> None:
        """One pass over all workflows; the prices become an average of those of past passes."""
        shares, workflows = self.shares, self.relaxation.workflows
        largest = float(shares.load.max()) if level == 0 else 1.0
        first, growth, last = TAIL_SHARPNESS if level == 0 else MEAN_SHARPNESS
        sharpness = min(first * growth ** min(self.passes, SETTLED), last) / largest if largest > 0 else 1.0
        limit, cell = self.coarse.windows(latest)
        change_step = max(2.0 / (self.passes + 2), 0.1)
        order = self._random.permutation(workflows)
        rebalance(
            self.coarse.tables, self._prices, self._scratch, self.relaxation.fixed, order, limit, cell, end_weight,
            escape, self._drop_cost, change_step, sharpness, level, shares, self._released,
        )  # fmt: skip
        shares.load[:] = shares.use.sum(axis=0) / self.supply  # without the rounding of many small changes
        if needed < workflows:
            self._drop_cost = float(np.partition(shares.cost, needed - 1)[needed - 1])
        self.passes += 1
        keep = MEMORY if self.passes > 2 else 0.0
        self.rate = keep * self.rate + (1 - keep) * self._prices.rate

    def kept_cost(self, latest: Array, needed: int, planner: Planner) -> float:
        """What the cheapest ``needed`` workflows cost at the present prices, over what all supply costs."""
        none = np.zeros(self.relaxation.workflows)
        cost, _ = planner.plan(planner.prices(self.rate, self.width), latest, none, np.full_like(none, math.inf))
        cheapest = np.partition(cost, needed - 1)[:needed] if needed < len(cost) else cost
        supplied = float((self.rate * self.supply).sum())
        return float(cheapest.sum()) / supplied if supplied > 0 else 0.0

    def kept_count(self, latest: Array, planner: Planner) -> int:
        """How many workflows at most fit, at the present prices, into what is supplied."""
        none = np.zeros(self.relaxation.workflows)
        cost, _ = planner.plan(planner.prices(self.rate, self.width), latest, none, np.full_like(none, math.inf))
        supplied = float((self.rate * self.supply).sum()) * (1 + SAFETY)
        return int(np.count_nonzero(np.cumsum(np.sort(cost)) <= supplied))


def tail_bound(
    market: Market, needed: int, start: float, ceiling: float, stop: float, on_bound: OnBound | None = None
) -> float:
    """A scale that no schedule with ``needed`` workflows in time can go below.

    Prices are improved at a scale that is just beyond what has been proved; then the largest scale is looked for that
    they refute. ``start`` is a bound already known, ``ceiling`` a value that a schedule has, ``stop`` a time of the
    monotonic clock.
    """
    x = market.relaxation
    best, best_rate = start, market.rate
    none, never = np.zeros(x.workflows), np.full(x.workflows, math.inf)

    def latest(scale: float) -> Array:
        return np.asarray(x.arrival + scale * x.horizon)

    def refuted(scale: float, planner: Planner) -> bool:
        return market.kept_cost(latest(scale), needed, planner) > 1 + SAFETY

    def raise_bound(planner: Planner, precision: float) -> bool:
        """Find the largest scale that the present prices refute, if that is news."""
        nonlocal best, best_rate
        if best * (1 + precision) >= ceiling or not refuted(best * (1 + precision), planner):
            return False
        low, high = best * (1 + precision), ceiling
        step = 2 * precision
        while low * (1 + step) < ceiling and time.monotonic() < stop:
            if refuted(low * (1 + step), planner):
                low, step = low * (1 + step), 2 * step
            else:
                high = low * (1 + step)
                break
        while high > low * (1 + precision) and time.monotonic() < stop:
            middle = (low + high) / 2
            low, high = (middle, high) if refuted(middle, planner) else (low, middle)
        best, best_rate = low, market.rate
        if on_bound is not None:
            on_bound(best)
        return True

    scale = math.sqrt(start * ceiling)
    idle = 0
    reserve = SHARE_OF_PROOF * (stop - time.monotonic())
    while time.monotonic() < stop - reserve and best < ceiling * (1 - CLOSE) and idle < PATIENCE:
        for _ in range(PASSES_A_CHECK):
            market.improve(latest(scale), needed, none, never)
        idle = 0 if raise_bound(market.coarse, COARSE_PRECISION) else idle + 1
        target = min(best * (1 + LEAD), ceiling)
        scale = target if best > start else (scale + target) / 2
    market.rate = best_rate
    raise_bound(market.fine, FINE_PRECISION)
    return best


def misses_bound(market: Market, scale: float, start: int, stop: float, on_bound: OnBound | None = None) -> int:
    """How many workflows every schedule has above ``scale``; ``start`` is a bound already known."""
    x = market.relaxation
    latest = x.arrival + scale * x.horizon
    none, never = np.zeros(x.workflows), np.full(x.workflows, math.inf)
    best, best_rate, idle = start, market.rate, 0

    def raise_bound(planner: Planner) -> bool:
        nonlocal best, best_rate
        found = x.workflows - market.kept_count(latest, planner)
        if found <= best:
            return False
        best, best_rate = found, market.rate
        if on_bound is not None:
            on_bound(best)
        return True

    reserve = SHARE_OF_PROOF * (stop - time.monotonic())
    while time.monotonic() < stop - reserve and best < x.workflows and idle < PATIENCE:
        for _ in range(PASSES_A_CHECK):
            market.improve(latest, x.workflows - best, none, never)
        idle = 0 if raise_bound(market.coarse) else idle + 1
    if best > start:
        market.rate = best_rate
        raise_bound(market.fine)
    return best


def mean_bound(
    market: Market, weight: Array, escape: Array, ceiling: float, stop: float, on_bound: OnBound | None = None
) -> float:
    """The least that sum_w weight_w slack_w, the slack at the end of each critical path, can be.

    ``ceiling`` is a value that a schedule has. At prices whose supply costs p, no schedule has less than
    sum_w cost_w - p (weak duality).

    Parameters
    ----------
    weight : (W,) float array
    escape : (W,) float array
        Seconds: a workflow that is later uses nothing.
    """
    x = market.relaxation
    latest = x.arrival + x.horizon + escape
    best, best_rate, idle = 0.0, market.rate, 0
    market.shares.ends[:] = escape

    def raise_bound(planner: Planner) -> bool:
        nonlocal best, best_rate
        cost, _ = planner.plan(planner.prices(market.rate, market.width), latest, weight, escape)
        found = float(cost.sum()) * (1 - SAFETY) - float((market.rate * market.supply).sum()) * (1 + SAFETY)
        if found <= best:
            return False
        news = found > best * (1 + COARSE_PRECISION)
        best, best_rate = found, market.rate
        if on_bound is not None:
            on_bound(best)
        return news

    reserve = SHARE_OF_PROOF * (stop - time.monotonic())
    while time.monotonic() < stop - reserve and best < ceiling * (1 - CLOSE) and idle < PATIENCE:
        for _ in range(PASSES_A_CHECK):
            market.improve(latest, x.workflows, weight, escape, ceiling * LEVEL)
        news = raise_bound(market.coarse)
        # at first prices are far off, and prove nothing
        idle = 0 if news or (best == 0 and market.passes < SETTLED) else idle + 1
    market.rate = best_rate
    raise_bound(market.fine)
    return best
