"""The best prices of the priced relaxation at a scale, by column generation.

The program: every workflow is a mixture of schedules of its own or is dropped, no more are dropped than may be late,
and the largest load of a resource in an interval, theta, is least. Its columns are the cheapest schedules at the duals,
by the same dynamic program as in the proof. By duality theta is the most that any prices make the cheapest workflows
pay, over what all supply is worth: at each step the dynamic program proves a theta from below, the program over the
schedules found so far has one from above. Below 1, no prices refute the scale; above 1, some do.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import highspy
import numpy as np

from solvers.bounds.prices.ascent import ANY_TIME, Market
from solvers.bounds.prices.planner import Planner
from solvers.bounds.prices.program import plan_workflows
from solvers.bounds.prices.relaxation import Relaxation

Array = np.ndarray[Any, Any]

NEVER = 1e3  # cost of a workflow that has no schedule yet: above any load
DAMPING = 0.7  # of the next prices, what is left of the best: prices from the program alone go to and fro (Wentges)
TINY = 1e-12


class Theta(NamedTuple):
    """The least largest load at a scale, from both sides, and the prices and tolls that prove the lower one."""

    lower: float
    upper: float
    rate: Array
    toll: Array


class Columns:
    """The program, which keeps its columns from scale to scale.

    Parameters
    ----------
    relaxation : Relaxation
    edge : (T + 1,) float array
        Between which times prices are constant.
    droppable : int
        Workflows that may be late.
    cells : int
        Of slack, in the dynamic program.
    """

    def __init__(self, relaxation: Relaxation, edge: Array, droppable: int, cells: int, token_prices: int = 48) -> None:
        self.relaxation = x = relaxation
        self.edge, self.droppable = edge, droppable
        self.planner = Planner(x, cells, len(edge) - 1, 1, token_prices)
        self._scratch = self.planner.scratch()
        count = np.concatenate([x.prefill_count, x.decode_count, x.decode_count]).astype(float)
        self.supply = count[:, None] * np.diff(edge)
        self._join_of = np.repeat(np.arange(x.workflows), np.diff(x.first_join))
        self._latest_of: list[float] = []  # of each column, the latest completion it was made for
        self._owner: list[int] = []
        self._build()

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
        for lower, upper in (
            *((-endless, 0.0) for _ in range(loads)),
            *((1.0, 1.0) for _ in flows),
            (-endless, float(self.droppable)),
            *((-endless, 0.0) for _ in joins),
        ):
            lp.addRow(lower, upper, 0, np.array([], np.int32), np.array([]))
        self._column(1.0, np.arange(loads), -np.ones(loads))
        for w in flows:
            self._column(0.0, np.array([self._mixtures + w, self._dropping]), np.ones(2))
        for w in flows:
            self._column(NEVER, np.array([self._mixtures + w]), np.ones(1))
        for j in joins:  # at such a toll a second of slack costs as much as all supply
            self._column(1.0, np.array([self._joins + j]), -np.ones(1))
        self._first = 1 + 2 * x.workflows + len(x.join_gap)

    def _column(self, cost: float, rows: Array, values: Array) -> None:
        self._lp.addCol(cost, 0.0, highspy.kHighsInf, len(rows), rows.astype(np.int32), values)

    def theta(self, latest: Array, rate: Array, toll: Array, seconds: float) -> Theta:
        """From both sides, until both lie on one side of 1, or so many CPU seconds are over.

        Parameters
        ----------
        latest : (W,) float array
            Latest completions.
        rate : (K + 2 L, T) float array
            Prices to start from.
        toll : (J,) float array
            Of joins, for a second of slack.
        seconds : float
        """
        for k, made_for in enumerate(self._latest_of):
            allowed = made_for <= latest[self._owner[k]] * (1 + TINY)
            self._lp.changeColBounds(self._first + k, 0.0, highspy.kHighsInf if allowed else 0.0)
        until = time.process_time() + seconds
        worth = float((rate * self.supply).sum())
        found = Theta(0.0, np.inf, rate / worth, toll / worth)
        now = found.rate, found.toll
        while True:
            paid = self._price(latest, *now)
            if paid > found.lower:
                found = Theta(paid, found.upper, *now)
            above, *master = self._solve()
            found = found._replace(upper=min(found.upper, above))
            if found.lower > 1 or found.upper <= 1 or time.process_time() > until:
                return found
            now = (
                DAMPING * found.rate + (1 - DAMPING) * master[0],
                DAMPING * found.toll + (1 - DAMPING) * master[1],
            )

    def know(self, market: Market) -> None:
        """Add the schedules that a search for prices remembers."""
        x, mixture = self.relaxation, market.mixture
        for k in range(1, mixture.weight.shape[1]):
            made_for = mixture.made_for[:, k]
            cell = market.coarse.windows(np.minimum(made_for, ANY_TIME))[1]
            for w in np.flatnonzero(made_for < ANY_TIME).tolist():
                joins = slice(int(x.first_join[w]), int(x.first_join[w + 1]))
                over = mixture.end[x.join_from[joins], k] - mixture.start[x.join_to[joins], k]
                self._add(w, mixture.plan[w, k], over * cell[w] - x.join_gap[joins], float(made_for[w]))

    def _add(self, w: int, use: Array, over: Array, latest: float) -> None:
        """A schedule of w; ``over`` are the seconds by which parents of its joins end too late, below 0 too early."""
        load, joins = (use / self.supply).ravel(), self._joins + int(self.relaxation.first_join[w])
        rows = np.concatenate([np.arange(load.size), [self._mixtures + w], joins + np.arange(len(over))])
        values = np.concatenate([load, [1.0], over])
        kept = np.abs(values) > TINY
        self._column(0.0, rows[kept], values[kept])
        self._latest_of.append(latest)
        self._owner.append(w)

    def _price(self, latest: Array, rate: Array, toll: Array) -> float:
        """What the cheapest workflows pay that are not dropped; each workflow's cheapest schedule becomes a column."""
        x = self.relaxation
        limit, cell = self.planner.windows(latest)
        prices = self.planner.prices(rate, self.edge, toll * cell[self._join_of])
        cost, use = np.zeros(x.workflows), np.zeros((x.workflows, *self.supply.shape))
        released = np.zeros(len(x.head))
        for w in range(x.workflows):
            plan_workflows(
                self.planner.tables, prices, self._scratch, x.fixed, w, w + 1, limit, cell, cost, use, released
            )
            if cost[w] == np.inf:
                continue
            joins = slice(int(x.first_join[w]), int(x.first_join[w + 1]))
            first = x.first_call[w]
            over = self._scratch.ended[x.join_from[joins] - first] - self._scratch.began[x.join_to[joins] - first]
            self._add(w, use[w], over * cell[w] - x.join_gap[joins], float(latest[w]))
        kept_flows = x.workflows - self.droppable
        return float(np.partition(np.maximum(cost, 0.0), kept_flows - 1)[:kept_flows].sum())

    def _solve(self) -> tuple[float, Array, Array]:
        """Theta of the mixtures of what there is, inf while there is none, and prices and tolls from its duals."""
        self._lp.run()
        solution = self._lp.getSolution()
        dual, value = np.array(solution.row_dual), np.array(solution.col_value)
        rate = np.maximum(-dual[: self.supply.size], 0.0).reshape(self.supply.shape) / self.supply
        unmet = float(value[1 + self.relaxation.workflows : self._first].sum())
        return float(value[0]) if unmet < 1e-7 else np.inf, rate, np.maximum(-dual[self._joins :], 0.0)
