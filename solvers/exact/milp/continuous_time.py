"""What MILPs in continuous time share: all but how prefills on one instance are kept apart.

Starts and admissions are continuous. Capacity need only hold at admissions, since that is when use grows: of two calls
on one decode instance, one is gone or still counts when the other is admitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pulp

from solvers.exact.milp.assignment import Assignment, in_turn
from solvers.exact.milp.leaving_out import LeavingOut
from solvers.exact.milp.model import NO_LIMITS, LimitedProblem, Limits
from solvers.exact.milp.time_windows import Windows
from solvers.exact.milp.value import Value
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.schedules.timetable import Timetable

Array = np.ndarray[Any, Any]
Pairs = dict[tuple[int, int], pulp.LpVariable]

SAME_TIME = 1e-9  # seconds; what rounding puts between two events that are one


class ContinuousTime:
    """The model without what keeps prefills apart, which a formulation adds.

    Variables: start s_c of the prefill and admission a_c, seconds; the assignment; and for pairs of calls the binaries
    gone (c completes before d is admitted) and there (c is admitted no later than d and counts when d is admitted). A
    rank of each call breaks ties among admissions.
    """

    name = ""
    exact = True

    def __init__(
        self, problem: OfflineProblem, objective: Objective, windows: Windows, limits: Limits = NO_LIMITS
    ) -> None:
        self.problem, self.windows = problem, windows
        self.lp = LimitedProblem(self.name, limits)
        every = range(problem.calls)
        self.leaving_out = LeavingOut(self.lp, windows)
        kept = self.leaving_out.kept
        self.kept = [kept[w] for w in problem.workflow]
        self.assignment = Assignment(self.lp, problem, windows, kept)
        self.assignment.break_symmetry(self.lp)
        self.assignment.cut(self.lp, windows)
        self.start = [self._time("s", c, windows.head[c], windows.latest_start[c]) for c in every]
        self.admitted = [self._time("a", c, windows.earliest_admission[c], windows.latest_admission[c]) for c in every]
        self.completed = [self.admitted[c] + self.assignment.hold_seconds(c) for c in every]
        self.ancestors = _ancestors(problem)
        self.gone: Pairs = {}
        self.there: Pairs = {}
        self._release()
        self._prefill_before_admission()
        self.sequence_prefills()
        self._decode_orders()
        self._decode_ties()
        self._decode_capacities()
        self.value = Value(self.lp, problem, objective, windows, self.completed, self.leaving_out)

    def sequence_prefills(self) -> None:
        """Of two calls on a prefill instance one ends before the other starts (M11)."""
        raise NotImplementedError

    def load_sequence(self, timetable: Timetable) -> None:
        """Give the variables of ``sequence_prefills`` their values."""
        raise NotImplementedError

    def load(self, timetable: Timetable) -> None:
        """Give every variable its value in that timetable."""
        timetable = in_turn(self.problem, timetable)
        self.assignment.load(timetable)
        for c in range(self.problem.calls):
            self.start[c].varValue, self.admitted[c].varValue = float(timetable.start[c]), float(timetable.admitted[c])
        self.load_sequence(timetable)
        admitted = ranks(timetable.admitted)
        for c, rank in self.rank.items():
            rank.varValue = float(admitted[c])
        gone = timetable.completed(self.problem)[:, None] <= timetable.admitted[None, :] + SAME_TIME
        same = timetable.decode[:, None] == timetable.decode[None, :]
        for (c, d), variable in self.gone.items():
            variable.varValue = float(same[c, d] and gone[c, d])
        for (c, d), variable in self.there.items():
            variable.varValue = float(same[c, d] and not gone[c, d] and admitted[c] < admitted[d])
        self.value.load(timetable.workflow_completed(self.problem))

    def timetable(self) -> Timetable:
        """The timetable that the values of the variables say."""
        timetable = Timetable(
            prefill=self.assignment.prefill(),
            decode=self.assignment.decode(),
            start=np.array([s.varValue for s in self.start]),
            admitted=np.array([a.varValue for a in self.admitted]),
        )
        return self.leaving_out.completed(timetable)

    def learn(self, timetable: Timetable) -> bool:
        """Nothing: the model says it all."""
        return False

    def _time(self, name: str, c: int, low: float, high: float) -> pulp.LpVariable:
        return self.lp.add_variable(f"{name}_{c}", float(low), float(max(low, high)))

    def pair(self, name: str, c: int, d: int) -> pulp.LpVariable:
        """The binary of that name for c before d."""
        variables: Pairs = getattr(self, name)
        if (c, d) not in variables:
            variables[c, d] = self.lp.add_variable(f"{name}_{c}_{d}", 0, 1, pulp.LpInteger)
        return variables[c, d]

    def _release(self) -> None:
        """A prefill starts no earlier than a delay after the completion of every parent (M3, M17)."""
        for c, parents in enumerate(self.problem.parents):
            for p in parents:
                self.lp += self.start[c] >= self.completed[p] + self.kept[c] * float(self.problem.delay[c])

    def _prefill_before_admission(self) -> None:
        """A call is admitted no earlier than its prefill ends (M12)."""
        for c in range(self.problem.calls):
            self.lp += self.admitted[c] >= self.start[c] + self.assignment.prefill_seconds(c)

    def _decode_orders(self) -> None:
        """Of two calls on the same decode instance one is gone, or counts, when the other is admitted (M13)."""
        problem, windows = self.problem, self.windows
        usable: Array = np.any(windows.allowed, axis=1)
        whole = problem.prefill[:, :, None] + windows.hold
        soonest = windows.head[:, None] + whole.min(axis=1)
        last = windows.due[:, None] - windows.hold.min(axis=1)
        for c, d in self.unordered():
            for j in self._crowded():
                if not (usable[c, j] and usable[d, j]):
                    continue
                together = problem.max_batch[j] > 1 and problem.kv[c] + problem.kv[d] <= problem.capacity[j]
                ways = []
                for e, f in ((c, d), (d, c)):
                    if soonest[e, j] <= last[f, j]:
                        ways.append(self.pair("gone", e, f))
                    meet = (
                        windows.earliest_admission[e] <= last[f, j] and windows.earliest_admission[f] < windows.due[e]
                    )
                    if together and meet:
                        ways.append(self.pair("there", e, f))
                both = self.assignment.on_decode(c, j) + self.assignment.on_decode(d, j) - 1
                self.lp += pulp.lpSum(ways) >= both
            some = _sum(self.gone, (c, d), (d, c)) + _sum(self.there, (c, d), (d, c))
            if some:
                self.lp += some <= 1
        for (c, d), gone in self.gone.items():
            slack = max(float(windows.due[c] - windows.earliest_admission[d]), 0.0)
            self.lp += self.admitted[d] >= self.completed[c] - slack * (1 - gone)
        for (c, d), there in self.there.items():
            slack = max(float(windows.latest_admission[c] - windows.earliest_admission[d]), 0.0)
            self.lp += self.admitted[d] >= self.admitted[c] - slack * (1 - there)

    def _decode_ties(self) -> None:
        """Calls that are admitted at the same time count for each other in one order, not in a circle (M13)."""
        calls = sorted({c for pair in self.there for c in pair})
        self.rank = {c: self.lp.add_variable(f"rank_{c}", 0, self.problem.calls - 1) for c in calls}
        for (c, d), there in self.there.items():
            self.lp += self.rank[d] >= self.rank[c] + 1 - self.problem.calls * (1 - there)

    def _decode_capacities(self) -> None:
        """When a call is admitted, it and the calls that count then fit in the KV cache and in the batch (M13)."""
        problem = self.problem
        everything, roomy = int(problem.kv.sum()), problem.calls
        for d in range(problem.calls):
            there = {c: variable for (c, e), variable in self.there.items() if e == d}
            if not there:
                continue
            on = [self.assignment.on_decode(d, j) for j in range(len(problem.capacity))]
            room = pulp.lpSum(y * min(int(M), everything) for y, M in zip(on, problem.capacity, strict=True))
            slots = pulp.lpSum(y * min(int(B), roomy) for y, B in zip(on, problem.max_batch, strict=True))
            held = pulp.lpSum(v * int(problem.kv[c]) for c, v in there.items())
            self.lp += held + self.kept[d] * int(problem.kv[d]) <= room
            self.lp += pulp.lpSum(there.values()) + self.kept[d] <= slots

    def unordered(self) -> Iterator[tuple[int, int]]:
        """Pairs of calls that no precedence orders."""
        for c in range(self.problem.calls):
            self.lp.check()
            for d in range(c + 1, self.problem.calls):
                if c not in self.ancestors[d] and d not in self.ancestors[c]:
                    yield c, d

    def _crowded(self) -> list[int]:
        """Decode instances that could not hold everything at once."""
        problem = self.problem
        full = (problem.capacity < problem.kv.sum()) | (problem.max_batch < problem.calls)
        return [int(j) for j in np.flatnonzero(full)]


def _ancestors(problem: OfflineProblem) -> list[set[int]]:
    ancestors: list[set[int]] = [set() for _ in range(problem.calls)]
    for c in problem.topological:
        ancestors[c] = set(problem.parents[c]).union(*(ancestors[p] for p in problem.parents[c]))
    return ancestors


def ranks(times: Array) -> Array:
    """(N,) the place of each in the order of time."""
    return np.argsort(np.argsort(times, kind="stable"))


def _sum(variables: Pairs, *pairs: tuple[int, int]) -> pulp.LpAffineExpression:
    return pulp.lpSum(variables[pair] for pair in pairs if pair in variables)
