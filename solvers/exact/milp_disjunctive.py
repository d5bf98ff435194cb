"""Disjunctive MILP: who goes before whom, in continuous time (Manne 1960, with assignment)."""

from __future__ import annotations

import numpy as np
import pulp

from solvers.exact.milp.backends import BACKENDS
from solvers.exact.milp.continuous_time import Array, ContinuousTime, Pairs, ranks
from solvers.exact.milp.drive import solve_model
from solvers.exact.milp.model import MODEL_FORMATS
from solvers.exact.milp.tuning import TUNING, Tuning
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import Bracket
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome
from solvers.schedules.timetable import Timetable


class Disjunctive(ContinuousTime):
    """The model: a binary ``first`` for pairs of calls, 1 where the prefill of c ends before that of d starts."""

    name = "disjunctive"

    def sequence_prefills(self) -> None:
        """Of two calls on a prefill instance one ends before the other starts, in an order in time for both (M11)."""
        self.first: Pairs = {}
        problem, windows = self.problem, self.windows
        latest = windows.latest_start_on
        usable: Array = np.any(windows.allowed, axis=2)
        for c, d in self.unordered():
            for i in np.flatnonzero(usable[c] & usable[d]):
                orders = [
                    self.pair("first", e, f)
                    for e, f in ((c, d), (d, c))
                    if windows.head[e] + problem.prefill[e, i] <= latest[f, i]
                ]
                # where windows do not even meet, times say it all
                if not any(latest[e, i] + problem.prefill[e, i] <= windows.head[f] for e, f in ((c, d), (d, c))):
                    both = self.assignment.x[c][i] + self.assignment.x[d][i] - 1
                    self.lp += pulp.lpSum(orders) >= both
            if (c, d) in self.first and (d, c) in self.first:
                self.lp += self.first[c, d] + self.first[d, c] <= 1
        for (c, d), before in self.first.items():
            slack = max(float(windows.latest_prefilled[c] - windows.head[d]), 0.0)
            ended = self.start[c] + self.assignment.prefill_seconds(c)
            self.lp += self.start[d] >= ended - slack * (1 - before)

    def load_sequence(self, timetable: Timetable) -> None:
        """``first`` where both are on one instance, in the order of their starts."""
        started = ranks(timetable.start)
        for (c, d), variable in self.first.items():
            variable.varValue = float(timetable.prefill[c] == timetable.prefill[d] and started[c] < started[d])


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = TUNING) -> Outcome:
    """Solve the disjunctive model."""
    return solve_model("milp_disjunctive", Disjunctive, problem, bracket, options, tuning)


FORMULATION = Formulation(
    name="milp_disjunctive",
    summary="MILP in continuous time with a binary for who goes before whom",
    citation="A. S. Manne, On the job-shop scheduling problem, Operations Research 8 (1960)",
    solve=solve,
    solvers=tuple(BACKENDS),
    model_formats=MODEL_FORMATS,
)
