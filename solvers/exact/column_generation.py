"""Column generation: a master over schedules of whole workflows, whose prices say what is worth scheduling next.

Dantzig and Wolfe's decomposition of the problem in which capacities hold in the sum over intervals of time
(``bounds.prices.columns``): the linear program to which the bound by prices is dual. Prices are only looked for there
until they prove enough; here the best ones are, so on the same intervals the master's optimum is never lower. It ends
where steps bring no news, and its bound may then be lower by some tenths of a per cent.
Tails are a series of scales, of which the largest that is refuted counts.

What it proves is a bound and a schedule, and an optimum only where the two meet: between capacity in the sum over an
interval and capacity at each instant there is a gap that no branching on columns closes. So it does not branch. The
schedule comes from the calls in the order of their starts, in the mean of the master's mixtures, and in the master over
the same columns in whole numbers, which has one schedule for each workflow (Maenhout and Vanhoucke call that a
restricted master heuristic).

G. B. Dantzig, P. Wolfe, Decomposition principle for linear programs, Operations Research 8 (1960).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.bounds import critical_path
from solvers.bounds.parts.destructive import ROUND_DOWN
from solvers.bounds.prices.ascent import SAFETY
from solvers.bounds.prices.bound import Question, ask
from solvers.bounds.prices.columns import CLOSE, Columns, Prices, Value
from solvers.bounds.prices.relaxation import relax
from solvers.bounds.prices.tuning import TUNING
from solvers.exact.milp import highs
from solvers.exact.parts.formulation import Formulation
from solvers.exact.parts.size import TooLargeError
from solvers.exact.parts.start import offer_list_schedule, search_from
from solvers.problem.bracket import Bracket
from solvers.problem.certificate import offer
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome, Report, Size
from solvers.schedules.list_schedule import list_schedule
from solvers.schedules.timetable import to_schedule

Array = np.ndarray[Any, Any]

NAME = "column_generation"
LP_TOLERANCE = 1e-7  # of HiGHS


@dataclass(frozen=True)
class Tuning:
    """How the time of a solve is spent.

    Attributes
    ----------
    search, search_a_pair, shortest_search : float
        As of the MILPs: share of the time for local search at the start, seconds for each pair of calls, at most, and
        seconds for which it is worth it.
    prices : float
        Share of the time that is left for the search for prices.
    scale : float
        Share of the time that is left for one scale of a tail.
    first_step : float
        From the scale that is proved to the first that is asked, a factor.
    precision : float
        Relative: of the scale.
    whole : float
        Share of the time that is left for a master in whole numbers.
    finest : int
        Cells of slack, at most.
    entries : int
        Numbers that the first columns may have; a larger master is not built.
    """

    search: float = 0.1
    search_a_pair: float = 0.015
    shortest_search: float = 0.05
    prices: float = 0.2
    scale: float = 0.3
    first_step: float = 1.02
    precision: float = 5e-4
    whole: float = 0.1
    finest: int = 4096
    entries: int = 3_000_000


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = Tuning()) -> Outcome:
    """Prices first, then columns from there on."""
    offer_list_schedule(problem, bracket)
    if bracket.schedule is None:
        return Outcome(message="the time limit ended before there was a schedule to start from")
    resources = len(problem.prefill_types.count) + 2 * len(problem.decode_types.count)
    size = resources * problem.workflows * TUNING.intervals + problem.calls
    if size > tuning.entries:
        return Outcome(message=f"{NAME}: {TooLargeError(f'about {size:,} entries', tuning.entries)}")
    bracket.prove(critical_path.compute(problem, bracket.objective), critical_path.BOUND.name)
    seconds = min(tuning.search * bracket.left, tuning.search_a_pair * problem.calls**2)
    if seconds >= tuning.shortest_search and not bracket.is_closed:
        # without neighbourhoods, else a formulation would have the help of the one it is compared with
        with_one_thread = Options(workers=1, seed=options.seed)
        search_from(problem, bracket.within(seconds), with_one_thread, with_neighbourhoods=False)
    completed = problem.completed(bracket.schedule)
    return _Generation(problem, bracket, options, tuning, ask(relax(problem), bracket.objective, completed)).run()


class _Generation:
    """One solve: a question, its master, and what came of both."""

    def __init__(
        self, problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning, asked: Question
    ) -> None:
        self.problem, self.bracket, self.tuning, self.asked = problem, bracket, tuning, asked
        self.on = SWITCHED_ON | options.extra
        self.root: float | None = None
        self.status = "unknown"
        self.market = asked.market(options.seed, clock=bracket.clock)

    def run(self) -> Outcome:
        """Until the master is solved, or the bracket is over."""
        bracket, asked = self.bracket, self.asked
        if asked.is_settled:
            bracket.prove(asked.base, NAME)
        prices = None
        if self.on["prices"] and not bracket.is_over:
            first = bracket.within(self.tuning.prices * bracket.left)
            asked.search(self.market, lambda: first.open_for, lambda value: bracket.prove(self._real(value), NAME))
            prices = self._found()
        self.program = self._program()
        if prices is None:
            prices = self.program.no_prices
        else:
            self.program.know(self.market)
        if not bracket.is_over and not asked.is_settled:
            if bracket.objective.is_tail:
                self._tail(prices)
            else:
                self._master(asked.highest, prices, bracket, self._prove)
                self._carry_out()
        report = Report("HiGHS", highs.version(), 1, LP_TOLERANCE, self.status, bracket.bounds.get(NAME))
        return Outcome(Size(*self.program.size), self.root, report=report)

    def _program(self) -> Columns:
        """The master of the objective, on the intervals of the market."""
        asked, finest = self.asked, self.tuning.finest
        x, where = asked.relaxation, (asked.relaxation, self.market.edge, min(self.market.fine.cells, finest))
        if asked.objective.is_tail:
            return Columns(*where, droppable=x.workflows - asked.needed, finest=finest)
        if not asked.is_mean:
            return Columns(*where, owed=np.ones(x.workflows), finest=finest)
        owed, slowness = asked.weight * asked.most, asked.weight / x.horizon
        return Columns(*where, owed=owed, slowness=slowness, finest=finest)

    def _found(self) -> Prices | None:
        """What the search for prices found, in the units of the master; None where it found none."""
        market, x = self.market, self.asked.relaxation
        if market.rate.max() <= 0:
            return None
        unit = 1.0
        if self.asked.is_mean:
            unit = float(market.slowness.sum() / market.mixture.slowness.sum())
            if unit <= 0:
                return None
        cell = market.coarse.windows(self.asked.latest(self.asked.highest))[1]
        toll = market.toll / np.repeat(cell, np.diff(x.first_join))
        return Prices(market.rate / unit, toll / unit)

    def _tail(self, prices: Prices) -> None:
        """The largest scale that prices refute: upwards by steps, then between one refuted and one not."""
        bracket, tuning = self.bracket, self.tuning
        low = max(bracket.bound, self.asked.base)
        high, reached, step = self.asked.ceiling, low, tuning.first_step
        while high > reached * (1 + tuning.precision) and not bracket.is_over:
            scale = math.sqrt(reached * high) if high < self.asked.ceiling else min(reached * step, high)
            value = self._master(scale, prices, bracket.within(tuning.scale * bracket.left), decide=True)
            if value.upper <= 1:
                high = scale
                self._carry_out()
                continue
            reached, step = scale, step * step  # where time ended before it was known, as well
            if value.lower > 1 + SAFETY:
                prices = value.prices
                self._prove(scale)

    def _master(
        self,
        ratio: Array | float,
        prices: Prices,
        within: Bracket,
        on_bound: Callable[[float], None] | None = None,
        decide: bool = False,
    ) -> Value:
        """Solve the master for workflows that end by a ratio."""
        value = self.program.solve(self.asked.latest(ratio), prices, lambda: within.open_for, on_bound, decide)
        met = value.upper - value.lower <= LP_TOLERANCE + CLOSE * abs(value.upper)
        self.status = "optimal" if met else "feasible" if math.isfinite(value.upper) else "unknown"
        return value

    def _prove(self, value: float) -> None:
        """A value of the master, or a scale that it refutes."""
        real = self._real(value + self.asked.base if self.asked.is_mean else value)
        if self.root is None:
            self.root = real
        self.bracket.prove(real, NAME)

    def _real(self, value: float) -> float:
        return value if self.bracket.objective.kind == "misses" else value * (1 - ROUND_DOWN)

    def _carry_out(self) -> None:
        """Schedules from what the master says."""
        self._offer(self.program.mean_start())
        if not self.bracket.is_over:
            start = self.program.chosen_start(self.tuning.whole * self.bracket.left)
            if start is not None:
                self._offer(start)

    def _offer(self, start: Array) -> None:
        priority = np.empty(self.problem.calls)
        priority[self.problem.topological] = start
        timetable = list_schedule(self.problem, priority)
        if timetable is not None:
            offer(self.problem, self.bracket, to_schedule(self.problem, timetable, NAME), NAME)


SWITCHED_ON = {"prices": True}

FORMULATION = Formulation(
    name=NAME,
    summary="column generation over schedules of workflows: the linear program that the bound by prices is dual to, "
    "and schedules from its columns",
    citation="G. B. Dantzig, P. Wolfe, Decomposition principle for linear programs, Operations Research 8 (1960)",
    solve=solve,
    exact=False,
    solvers=("HiGHS",),
    defaults=SWITCHED_ON,
    switches={"prices": "begins at what the search for prices finds in a share of the time (on)"},
)
