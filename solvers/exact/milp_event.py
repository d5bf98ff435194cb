"""On/off event-based MILP: what is going on between two starts (Kone, Artigues, Lopez and Mongeau 2011).

An event is a start. Prefills and admissions each have a line of as many events as there are calls; a binary says that
a stay is on from one event of its line to the next. Between the lines time alone links: releases, delays and the way
from prefill to admission are in continuous start times, which takes the place of the precedence constraints of the
original. Modes are its other extension.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pulp

from solvers.exact.milp.assignment import Assignment, in_turn
from solvers.exact.milp.backends import BACKENDS
from solvers.exact.milp.drive import solve_model
from solvers.exact.milp.leaving_out import LeavingOut
from solvers.exact.milp.model import MODEL_FORMATS, NO_LIMITS, LimitedProblem, Limits
from solvers.exact.milp.modes import decode_modes
from solvers.exact.milp.time_windows import Windows
from solvers.exact.milp.tuning import TUNING, Tuning
from solvers.exact.milp.value import Value
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import Bracket
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome
from solvers.schedules.timetable import Timetable

Array = np.ndarray[Any, Any]

SAME_TIME = 1e-9  # seconds; what rounding puts between two events that are one


class EventLine:
    """The events of one stage, and the stays that are on at each.

    Parameters
    ----------
    chosen : list (calls) of lists (modes) of pulp.LpVariable
        1 where the call takes the mode.
    seconds : list (calls) of lists (modes) of float
        How long a stay takes in the mode.
    earliest, latest : (N,) float arrays
        Window of each start, seconds.
    """

    def __init__(
        self,
        lp: LimitedProblem,
        name: str,
        chosen: list[list[pulp.LpVariable]],
        seconds: list[list[float]],
        earliest: Array,
        latest: Array,
    ) -> None:
        self.lp, self.chosen, self.seconds = lp, chosen, seconds
        self.low, self.high = earliest, np.maximum(earliest, latest)
        self.calls = range(len(chosen))
        self.events = range(len(chosen))
        low, high = float(self.low.min()), float(self.high.max())
        self.time = [lp.add_variable(f"{name}_t_{e}", low, high) for e in self.events]
        self.start = [lp.add_variable(f"{name}_{c}", float(self.low[c]), float(self.high[c])) for c in self.calls]
        self.on = [
            [
                [lp.add_variable(f"{name}_on_{c}_{k}_{e}", 0, 1, pulp.LpInteger) for e in self.events]
                for k in range(len(chosen[c]))
            ]
            for c in self.calls
        ]
        self._in_order()
        self._in_the_mode_chosen()
        self._without_gaps()
        self._long_enough()
        self._starts_are_events()

    def load(self, start: Array, taken: Array) -> None:
        """Values from the start and the mode of each call."""
        order = np.argsort(start, kind="stable")
        times = start[order]
        for e in self.events:
            self.time[e].varValue = float(times[e])
        for rank, c in enumerate(order):
            self.start[c].varValue = float(start[c])
            end = start[c] + self.seconds[c][taken[c]]
            for k, row in enumerate(self.on[c]):
                for e, on in enumerate(row):
                    during = e == rank or (e > rank and times[e] < end - SAME_TIME)
                    on.varValue = float(k == taken[c] and during)

    def _change(self, c: int, k: int, e: int) -> pulp.LpAffineExpression:
        """1 where the stay starts at the event, -1 where it is over by then."""
        row = self.on[c][k]
        return row[e] - (row[e - 1] if e else 0)

    def _in_order(self) -> None:
        """Events are in the order of time."""
        for e in self.events[1:]:
            self.lp += self.time[e] >= self.time[e - 1]

    def _in_the_mode_chosen(self) -> None:
        """Every stay is on at some event, in the mode that is chosen and in no other."""
        for c in self.calls:
            for k, chosen in enumerate(self.chosen[c]):
                self.lp += pulp.lpSum(self.on[c][k]) >= chosen
                for on in self.on[c][k]:
                    self.lp += on <= chosen

    def _without_gaps(self) -> None:
        """A stay is on once: nothing before it starts, nothing after it is over."""
        last = len(self.events)
        for c in self.calls:
            for k, row in enumerate(self.on[c]):
                for e in self.events[1:]:
                    self.lp += pulp.lpSum(row[:e]) <= e * (1 - self._change(c, k, e))
                    self.lp += pulp.lpSum(row[e:]) <= (last - e) * (1 + self._change(c, k, e))

    def _long_enough(self) -> None:
        """From the event at which a stay starts to the one by which it is over no less than its length passes."""
        for c in self.calls:
            for k, seconds in enumerate(self.seconds[c]):
                for e in self.events:
                    for f in self.events[e + 1 :]:
                        both = self._change(c, k, e) - self._change(c, k, f) - 1
                        self.lp += self.time[f] >= self.time[e] + both * float(seconds)

    def _starts_are_events(self) -> None:
        """The start of a stay is the time of the event from which it is on."""
        low, high = float(self.low.min()), float(self.high.max())
        for c in self.calls:
            for e in self.events:
                starts = pulp.lpSum(self._change(c, k, e) for k in range(len(self.on[c])))
                self.lp += self.start[c] - self.time[e] <= float(self.high[c] - low) * (1 - starts)
                self.lp += self.time[e] - self.start[c] <= float(high - self.low[c]) * (1 - starts)


class OnOffEvents:
    """The model: the assignment, a line of events for prefills and one for admissions, and what links them."""

    exact = True

    def __init__(
        self, problem: OfflineProblem, objective: Objective, windows: Windows, limits: Limits = NO_LIMITS
    ) -> None:
        self.problem = problem
        self.lp = LimitedProblem("on_off_events", limits)
        self.lp.expect(_entries(problem))
        self.leaving_out = LeavingOut(self.lp, windows)
        kept = self.leaving_out.kept
        self.kept = [kept[w] for w in problem.workflow]
        self.assignment = Assignment(self.lp, problem, windows, kept)
        self.assignment.break_symmetry(self.lp)
        self.assignment.cut(self.lp, windows)
        prefill = [[float(p) for p in row] for row in problem.prefill]
        modes, hold = self.assignment.modes, self.assignment.hold
        stays = [[float(hold[c][mode.pair]) for mode in row] for c, row in enumerate(modes)]
        self.prefills = EventLine(self.lp, "s", self.assignment.x, prefill, windows.head, windows.latest_start)
        self.admissions = EventLine(
            self.lp, "a", self.assignment.y, stays, windows.earliest_admission, windows.latest_admission
        )
        self.completed = [self.admissions.start[c] + self.assignment.hold_seconds(c) for c in range(problem.calls)]
        self._precedence()
        self._prefill_one_at_a_time()
        self._decode_capacities()
        self.value = Value(self.lp, problem, objective, windows, self.completed, self.leaving_out)

    def load(self, timetable: Timetable) -> None:
        """Give every variable its value in that timetable."""
        timetable = in_turn(self.problem, timetable)
        self.assignment.load(timetable)
        modes = [
            next(k for k, m in enumerate(row) if m.decode == timetable.decode[c] and timetable.prefill[c] in m.sources)
            for c, row in enumerate(self.assignment.modes)
        ]
        self.prefills.load(timetable.start, timetable.prefill)
        self.admissions.load(timetable.admitted, np.array(modes))
        self.value.load(timetable.workflow_completed(self.problem))

    def timetable(self) -> Timetable:
        """The timetable that the values of the variables say."""
        timetable = Timetable(
            prefill=self.assignment.prefill(),
            decode=self.assignment.decode(),
            start=np.array([s.varValue for s in self.prefills.start]),
            admitted=np.array([a.varValue for a in self.admissions.start]),
        )
        return self.leaving_out.completed(timetable)

    def learn(self, timetable: Timetable) -> bool:
        """Nothing: the model says it all."""
        return False

    def _precedence(self) -> None:
        """Prefill, admission, completion, delay, prefill of the child: each waits for the one before (M3, M12, M17)."""
        start, admitted = self.prefills.start, self.admissions.start
        for c, parents in enumerate(self.problem.parents):
            self.lp += admitted[c] >= start[c] + self.assignment.prefill_seconds(c)
            for p in parents:
                self.lp += start[c] >= self.completed[p] + self.kept[c] * float(self.problem.delay[c])

    def _prefill_one_at_a_time(self) -> None:
        """At every event a prefill instance has at most one call on (M11)."""
        for i in range(self.problem.prefill.shape[1]):
            for e in self.prefills.events:
                self.lp += pulp.lpSum(rows[i][e] for rows in self.prefills.on) <= 1

    def _decode_capacities(self) -> None:
        """At every event what a decode instance holds fits in its KV cache and in its batch (M13)."""
        problem, on = self.problem, self.admissions.on
        for j, (room, slots) in enumerate(zip(problem.capacity, problem.max_batch, strict=True)):
            here = [(c, k) for c, row in enumerate(self.assignment.modes) for k, m in enumerate(row) if m.decode == j]
            for e in self.admissions.events:
                if problem.kv.sum() > room:
                    self.lp += pulp.lpSum(on[c][k][e] * int(problem.kv[c]) for c, k in here) <= int(room)
                if problem.calls > slots:
                    self.lp += pulp.lpSum(on[c][k][e] for c, k in here) <= int(slots)


def _entries(problem: OfflineProblem) -> float:
    """About how many entries the model has: for each stay, pairs of events with six, and as many for no gaps."""
    choices = problem.prefill.shape[1] * problem.calls + sum(len(decode_modes(hold)) for hold in problem.hold)
    return 4.0 * choices * problem.calls**2


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = TUNING) -> Outcome:
    """Solve the event-based model."""
    return solve_model("milp_event", OnOffEvents, problem, bracket, options, tuning)


FORMULATION = Formulation(
    name="milp_event",
    summary="MILP over the order of starts: what is on from one start to the next",
    citation="O. Kone, C. Artigues, P. Lopez, M. Mongeau, Event-based MILP models for resource-constrained project "
    "scheduling problems, Computers & Operations Research 38 (2011)",
    solve=solve,
    solvers=tuple(BACKENDS),
    model_formats=MODEL_FORMATS,
)
