"""Positional MILP: which call is the k-th on a prefill instance (Wagner 1959; rank-based in Ku and Beck 2016).

Each prefill instance has as many positions as there are calls that can use it, filled from the first on. A position has
a start of its own, which is that of the call in it; positions follow one another by the time that their calls take, so
prefills are kept apart without a big M. Big Ms link a call to its position alone.
"""

from __future__ import annotations

import numpy as np
import pulp

from solvers.exact.milp.backends import BACKENDS
from solvers.exact.milp.continuous_time import Array, ContinuousTime
from solvers.exact.milp.drive import solve_model
from solvers.exact.milp.model import MODEL_FORMATS
from solvers.exact.milp.tuning import TUNING, Tuning
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import Bracket
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome
from solvers.schedules.timetable import Timetable


class Positional(ContinuousTime):
    """The model: binaries ``place`` for (c, i, k), 1 where c is the k-th on i, and ``time`` of (i, k), seconds."""

    name = "positional"

    def sequence_prefills(self) -> None:
        """One call at a time on a prefill instance: the next position starts when the one before has ended (M11)."""
        problem, windows = self.problem, self.windows
        usable: Array = np.any(windows.allowed, axis=2)
        users = [np.flatnonzero(usable[:, i]).tolist() for i in range(problem.prefill.shape[1])]
        self.lp.expect(9.0 * sum(len(calls) ** 2 for calls in users))
        self.place: dict[tuple[int, int, int], pulp.LpVariable] = {}
        self.time: dict[tuple[int, int], pulp.LpVariable] = {}
        for i, calls in enumerate(users):
            if calls:
                self._positions(i, calls)

    def load_sequence(self, timetable: Timetable) -> None:
        """Each call at its place; what is empty starts where the last call ends."""
        ends = timetable.prefilled(self.problem)
        for rank in self.place.values():
            rank.varValue = 0.0
        for i in range(self.problem.prefill.shape[1]):
            calls = np.flatnonzero(timetable.prefill == i)
            calls = calls[np.argsort(timetable.start[calls], kind="stable")]
            for k, c in enumerate(calls.tolist()):
                self.place[c, i, k].varValue = 1.0
            for (j, k), time in self.time.items():
                if j == i:
                    after = float(ends[calls[-1]]) if len(calls) else float(time.lowBound)
                    time.varValue = float(timetable.start[calls[k]]) if k < len(calls) else after

    def _positions(self, i: int, calls: list[int]) -> None:
        """The positions of one instance, and the starts of the calls in them."""
        windows, seconds = self.windows, self.problem.prefill[:, i]
        latest = np.maximum(windows.latest_start_on[:, i], windows.head)
        low = float(windows.head[calls].min())
        high = float((latest + seconds)[calls].max())
        before: tuple[pulp.LpVariable, pulp.LpAffineExpression, pulp.LpAffineExpression] | None = None
        for k in range(len(calls)):
            self.lp.check()
            time = self.time[i, k] = self.lp.add_variable(f"time_{i}_{k}", low, high)
            here = {c: self.lp.add_variable(f"rank_{c}_{i}_{k}", 0, 1, pulp.LpInteger) for c in calls}
            self.place.update({(c, i, k): rank for c, rank in here.items()})
            taken = pulp.lpSum(here.values())
            self.lp += taken <= 1
            self.lp += time >= pulp.lpSum(rank * float(windows.head[c]) for c, rank in here.items())
            self.lp += time <= high + pulp.lpSum(rank * float(latest[c] - high) for c, rank in here.items())
            if before is not None:
                last, filled, work = before
                self.lp += taken <= filled
                self.lp += time >= last + work
            before = time, taken, pulp.lpSum(rank * float(seconds[c]) for c, rank in here.items())
            for c, rank in here.items():
                self.lp += self.start[c] >= time - float(high - windows.head[c]) * (1 - rank)
                self.lp += self.start[c] <= time + float(windows.latest_start[c] - low) * (1 - rank)
        for c in calls:
            self.lp += pulp.lpSum(self.place[c, i, k] for k in range(len(calls))) == self.assignment.x[c][i]


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = TUNING) -> Outcome:
    """Solve the positional model."""
    return solve_model("milp_positional", Positional, problem, bracket, options, tuning)


FORMULATION = Formulation(
    name="milp_positional",
    summary="MILP in continuous time with a binary for which call is the k-th on a prefill instance",
    citation="H. M. Wagner, An integer linear-programming model for machine scheduling, Naval Research Logistics "
    "Quarterly 6 (1959); as rank-based model: W.-Y. Ku, J. C. Beck, Computers & Operations Research 73 (2016)",
    solve=solve,
    solvers=tuple(BACKENDS),
    model_formats=MODEL_FORMATS,
)
