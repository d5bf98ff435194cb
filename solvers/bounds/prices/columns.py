"""The best prices by column generation: Dantzig and Wolfe's decomposition, to which the priced relaxation is dual.

The master: every workflow is a mixture of schedules of its own or is dropped; no resource is used in an interval beyond
what there is of it; parents that the forest leaves out end, in the mean of the mixture, before their children begin.
Its columns are the cheapest schedules at the duals of these rows, by the same dynamic program as in the proof.

- Tails, at a scale: no more are dropped than may be late, and the largest load theta is least. By duality theta is the
  most that any prices make the cheapest workflows pay, over what all supply is worth. Above 1, some prices refute the
  scale; at 1 or below, none do.
- Misses: no load is above 1, and as few as possible are dropped. Means: what slack and dropping add to the mean is
  least.

Each step has the optimum from both sides: the dynamic program proves a value from below, the master over the columns
found so far has one from above. The two meet but for the cells of slack on which the dynamic program keeps its costs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import highspy
import numpy as np

from solvers.bounds.prices.ascent import ANY_TIME, SAFETY, Market
from solvers.bounds.prices.planner import Planner
from solvers.bounds.prices.program import plan_workflows
from solvers.bounds.prices.relaxation import Relaxation
from solvers.problem.left import Left

Array = np.ndarray[Any, Any]

NEVER = 1e3  # cost of a workflow that has no schedule yet and may not be dropped: above any load
DAMPING = 0.7  # of the next prices, what is left of the best: prices from the master alone go to and fro (Wentges)
TINY = 1e-12
CLOSE = 1e-5  # relative: sides this close are one
NEWS = 1e-6  # relative: less is no news
PATIENCE = 12  # steps without news, after which the cells of slack are what is left between the sides


class Prices(NamedTuple):
    """Of resources, (K + 2 L, T), a second, and of joins, (J,), for a second of slack."""

    rate: Array
    toll: Array


class Value(NamedTuple):
    """The master's optimum from both sides, and the prices that prove the lower one."""

    lower: float
    upper: float
    prices: Prices


class Column(NamedTuple):
    """A schedule of one workflow.

    Attributes
    ----------
    workflow : int
    latest : float
        Seconds: the latest completion that it was made for.
    start : (calls,) float array
        Seconds at which prefills begin.
    """

    workflow: int
    latest: float
    start: Array


class Columns:
    """The master, which keeps its columns from one question to the next.

    Parameters
    ----------
    relaxation : Relaxation
    edge : (T + 1,) float array
        Between which times prices are constant.
    cells : int
        Of slack, in the dynamic program.
    droppable : int
        Workflows that may be dropped; for the largest load.
    owed : (W,) float array, optional
        What dropping each costs; where it is given, loads are at most 1 and costs are least.
    slowness : (W,) float array, optional
        What a second of slack at the end of each costs; none by default.
    finest : int, optional
        Of cells: where these are what is left between the sides, there are twice as many, up to so many.
    token_prices : int
        Prices of a token at which the dynamic program looks at decodes.
    """

    def __init__(
        self,
        relaxation: Relaxation,
        edge: Array,
        cells: int,
        *,
        droppable: int = 0,
        owed: Array | None = None,
        slowness: Array | None = None,
        finest: int = 0,
        token_prices: int = 48,
    ) -> None:
        self.relaxation = x = relaxation
        self.edge, self.droppable, self.owed = edge, droppable, owed
        self.slowness = np.zeros(x.workflows) if slowness is None else slowness
        self.finest, self._token_prices = finest, token_prices
        self._refine(cells)
        count = np.concatenate([x.prefill_count, x.decode_count, x.decode_count]).astype(float)
        self.supply = count[:, None] * np.diff(edge)
        self._join_of = np.repeat(np.arange(x.workflows), np.diff(x.first_join))
        self.columns: list[Column] = []
        self._build()

    @property
    def size(self) -> tuple[int, int]:
        """Variables and rows of the master."""
        return self._lp.getNumCol(), self._lp.getNumRow()

    @property
    def no_prices(self) -> Prices:
        """Where nothing is known: every second of supply is worth the same."""
        toll = np.zeros(len(self.relaxation.join_gap))
        return Prices(np.full(self.supply.shape, 1.0 / self.supply.sum()), toll)

    def _refine(self, cells: int) -> None:
        self.planner = Planner(self.relaxation, cells, len(self.edge) - 1, 1, self._token_prices)
        self._scratch = self.planner.scratch()

    def _build(self) -> None:
        """Rows: loads, one mixture a workflow, how many are dropped, joins. Columns: theta, drops, and ways out."""
        x, loads = self.relaxation, self.supply.size
        self._mixtures, self._dropping = loads, loads + x.workflows
        self._joins = self._dropping + 1
        self._lp = lp = highspy.Highs()
        lp.setOptionValue("output_flag", False)
        lp.setOptionValue("threads", 1)
        endless = highspy.kHighsInf
        flows, joins = range(x.workflows), range(len(x.join_gap))
        is_load = self.owed is None
        owed = np.zeros(x.workflows) if self.owed is None else self.owed
        # at such a toll a second of slack costs as much as all supply, or as if all were dropped
        largest_toll = 1.0 if is_load else max(float(owed.sum()), 1.0)
        for lower, upper in (
            *((-endless, 0.0) for _ in range(loads)),
            *((1.0, 1.0) for _ in flows),
            (-endless, float(self.droppable) if is_load else endless),
            *((-endless, 0.0) for _ in joins),
        ):
            lp.addRow(lower, upper, 0, np.array([], np.int32), np.array([]))
        self._column(1.0 if is_load else 0.0, np.arange(loads), -np.ones(loads))
        if not is_load:
            lp.changeColBounds(0, 1.0, 1.0)
        for w in flows:
            self._column(float(owed[w]), np.array([self._mixtures + w, self._dropping]), np.ones(2))
        for w in flows:
            self._column(NEVER * largest_toll, np.array([self._mixtures + w]), np.ones(1))
        for j in joins:
            self._column(largest_toll, np.array([self._joins + j]), -np.ones(1))
        self._first = 1 + 2 * x.workflows + len(x.join_gap)

    def _column(self, cost: float, rows: Array, values: Array) -> None:
        self._lp.addCol(cost, 0.0, highspy.kHighsInf, len(rows), rows.astype(np.int32), values)

    def solve(
        self,
        latest: Array,
        prices: Prices,
        left: Left,
        on_bound: Callable[[float], None] | None = None,
        decide: bool = False,
    ) -> Value:
        """Price and solve in turn, until both sides meet or only cells of slack are between them, or time is over.

        Parameters
        ----------
        latest : (W,) float array
            Latest completions.
        prices : Prices
            To start from.
        left : callable
            Seconds for which to go on.
        on_bound : callable, optional
            Told each better value from below.
        decide : bool
            For the largest load: whether to end as soon as it is known on which side of 1 it is.
        """
        for k, column in enumerate(self.columns):
            allowed = column.latest <= latest[column.workflow] * (1 + TINY)
            self._lp.changeColBounds(self._first + k, 0.0, highspy.kHighsInf if allowed else 0.0)
        found, now, idle = Value(-np.inf, np.inf, prices), prices, 0
        while True:
            known = found
            proved, unit = self._price(latest, now)
            if proved > found.lower:
                found = Value(proved, found.upper, Prices(now.rate * unit, now.toll * unit))
                if on_bound is not None:
                    on_bound(proved)
            above, master = self._solve()
            found = found._replace(upper=min(found.upper, above))
            moved = found.lower - known.lower > NEWS * abs(found.lower)
            moved |= known.upper - found.upper > NEWS * abs(found.upper)
            idle = 0 if moved else idle + 1
            settled = decide and (found.lower > 1 + SAFETY or found.upper <= 1)
            met = found.upper - found.lower <= CLOSE * max(abs(found.upper), TINY)
            if settled or met or left() <= 0:
                return found
            if idle > PATIENCE:
                if 2 * self.planner.cells > self.finest:
                    return found
                self._refine(2 * self.planner.cells)
                idle = 0
            keep = DAMPING if idle % 2 == 0 else 0.0
            now = Prices(*(keep * best + (1 - keep) * new for best, new in zip(found.prices, master, strict=True)))

    def know(self, market: Market) -> None:
        """Add the schedules that a search for prices remembers, which are of the same intervals."""
        x, mixture = self.relaxation, market.mixture
        for k in range(1, mixture.weight.shape[1]):
            made_for = mixture.made_for[:, k]
            cell = market.coarse.windows(np.minimum(made_for, ANY_TIME))[1]
            for w in np.flatnonzero(made_for < ANY_TIME).tolist():
                calls = slice(int(x.first_call[w]), int(x.first_call[w + 1]))
                self._add(
                    w,
                    mixture.plan[w, k],
                    mixture.start[calls, k] * cell[w],
                    mixture.end[calls, k] * cell[w],
                    float(made_for[w]),
                )

    def mean_start(self) -> Array:
        """(N,) seconds at which prefills begin in the mean of the master's mixtures, dropped workflows last of all."""
        weight = np.array(self._lp.getSolution().col_value)[self._first :]
        return self._starts(np.flatnonzero(weight > TINY), weight)

    def chosen_start(self, seconds: float) -> Array | None:
        """(N,) seconds at which prefills begin where every workflow has one schedule or is dropped.

        The master over the columns found so far, in whole numbers; None where there is no solution in time.
        """
        lp = highspy.Highs()
        lp.setOptionValue("output_flag", False)
        lp.setOptionValue("threads", 1)
        lp.passModel(self._lp.getModel())
        whole = [*range(1, 1 + self.relaxation.workflows), *range(self._first, self._lp.getNumCol())]
        for k in whole:
            lp.changeColIntegrality(k, highspy.HighsVarType.kInteger)
        lp.setOptionValue("time_limit", max(seconds, 0.0))
        lp.run()
        if lp.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None
        weight = np.round(np.array(lp.getSolution().col_value)[self._first :])
        return self._starts(np.flatnonzero(weight > 0), weight)

    def _starts(self, used: Array, weight: Array) -> Array:
        x = self.relaxation
        total, share = np.zeros(len(x.head)), np.zeros(x.workflows)
        for k in used.tolist():
            column = self.columns[k]
            total[x.first_call[column.workflow] : x.first_call[column.workflow + 1]] += weight[k] * column.start
            share[column.workflow] += weight[k]
        last = self.edge[-1] + x.head  # of what is dropped: after everything, parents before children
        return total + np.maximum(1 - share, 0.0)[x.workflow] * last

    def _add(self, w: int, use: Array, began: Array, ended: Array, latest: float) -> None:
        """A schedule of w by the slack of its prefills and completions, seconds."""
        x, first = self.relaxation, int(self.relaxation.first_call[w])
        joins = slice(int(x.first_join[w]), int(x.first_join[w + 1]))
        # seconds by which parents of its joins end too late, below 0 too early
        over = ended[x.join_from[joins] - first] - began[x.join_to[joins] - first] - x.join_gap[joins]
        load, row = (use / self.supply).ravel(), self._joins + int(x.first_join[w])
        rows = np.concatenate([np.arange(load.size), [self._mixtures + w], row + np.arange(len(over))])
        values = np.concatenate([load, [1.0], over])
        kept = np.abs(values) > TINY
        self._column(float(self.slowness[w] * ended[x.final[w] - first]), rows[kept], values[kept])
        head = x.head[first : int(x.first_call[w + 1])]
        self.columns.append(Column(w, latest, head + began))

    def _price(self, latest: Array, prices: Prices) -> tuple[float, float]:
        """As ``_proved`` at these prices; each workflow's cheapest schedule becomes a column."""
        x = self.relaxation
        limit, cell = self.planner.windows(latest)
        told = self.planner.prices(prices.rate, self.edge, prices.toll * cell[self._join_of], slowness=self.slowness)
        cost, use = np.zeros(x.workflows), np.zeros((x.workflows, *self.supply.shape))
        released = np.zeros(len(x.head))
        for w in range(x.workflows):
            plan_workflows(
                self.planner.tables, told, self._scratch, x.fixed, w, w + 1, limit, cell, cost, use, released
            )
            if cost[w] == np.inf:
                continue
            calls = int(x.first_call[w + 1] - x.first_call[w])
            began, ended = self._scratch.began[:calls] * cell[w], self._scratch.ended[:calls] * cell[w]
            self._add(w, use[w], began, ended, float(latest[w]))
        return self._proved(np.maximum(cost, 0.0), float((prices.rate * self.supply).sum()))

    def _proved(self, cost: Array, supplied: float) -> tuple[float, float]:
        """From the cheapest schedules, and what all supply is worth: what no mixtures, and no schedule, go below.

        With the factor at which these prices prove it: how large they are in all matters for means alone.
        """
        if self.owed is None:
            kept = self.relaxation.workflows - self.droppable
            unit = 1.0 / supplied if supplied > 0 else 0.0
            return float(np.partition(cost, kept - 1)[:kept].sum()) * unit, unit
        if self.slowness.any():
            return float(np.minimum(cost, self.owed).sum() * (1 - SAFETY) - supplied * (1 + SAFETY)), 1.0
        # no more are kept than the cheapest that the supply pays for
        each, worth = np.sort(cost), supplied * (1 + SAFETY)
        paid = np.cumsum(each)
        kept = int(np.searchsorted(paid, worth, "right"))
        if kept == len(paid):
            return 0.0, 1.0
        part = (worth - float(paid[kept - 1] if kept else 0.0)) / float(each[kept])
        return len(paid) - kept - part, 1.0 / float(each[kept])

    def _solve(self) -> tuple[float, Prices]:
        """The optimum of the mixtures of what there is, inf while there is none, and prices from its duals."""
        self._lp.run()
        solution, x = self._lp.getSolution(), self.relaxation
        dual, value = np.array(solution.row_dual), np.array(solution.col_value)
        rate = np.maximum(-dual[: self.supply.size], 0.0).reshape(self.supply.shape) / self.supply
        unmet = float(value[1 + x.workflows : 1 + 2 * x.workflows].sum())
        above = self._lp.getInfo().objective_function_value if unmet < 1e-7 else np.inf
        return float(above), Prices(rate, np.maximum(-dual[self._joins :], 0.0))
