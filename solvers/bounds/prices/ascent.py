"""Looking for the prices that prove most."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from solvers.bounds.prices.mixture import Mixture, improve
from solvers.bounds.prices.planner import Planner
from solvers.bounds.prices.relaxation import Relaxation
from solvers.bounds.prices.tuning import TUNING, Tuning
from solvers.problem.left import Clock, Left, wall_clock

Array = np.ndarray[Any, Any]

SAFETY = 1e-7  # relative: what rounding could add to a sum of costs
CLOSE = 1e-4  # relative: a bound this close to a schedule needs no more work
SHORTER = 2.0  # times as long a proof takes with cells half as long, at most, about
ANY_TIME = 1e300  # seconds: later than any completion

OnBound = Callable[[float], None]


class Proving(NamedTuple):
    """What the best prices were when they proved what they prove: later intervals have averages of them.

    Attributes
    ----------
    edge : (T + 1,) float array
    rate, toll : (K + 2 L, T) and (J,) float arrays
    owed : float
        Price of one that is owed, in a mean.
    cells : int
        Of slack.
    """

    edge: Array
    rate: Array
    toll: Array
    owed: float
    cells: int


class Market:
    """Prices, and a fractional schedule that follows them.

    Parameters
    ----------
    relaxation : Relaxation
    cells : int
        Cells of slack while looking for prices, at first; proofs have more.
    edge : (T + 1,) float array
        Between which times prices are constant, from 0 on; everything is free after the last.
    workers : int
        Threads.
    ranges : int
        Of ends of decodes that proofs look at apart.
    tuning : Tuning
    clock : callable
        What passes and proofs are timed by: that of the time that is left.
    """

    def __init__(
        self,
        relaxation: Relaxation,
        edge: Array,
        *,
        cells: int,
        workers: int,
        ranges: int = 1,
        seed: int = 0,
        tuning: Tuning = TUNING,
        clock: Clock = wall_clock,
    ) -> None:
        self.tuning, self.clock = tuning, clock
        self.relaxation = x = relaxation
        intervals = len(edge) - 1
        self.edge, self.workers = edge, workers
        self.coarse = Planner(x, cells, intervals, workers)
        self.ranges = ranges
        self.fine = Planner(x, self.tuning.finer * cells, intervals, workers, self.tuning.proof_token_prices, ranges)
        count = np.concatenate([x.prefill_count, x.decode_count, x.decode_count]).astype(float)
        self.supply = count[:, None] * np.diff(edge)
        calls, joins = len(x.head), len(x.join_gap)
        self.mixture = Mixture(
            plan=np.zeros((x.workflows, self.tuning.schedules, *self.supply.shape)),
            weight=np.concatenate(
                [np.ones((x.workflows, 1)), np.zeros((x.workflows, self.tuning.schedules - 1))], axis=1
            ),
            made_for=np.concatenate(
                [np.zeros((x.workflows, 1)), np.full((x.workflows, self.tuning.schedules - 1), np.inf)], axis=1
            ),
            end=np.zeros((calls, self.tuning.schedules)),
            start=np.zeros((calls, self.tuning.schedules)),
            ended=np.zeros(calls),
            began=np.zeros(calls),
            push=np.zeros(joins),
            load=np.zeros(self.supply.shape),
            supply=self.supply,
            owed=np.concatenate(
                [np.ones((x.workflows, 1)), np.zeros((x.workflows, self.tuning.schedules - 1))], axis=1
            ),
            slowness=np.zeros(x.workflows),
            total=np.array([float(x.workflows)]),
            fresh=np.zeros((1, *self.supply.shape)),
            cost=np.zeros(self.tuning.schedules),
        )
        self.rate = np.zeros(self.supply.shape)
        self.toll = np.zeros(joins)
        self.slowness = np.zeros(x.workflows)
        self._regrid_after, self._start_owed = self.tuning.regrids, 0.0
        self.passes = self._regridded = 0
        self._passes_here, self._pass_seconds, self._proof_seconds = 0, 0.0, 0.0
        self._best = (self.rate, self.toll, self.slowness)
        self.proving: Proving | None = None
        self._prices = self.coarse.prices(self.rate, self.edge, np.zeros_like(self.toll))
        self._scratch = self.coarse.scratch()
        self._released = np.zeros(len(x.head))
        self._random = np.random.default_rng(seed)

    def improve(self, latest: Array, spare: float) -> None:
        """One pass over all workflows; the prices become an average of those of past passes.

        Parameters
        ----------
        latest : (W,) float array
            Latest completions.
        spare : float
            How much the objective may count: workflows to drop, or weighted slack.
        """
        began = self.clock()
        mixture = self.mixture
        largest = self.largest_load(spare) if self.passes else 0.0
        first, growth, last = self.tuning.sharpness
        sharpness = (
            min(first * growth ** min(self.passes - self._regridded, self.tuning.settled), last) / largest
            if largest > 0
            else 1.0
        )
        limit, cell = self.coarse.windows(latest)
        order = self._random.permutation(self.relaxation.workflows)
        improve(
            self.coarse.tables, self._prices, self._scratch, self.relaxation.fixed, order, limit, cell, latest,
            float(spare), self.passes == 0, sharpness, self._firmness(), self.tuning.exchanges, mixture, self._released,
        )  # fmt: skip
        # without the rounding of many small changes
        mixture.load[:] = np.einsum("wp,wprt->rt", mixture.weight, mixture.plan) / self.supply
        mixture.total[0] = (mixture.weight * mixture.owed).sum()
        self.passes += 1
        keep = self.tuning.memory if self.passes > 2 else 0.0
        self.rate = keep * self.rate + (1 - keep) * self._prices.rate
        self.toll = keep * self.toll + (1 - keep) * self._prices.toll
        self.slowness = keep * self.slowness + (1 - keep) * self._prices.slowness
        self._passes_here += 1
        self._pass_seconds = self.clock() - began
        if self.passes in self._regrid_after:
            self._regrid()
            self._regridded = self.passes

    def largest_load(self, spare: float) -> float:
        """Of any machine in any interval in the mixture, or of what it owes over ``spare``."""
        owed = float(self.mixture.total[0]) / spare if spare > 0 else 0.0
        return max(float(self.mixture.load.max()), owed)

    def _regrid(self) -> None:
        """Shorter intervals where prices are; what is remembered is spread evenly over the parts of old intervals."""
        old, worth = self.edge, (self.rate * self.supply).sum(axis=0)
        if worth.sum() <= 0:
            return
        density = (1 - self.tuning.evenly) * worth / worth.sum() + self.tuning.evenly * np.diff(old) / old[-1]
        reached = np.concatenate([[0.0], np.cumsum(density)])
        self.edge = np.interp(np.linspace(0.0, 1.0, len(old)), reached / reached[-1], old)
        self.edge[0], self.edge[-1] = 0.0, old[-1]
        within = np.minimum(old[1:, None], self.edge[None, 1:]) - np.maximum(old[:-1, None], self.edge[None, :-1])
        share = np.maximum(within, 0.0) / np.diff(old)[:, None]
        mixture = self.mixture
        mixture.plan[:] = mixture.plan @ share
        # good enough to see the load of all others by, but each is to be replaced when it is its turn
        mixture.made_for[:, 1:][mixture.made_for[:, 1:] < np.inf] = ANY_TIME
        self.supply[:] = self.supply @ share
        mixture.load[:] = np.einsum("wp,wprt->rt", mixture.weight, mixture.plan) / self.supply
        over = np.maximum(within, 0.0) / np.diff(self.edge)
        self.rate = self.rate @ over
        self._best = (self._best[0] @ over, *self._best[1:])
        self._prices = self.coarse.prices(self.rate, self.edge, self._prices.toll)

    def _firmness(self) -> Array:
        """(W,): the price of a cell at which joins that are a cell over pay as much as a call does in all."""
        x = self.relaxation
        return self.tuning.firmness / (x.workflows * np.diff(x.first_call) * self.coarse.cells**2)

    def improve_awhile(self, latest: Array, spare: float, left: Left, reserve: float = 0.0) -> None:
        """As many passes as it takes until it is worth seeing what prices prove, fewer when but ``reserve`` is left."""
        least, most = self.tuning.passes_a_check
        even = (
            self._proof_seconds
            / max(self._pass_seconds, self.tuning.least_seconds)
            * (1 / self.tuning.share_of_checks - 1)
        )
        for _ in range(int(min(max(even, least), most))):
            self.improve(latest, spare)
            if left() <= reserve:
                break

    def refine(self) -> bool:
        """Go on with cells half as long; False when they are as short as they get."""
        if self.fine.cells >= self.tuning.finest:
            return False
        cells = 2 * self.coarse.cells
        intervals = len(self.edge) - 1
        self.coarse = Planner(self.relaxation, cells, intervals, self.workers)
        self.fine = Planner(
            self.relaxation,
            self.tuning.finer * cells,
            intervals,
            self.workers,
            self.tuning.proof_token_prices,
            self.ranges,
        )
        mixture = self.mixture
        for slack in (mixture.end, mixture.start, mixture.ended, mixture.began):
            slack *= 2
        mixture.push[:] /= 2
        self.toll = self.toll / 2
        self._best = (self._best[0], self._best[1] / 2, self._best[2])
        self._prices = self.coarse.prices(self.rate, self.edge, self.toll.copy())
        self._scratch = self.coarse.scratch()
        self._passes_here = 0
        return True

    def refine_in_time(self, seconds: float) -> None:
        """Refine where shorter cells can settle in so many seconds: how long they are costs most."""
        since = self.passes - max(self._regrid_after, default=0)
        if min(since, self._passes_here) < self.tuning.passes_before:
            return
        if self._pass_seconds * self.tuning.slower * self.tuning.passes_after < seconds:
            self.refine()

    def sharpen(self, seconds: float) -> None:
        """Let proofs look closer, as far as one takes no more than so many seconds: shorter cells, then more prices.

        Costs kept on a grid are nowhere above the true ones, whatever its cells (``grid``), and a decode pays at least
        what any price of a token says (``decode``): so what is proved stays true. Shorter cells come first, as long
        calls lose most by them: at the prices that proved 1.312 of 200 Mixed workflows with 128 cells, the cheapest
        paid 1.29 times the supply with 512.
        """
        closer = seconds / (max(self._proof_seconds, self.tuning.least_seconds) * self.tuning.last_proofs)
        cells = self.fine.cells
        while closer > SHORTER and 2 * cells <= self.tuning.finest:
            cells, closer = 2 * cells, closer / SHORTER
        more = closer > self.tuning.sharper ** (2 if self.ranges > 1 else 1)
        prices = self.tuning.proof_token_prices * (self.tuning.sharper if more else 1)
        ranges = self.ranges * (self.tuning.sharper if more and self.ranges > 1 else 1)
        if cells > self.fine.cells or more:
            self.fine = Planner(self.relaxation, cells, len(self.edge) - 1, self.workers, prices, ranges)

    def keep(self) -> None:
        """Note the present prices as the best."""
        self._best = (self.rate, self.toll, self.slowness)
        # copies: passes write to the prices that cells of another length or later intervals set out from
        self.proving = Proving(self.edge, self.rate.copy(), self.toll.copy(), self.owed, self.coarse.cells)

    def back_to_best(self) -> None:
        """Take back the best prices; those at hand stay where none has proved anything yet."""
        if self.proving is None:
            return
        self.rate, self.toll, self.slowness = self._best

    def begin_at(self, rate: Array, toll: Array, owed: float) -> None:
        """Set out from these prices, in the intervals that there are: (K + 2 L, T), (J,), and of one that is owed."""
        self.rate, self.toll, self._start_owed = rate, toll, owed
        self._regrid_after = ()
        self._prices = self.coarse.prices(rate, self.edge, toll.copy())
        self.keep()

    @property
    def has_prices(self) -> bool:
        """Whether there is anything to prove with."""
        return bool(self.rate.any())

    @property
    def owed(self) -> float:
        """Price of one that is owed, in a mean."""
        total = float(self.mixture.slowness.sum())
        return float(self.slowness.sum()) / total if total > 0 else 0.0

    def count(self, slowness: Array, dropped: Array) -> None:
        """Let the objective count slack at the end of workflows, and so much for dropping one, (W,)."""
        self.mixture.slowness[:] = slowness
        self.mixture.owed[:, 0] = dropped
        self.mixture.total[0] = dropped.sum()
        if self._start_owed > 0:
            self.slowness = self._start_owed * slowness
            self.keep()

    def costs(self, latest: Array) -> Array:
        """(W,) cheapest schedules at the present prices, as shares of what all supply costs; inf: not in time."""
        supplied = float((self.rate * self.supply).sum())
        if supplied <= 0:
            return np.zeros(self.relaxation.workflows)
        return np.asarray(np.maximum(self._plan(latest, None), 0.0) / supplied)

    def fewest_late(self, latest: Array) -> tuple[int, float]:
        """How many workflows are late at least, in any schedule, and the share of the supply that the others pay."""
        paid = np.cumsum(np.sort(self.costs(latest)))
        kept = int(np.count_nonzero(paid <= 1 + SAFETY))
        return len(paid) - kept, float(paid[kept - 1]) if kept else 0.0

    def least_owed(self, latest: Array) -> float:
        """What is owed at least, in any schedule, at the present prices."""
        mixture = self.mixture
        price = self.owed
        if price <= 0:
            return 0.0
        cost = np.minimum(np.maximum(self._plan(latest, self.slowness), 0.0), price * mixture.owed[:, 0])
        supplied = float((self.rate * self.supply).sum())
        return float(cost.sum() * (1 - SAFETY) - supplied * (1 + SAFETY)) / price

    def _plan(self, latest: Array, slowness: Array | None) -> Array:
        began = self.clock()
        stretch = self.fine.cells / self.coarse.cells
        prices = self.fine.prices(self.rate, self.edge, self.toll, stretch, slowness)
        cost = self.fine.plan(prices, latest)[0]
        self._proof_seconds = self.clock() - began
        return cost


def tail_bound(
    market: Market,
    needed: int,
    start: float,
    ceiling: float,
    left: Left,
    on_bound: OnBound | None = None,
    first: float = 0.0,
) -> float:
    """A scale that no schedule with ``needed`` workflows in time can go below.

    Prices are improved at a scale beyond what has been proved, until they refute it; the next scale is about where they
    still would. ``start`` is a bound already known, ``ceiling`` a value that a schedule has, ``left`` says how long
    to go on, ``first`` is a scale that the prices at hand may refute at once.
    """
    x = market.relaxation
    best, excess = start, 1.0

    def latest(scale: float) -> Array:
        return np.asarray(x.arrival + scale * x.horizon)

    def price_of(scale: float) -> float:
        """What the cheapest ``needed`` workflows pay, over what all supply is worth; above 1 it refutes the scale."""
        nonlocal best, excess
        paid = float(np.partition(market.costs(latest(scale)), needed - 1)[:needed].sum())
        if paid > 1 + SAFETY:
            best, excess = scale, paid
            market.keep()
            if on_bound is not None:
                on_bound(best)
        return paid

    def steepness_of(scale: float, paid: float, higher: float, less: float) -> float:
        """With which power of the scale the price falls, as between two scales."""
        if not scale < higher or not 0.0 < less < paid:
            return steepness
        least, _, most = market.tuning.steepness
        return min(max(math.log(paid / less) / math.log(higher / scale), least), most)

    def step(due: float) -> float:
        """The factor on a scale that turns the price ``due`` into just above 1, about, where it is not too large."""
        factor = due ** (1 / steepness) * (1 - market.tuning.fine_step if due <= 1 else 1)
        return min(max(factor, 1 / market.tuning.longest_step), market.tuning.longest_step)

    # half way to the known schedule first: large instances leave time for few checks
    scale, idle, spare = math.sqrt(start * ceiling), 0, x.workflows - needed
    steepness, before = market.tuning.steepness[1], (0.0, 0.0)
    if market.has_prices and first > start:
        scale = first = min(first, ceiling)
        for less in (0, 2, 10, 40, 100, 200, 400):  # what refuted it may have looked closer, or in other intervals
            if price_of(max(first * (1 - less * market.tuning.fine_step), start)) > 1 + SAFETY:
                break
    reserve = market.tuning.share_of_last_steps * left()
    while left() > reserve and best < ceiling * (1 - CLOSE):
        if idle >= market.tuning.patience and market.refine():
            idle = 0
        if idle >= market.tuning.last_patience:
            break
        market.refine_in_time(left() - reserve)
        scale = min(max(scale, best * (1 + market.tuning.last_step)), ceiling)
        market.improve_awhile(latest(scale), spare, left, reserve)
        known = best
        paid = price_of(scale)
        steepness = steepness_of(*before, scale, paid)
        before = (scale, paid)
        # what the same prices prove below: the way back would unsettle them
        lower = max(scale * step(paid), known * (1 + market.tuning.last_step)) if paid > 0 else scale
        if lower < scale:
            steepness = steepness_of(lower, price_of(lower), scale, paid)
        settled = market.passes > max(market.tuning.regrids, default=0)
        idle = 0 if best > known * (1 + market.tuning.least_gain) else idle + settled
        # about where 1 is paid. Going back unsettles the mixture: not while its loads promise that prices will pay here
        promising = market.largest_load(spare) * market.tuning.unsettled > 1 and (
            idle == 0 or idle % market.tuning.until_settled
        )
        if paid > 1 or (settled and not promising):
            scale *= step(paid)
    # the most that the best prices prove
    market.back_to_best()
    market.sharpen(left())
    beyond = ceiling
    while best < beyond / (1 + market.tuning.fine_step) and left() > 0:
        scale = best * max(step(excess), 1 + market.tuning.last_step)
        scale = scale if scale < beyond else math.sqrt(best * beyond)
        if price_of(scale) <= 1 + SAFETY:
            beyond = scale
    return best


def misses_bound(market: Market, scale: float, start: int, left: Left, on_bound: OnBound | None = None) -> int:
    """How many workflows every schedule has above ``scale``; ``start`` is a bound already known."""
    x = market.relaxation
    latest = x.arrival + scale * x.horizon
    best, idle = start, 0

    def raise_bound() -> bool:
        nonlocal best
        found, _ = market.fewest_late(latest)
        if found <= best:
            return False
        best = found
        market.keep()
        if on_bound is not None:
            on_bound(best)
        return True

    if market.has_prices:
        raise_bound()
    while left() > 0 and best < x.workflows and (idle < market.tuning.patience or market.refine()):
        idle = 0 if idle == market.tuning.patience else idle
        market.refine_in_time(left())
        market.improve_awhile(latest, best, left)  # so many are not enough to drop, it will show
        idle = 0 if raise_bound() else idle + 1
    if best > start:
        market.back_to_best()
    return best


def mean_bound(
    market: Market, weight: Array, most: Array, ceiling: float, left: Left, on_bound: OnBound | None = None
) -> float:
    """The least that sum_w weight_w (ratio_w - 1) can be.

    Slack at the end of a workflow has a price too. At any prices that sum, at its price, is at least what the cheapest
    schedules pay, slack included, less what all supply is worth. A workflow that ends later than ``most`` pays for
    that much slack, and possibly nothing else. Prices are those of a mixture of schedules in which loads are balanced
    against the sum over a target for it; the target is moved to where all are about 1.

    Parameters
    ----------
    weight : (W,) float array
        Above 0.
    most : (W,) float array
        Ratios less 1 up to which schedules are looked at, above 0.
    ceiling : float
        A value that a schedule has.
    """
    x = market.relaxation
    latest = np.asarray(x.arrival + (1 + most) * x.horizon)
    market.count(weight / x.horizon, weight * most)
    target, best, idle = ceiling, 0.0, 0

    def prove() -> None:
        nonlocal best
        found = market.least_owed(latest)
        if found > best:
            best = found
            market.keep()
            if on_bound is not None:
                on_bound(best)

    if market.has_prices:
        prove()
    reserve = market.tuning.share_of_last_steps * left()
    while left() > reserve and best < ceiling * (1 - CLOSE):
        if idle >= market.tuning.patience and market.refine():
            idle = 0
        if idle >= market.tuning.last_patience:
            break
        market.refine_in_time(left() - reserve)
        market.improve_awhile(latest, target, left, reserve)
        largest = market.largest_load(target)
        target = min(
            target * min(max(largest, 1 / market.tuning.largest_change), market.tuning.largest_change), ceiling
        )
        known = best
        prove()
        idle = 0 if best > known * (1 + market.tuning.least_gain) else idle + 1
    market.back_to_best()
    market.sharpen(left())
    prove()
    return best
