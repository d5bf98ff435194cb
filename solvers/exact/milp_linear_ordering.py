"""Assignment with one linear order of all calls, in continuous time (Dyer and Wolsey 1990, with assignment).

All prefills stand in one order, that of their starts, wherever they run: a binary for each pair of calls, and for three
calls transitivity, a before b and b before c and c before a being impossible (Grötschel, Jünger and Reinelt 1984). On
which instance c goes before d is said with a third index, z_cdi: at most the order, and for two calls on i one way or
the other. In z, what a machine does before a call is linear, without a big M:

- *Before d.* Let h be at most the head of d. The calls on the instance of d that go before it and have heads of at
  least h are done one after another between h and s_d; so s_d >= h + sum of P_ci z_cdi over them. Where there are none,
  s_d is at least its head, h or more.
- *After c.* Let q be at least the latest end of the prefill of c. The calls after it that end by q at the latest are
  done between its end and q; so s_c + P_c + sum of P_di z_cdi over them <= q.

Transitivity and these rows hold for every schedule and are not needed for exactness, as times say the rest; they are
there from the start, since of the solvers at hand one alone takes rows while it searches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import combinations

import numpy as np
import pulp

from solvers.exact.milp.backends import BACKENDS
from solvers.exact.milp.continuous_time import Array, ContinuousTime, ranks
from solvers.exact.milp.drive import solve_model
from solvers.exact.milp.model import MODEL_FORMATS, NO_LIMITS, Limits
from solvers.exact.milp.time_windows import Windows
from solvers.exact.milp.tuning import TUNING, Tuning
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import Bracket
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome
from solvers.schedules.timetable import Timetable

MOST = 6  # rows of work before a call, and after it


class LinearOrdering(ContinuousTime):
    """The model: ``order``, 1 where c is before d for c < d, and ``on`` for (c, d, i), 1 where that is so on i.

    Parameters
    ----------
    transitivity, work : bool
        Whether those rows are there.
    """

    name = "linear_ordering"

    def __init__(
        self,
        problem: OfflineProblem,
        objective: Objective,
        windows: Windows,
        limits: Limits = NO_LIMITS,
        transitivity: bool = True,
        work: bool = True,
    ) -> None:
        self.transitivity, self.work = transitivity, work
        super().__init__(problem, objective, windows, limits)

    def sequence_prefills(self) -> None:
        """Of two calls on a prefill instance one ends before the other starts, in the order of all (M11)."""
        self.order: dict[tuple[int, int], pulp.LpVariable] = {}
        self.on: dict[tuple[int, int, int], pulp.LpVariable] = {}
        for c, d in self.unordered():
            self.order[c, d] = self.lp.add_variable(f"order_{c}_{d}", 0, 1, pulp.LpInteger)
        self._orders_on_instances()
        self._one_ends_before_the_other_starts()
        if self.transitivity:
            self._no_circles()
        if self.work:
            self._work_before()
            self._work_after()

    def load_sequence(self, timetable: Timetable) -> None:
        """The order of the starts, and of those on one instance."""
        started = ranks(timetable.start)
        for (c, d), order in self.order.items():
            order.varValue = float(started[c] < started[d])
        for (c, d, i), on in self.on.items():
            on.varValue = float(timetable.prefill[c] == timetable.prefill[d] == i and started[c] < started[d])

    def _before(self, c: int, d: int) -> pulp.LpAffineExpression:
        """1 where c is before d in the order of all, which precedence decides for some."""
        if (c, d) in self.order:
            return pulp.LpAffineExpression([(self.order[c, d], 1)])
        if (d, c) in self.order:
            return 1 - self.order[d, c]
        return pulp.LpAffineExpression(constant=float(c in self.ancestors[d]))

    def _orders_on_instances(self) -> None:
        """Two calls on one instance are there in one way or the other, of those that are in time for both."""
        problem, windows = self.problem, self.windows
        latest = windows.latest_start_on
        usable: Array = np.any(windows.allowed, axis=2)
        for c, d in self.order:
            for i in np.flatnonzero(usable[c] & usable[d]).tolist():
                ways = [(e, f) for e, f in ((c, d), (d, c)) if windows.head[e] + problem.prefill[e, i] <= latest[f, i]]
                for e, f in ways:
                    self.on[e, f, i] = self.lp.add_variable(f"on_{e}_{f}_{i}", 0, 1)
                both = self.assignment.x[c][i] + self.assignment.x[d][i] - 1
                self.lp += pulp.lpSum(self.on[e, f, i] for e, f in ways) >= both

    def _one_ends_before_the_other_starts(self) -> None:
        """Where c is before d on some instance, which the order of all lets through, its prefill ends first."""
        windows = self.windows
        for c, d in self._pairs():
            together = pulp.lpSum(self.on[c, d, i] for i in self._machines(c, d))
            self.lp += together <= self._before(c, d)
            slack = max(float(windows.latest_prefilled[c] - windows.head[d]), 0.0)
            ended = self.start[c] + self.assignment.prefill_seconds(c)
            self.lp += self.start[d] >= ended - slack * (1 - together)

    def _no_circles(self) -> None:
        """No three calls go round in a circle."""
        for a, b, c in combinations(range(self.problem.calls), 3):
            self.lp.check()
            for x, y, z in ((a, b, c), (a, c, b)):
                around = self._before(x, y) + self._before(y, z) + self._before(z, x)
                if len(around) > 1 and around.constant + sum(max(weight, 0) for weight in around.values()) > 2:
                    self.lp += around <= 2

    def _work_before(self) -> None:
        """What is done on the instance of a call before it starts."""
        head = self.windows.head
        for d in range(self.problem.calls):
            others = sorted({c for c, e in self._pairs() if e == d})
            for since in np.unique(head[head <= head[d]])[-MOST:].tolist():
                done = [c for c in others if head[c] >= since]
                if done:
                    work = pulp.lpSum(self._work(c, d, c) for c in done)
                    self.lp += self.start[d] >= since + work

    def _work_after(self) -> None:
        """What is done on the instance of a call after it has ended."""
        latest = self.windows.latest_prefilled
        for c in range(self.problem.calls):
            others = sorted({d for e, d in self._pairs() if e == c})
            for until in np.unique(latest[latest >= latest[c]])[:MOST].tolist():
                done = [d for d in others if latest[d] <= until]
                if done:
                    work = pulp.lpSum(self._work(c, d, d) for d in done)
                    self.lp += self.start[c] + self.assignment.prefill_seconds(c) + work <= until

    def _work(self, c: int, d: int, whose: int) -> pulp.LpAffineExpression:
        """Seconds of the prefill of one of them, where c is before d on its instance."""
        return pulp.lpSum(self.on[c, d, i] * float(self.problem.prefill[whose, i]) for i in self._machines(c, d))

    def _machines(self, c: int, d: int) -> list[int]:
        return [i for i in range(self.problem.prefill.shape[1]) if (c, d, i) in self.on]

    def _pairs(self) -> Iterator[tuple[int, int]]:
        """Ordered pairs that may be on one instance that way round."""
        return iter(dict.fromkeys((c, d) for c, d, _ in self.on))


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = TUNING) -> Outcome:
    """Solve the linear-ordering model."""
    on = SWITCHED_ON | options.extra
    build = partial(LinearOrdering, transitivity=on["transitivity"], work=on["work"])
    return solve_model("milp_linear_ordering", build, problem, bracket, options, tuning)


SWITCHED_ON = {"transitivity": True, "work": True}

FORMULATION = Formulation(
    name="milp_linear_ordering",
    summary="MILP in continuous time with one linear order of all calls, and what is done on an instance in it",
    citation="M. E. Dyer, L. A. Wolsey, Formulating the single machine sequencing problem with release dates, Discrete "
    "Applied Mathematics 26 (1990); M. Grötschel, M. Jünger, G. Reinelt, Operations Research 32 (1984)",
    solve=solve,
    solvers=tuple(BACKENDS),
    model_formats=MODEL_FORMATS,
    defaults=SWITCHED_ON,
    switches={
        "transitivity": "no three calls go round in a circle (on)",
        "work": "what is done on an instance before and after a call (on)",
    },
)
