"""The time-indexed model on one grid, whatever its variables say of a start: when, whether by now, or what is running.

Periods are coarse, so resources are counted in whole periods with durations rounded down, which is a relaxation (see
``solvers.problem.ticks``). Releases, precedence and completions stay in real time, in continuous variables that lie in
the period that the start says. So the bound holds in real time on any grid. Where a timetable makes use of the
rounding, the calls that then overlap in real time are forbidden to do so, and the model is solved again; that is exact
in the end.

The variables of a start are a class of ``Starts``: pulses, steps or on/off. Each is turned into each other by a linear
bijection, so that on one grid the linear relaxations are equal (C. Artigues, On the strength of time-indexed
formulations for the resource-constrained project scheduling problem, Operations Research Letters 45, 2017); presolve,
branching and the number of nonzeros are not. Precedence is said by the sums of the periods alone, in real time
(aggregated), or period by period as well (disaggregated), which is never weaker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pulp

from solvers.exact.milp.assignment import in_turn
from solvers.exact.milp.drive import solve_model
from solvers.exact.milp.energy import decode_cuts, prefill_cuts
from solvers.exact.milp.forbidden import ForbiddenSets
from solvers.exact.milp.leaving_out import LeavingOut
from solvers.exact.milp.model import NO_LIMITS, LimitedProblem, Limits
from solvers.exact.milp.modes import decode_modes
from solvers.exact.milp.time_windows import Windows
from solvers.exact.milp.tuning import Tuning
from solvers.exact.milp.value import Value
from solvers.problem.bracket import Bracket
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome
from solvers.problem.ticks import Ticks
from solvers.schedules.timetable import Timetable

Array = np.ndarray[Any, Any]
Terms = Sequence[tuple[pulp.LpVariable | None, float]]
SWITCHES = {"disaggregated": "precedence tick by tick besides the sums (on)"}
SAME_TIME = 1e-9  # seconds; what rounding puts between two events that are one


class Starts:
    """The ticks in which one thing can start, if it does.

    Parameters
    ----------
    first, last : int
        Ticks; there are none where ``last < first``.
    length : int
        Whole ticks that it takes.

    Attributes
    ----------
    begun : list of pulp.LpVariable
        Of each tick, 1 where it has started by then. Sums in variables of their own keep the rows short: written out
        they are as long as the windows.
    """

    begun: list[pulp.LpVariable]

    def __init__(self, lp: pulp.LpProblem, name: str, first: int, last: int, length: int) -> None:
        self.first, self.last, self.length = first, last, length
        self.ticks = range(first, last + 1)
        self.declare(lp, name)

    def declare(self, lp: pulp.LpProblem, name: str) -> None:
        """Add the variables, ``begun`` among them, and what makes them those of one start at most."""
        raise NotImplementedError

    def load(self, tick: int | None) -> None:
        """Values for a start in ``tick``, or for none."""
        for t, begun in zip(self.ticks, self.begun, strict=True):
            begun.varValue = float(tick is not None and t >= tick)

    def when(self, seconds: float) -> Terms:
        """The tick in which it starts, times ``seconds``; 0 where it does not start."""
        pairs = ((self.by(t), self.by(t - 1), t * seconds) for t in self.ticks)
        return [term for now, before, at in pairs for term in ((now, at), (before, -at))]

    def running(self, tick: int, ticks: int) -> Terms:
        """1 in the ticks after its start, that among them, as many as it is said to take."""
        return [(self.by(tick), 1), (self.by(tick - ticks), -1)]

    def by(self, tick: int) -> pulp.LpVariable | None:
        """1 where it has started in ``tick`` or before; None where it cannot have."""
        return self.begun[min(tick, self.last) - self.first] if self.ticks and tick >= self.first else None

    @property
    def chosen(self) -> pulp.LpAffineExpression:
        """1 where it starts at all."""
        return sum_of([(self.by(self.last), 1)])

    @property
    def taken(self) -> float:
        """``chosen`` in the values of the variables."""
        return (self.begun[-1].varValue or 0.0) if self.begun else 0.0


class TimeIndexed:
    """The model on one grid.

    Variables: starts x (of the prefill of c on i) and y (of the stay of c in mode k, with its admission), and the
    start s_c and admission a_c in seconds within their ticks.

    Parameters
    ----------
    starts : type of Starts
    disaggregated : bool
        Say precedence tick by tick as well, not in the sums alone (Christofides, Alvarez-Valdes and Tamarit 1987).
    """

    exact = False

    def __init__(
        self,
        problem: OfflineProblem,
        objective: Objective,
        windows: Windows,
        ticks: Ticks,
        starts: type[Starts],
        disaggregated: bool = True,
        forbidden: ForbiddenSets | None = None,
        limits: Limits = NO_LIMITS,
    ) -> None:
        self.problem, self.windows, self.ticks, self.starts = problem, windows, ticks, starts
        self.forbidden = ForbiddenSets(problem) if forbidden is None else forbidden
        self.lp = LimitedProblem("time_indexed", limits)
        self.leaving_out = LeavingOut(self.lp, windows)
        kept = self.leaving_out.kept
        self.kept = [kept[w] for w in problem.workflow]
        self.hold = problem.hold
        self.modes = [decode_modes(self.hold[c]) for c in range(problem.calls)]
        self.x = [self._prefill_starts(c) for c in range(problem.calls)]
        self.y = [self._admission_starts(c) for c in range(problem.calls)]
        soonest = windows.earliest_admission
        self.start = [self._within("s", c, self.x[c], float(windows.head[c])) for c in range(problem.calls)]
        self.admitted = [self._within("a", c, self.y[c], float(soonest[c])) for c in range(problem.calls)]
        self._every_call_once()
        self._modes_follow_prefill()
        self._precedence()
        if disaggregated:
            self._precedence_by_tick()
        self._prefill_one_at_a_time()
        self._decode_capacities()
        self._identical_in_turn()
        self._energy()
        self.completed = [self.admitted[c] + self._hold_seconds(c) for c in range(problem.calls)]
        self.before: dict[tuple[str, int, int], pulp.LpVariable] = {}
        self._forbidden_prefills()
        self._forbidden_decodes()
        self.value = Value(self.lp, problem, objective, windows, self.completed, self.leaving_out)

    def load(self, timetable: Timetable) -> None:
        """Give every variable its value in that timetable."""
        timetable = in_turn(self.problem, timetable)
        for c in range(self.problem.calls):
            self.start[c].varValue, self.admitted[c].varValue = float(timetable.start[c]), float(timetable.admitted[c])
            for i, one in enumerate(self.x[c]):
                one.load(int(self.ticks.down(timetable.start[c])) if timetable.prefill[c] == i else None)
            for mode, one in zip(self.modes[c], self.y[c], strict=True):
                taken = timetable.decode[c] == mode.decode and timetable.prefill[c] in mode.sources
                one.load(int(self.ticks.down(timetable.admitted[c])) if taken else None)
        ends = {"prefill": timetable.prefilled(self.problem), "decode": timetable.completed(self.problem)}
        starts = {"prefill": timetable.start, "decode": timetable.admitted}
        for (stage, c, d), before in self.before.items():
            before.varValue = float(ends[stage][c] <= starts[stage][d] + SAME_TIME)
        self.value.load(timetable.workflow_completed(self.problem))

    def timetable(self) -> Timetable:
        """The timetable that the values of the variables say."""
        modes = [int(np.argmax([starts.taken for starts in row])) for row in self.y]
        timetable = Timetable(
            prefill=np.array([int(np.argmax([starts.taken for starts in row])) for row in self.x]),
            decode=np.array([self.modes[c][k].decode for c, k in enumerate(modes)]),
            start=np.array([s.varValue for s in self.start]),
            admitted=np.array([a.varValue for a in self.admitted]),
        )
        return self.leaving_out.completed(timetable)

    def learn(self, timetable: Timetable) -> bool:
        """Note what the timetable does that no schedule can; whether there was anything that was not known."""
        return self.forbidden.learn(timetable)

    def _prefill_starts(self, c: int) -> list[Starts]:
        latest, seconds = self.windows.latest_start_on[c], self.problem.prefill[c]
        return [self._starts(f"x_{c}_{i}", self.windows.head[c], latest[i], seconds[i]) for i in range(len(latest))]

    def _admission_starts(self, c: int) -> list[Starts]:
        windows, rows = self.windows, []
        for k, mode in enumerate(self.modes[c]):
            sources = [i for i in mode.sources if windows.allowed[c, i, mode.decode]]
            earliest = windows.head[c] + self.problem.prefill[c, sources].min(initial=math.inf)
            seconds = self.hold[c][mode.pair]
            rows.append(self._starts(f"y_{c}_{k}", earliest, windows.due[c] - seconds, seconds))
        return rows

    def _starts(self, name: str, earliest: float, latest: float, seconds: float) -> Starts:
        """The starts of a window; none where it is not there, which an infinite end says."""
        if not (math.isfinite(earliest) and math.isfinite(latest)):
            return self.starts(self.lp, name, 0, -1, 0)
        first, last, length = (int(self.ticks.down(time)) for time in (earliest, latest, seconds))
        return self.starts(self.lp, name, first, last, length)

    def _within(self, name: str, c: int, rows: list[Starts], earliest: float) -> pulp.LpVariable:
        """A time in seconds within the tick of the start; that may begin before the window does."""
        variable = self.lp.add_variable(f"{name}_{c}", 0)
        self.lp += variable >= self.kept[c] * earliest
        tick = sum_of([term for row in rows for term in row.when(self.ticks.seconds)])
        self.lp += variable >= tick
        self.lp += variable <= tick + self.ticks.seconds
        return variable

    def _every_call_once(self) -> None:
        """Every call has one prefill and one admission (M10)."""
        for stage in (self.x, self.y):
            for rows, kept in zip(stage, self.kept, strict=True):
                self.lp += pulp.lpSum(row.chosen for row in rows) == kept

    def _modes_follow_prefill(self) -> None:
        """A mode that is for some prefill instances needs the prefill to be on one of them (M14)."""
        for c, modes in enumerate(self.modes):
            for k, mode in enumerate(modes):
                sources = [i for i in mode.sources if self.windows.allowed[c, i, mode.decode]]
                if len(sources) < len(self.x[c]):
                    self.lp += self.y[c][k].chosen <= pulp.lpSum(self.x[c][i].chosen for i in sources)

    def _precedence(self) -> None:
        """Prefill, admission, completion, delay, prefill of the child: each waits for the one before, in seconds.

        Rules M3, M12 and M17.
        """
        for c, parents in enumerate(self.problem.parents):
            self.lp += self.admitted[c] >= self.start[c] + self._prefill_seconds(c)
            for p in parents:
                delay = self.kept[c] * float(self.problem.delay[c])
                self.lp += self.start[c] >= self.admitted[p] + self._hold_seconds(p) + delay

    def _precedence_by_tick(self) -> None:
        """Up to any tick, what has begun has its predecessor far enough behind it."""
        problem, down = self.problem, self.ticks.down
        for c, parents in enumerate(problem.parents):
            self._behind(self.x[c], [int(p) for p in down(problem.prefill[c])], self.y[c])
            for p in parents:
                stays = [self.hold[p][mode.pair] + problem.delay[c] for mode in self.modes[p]]
                self._behind(self.y[p], [int(lag) for lag in down(np.array(stays))], self.x[c])

    def _behind(self, before: list[Starts], lags: list[int], after: list[Starts]) -> None:
        last = max((row.last + lag for row, lag in zip(before, lags, strict=True) if row.ticks), default=0)
        for tick in sorted({t for row in after for t in row.ticks if t < last}):
            begun = [(row.by(tick), 1) for row in after]
            ended = [(row.by(tick - lag), -1) for row, lag in zip(before, lags, strict=True)]
            self.lp += sum_of(begun + ended) <= 0

    def _prefill_one_at_a_time(self) -> None:
        """In every tick a prefill instance runs at most one call (M11)."""
        for i in range(self.problem.prefill.shape[1]):
            seconds = self.ticks.down(self.problem.prefill[:, i])
            self._capacity([(rows[i], int(seconds[c]), 1) for c, rows in enumerate(self.x)], 1)

    def _decode_capacities(self) -> None:
        """In every tick what a decode instance holds fits in its KV cache and in its batch (M13)."""
        problem = self.problem
        stays = [
            (c, mode.decode, self.y[c][k], int(self.ticks.down(self.hold[c][mode.pair])))
            for c, modes in enumerate(self.modes)
            for k, mode in enumerate(modes)
        ]
        for j, (room, slots) in enumerate(zip(problem.capacity, problem.max_batch, strict=True)):
            here = [(c, row, ticks) for c, at, row, ticks in stays if at == j]
            self._capacity([(row, ticks, int(problem.kv[c])) for c, row, ticks in here], int(room))
            self._capacity([(row, ticks, 1) for _, row, ticks in here], int(slots))

    def _capacity(self, stays: list[tuple[Starts, int, int]], most: int) -> None:
        """Stays of so many ticks that take so much never take more than ``most``.

        Stays that overlap all do so in the tick in which the last of them starts, so only such ticks are looked at.
        """
        for tick in sorted({t for row, ticks, _ in stays if ticks for t in row.ticks}):
            self.lp.check()
            active = [
                (row, ticks, demand)
                for row, ticks, demand in stays
                if ticks and row.ticks and row.first <= tick < row.last + ticks
            ]
            if sum(demand for _, _, demand in active) > most:
                terms = [(v, sign * demand) for row, ticks, demand in active for v, sign in row.running(tick, ticks)]
                self.lp += sum_of(terms) <= most

    def _identical_in_turn(self) -> None:
        """Of identical instances, the next one is used only by calls after one on the instance before it."""
        modes = list(enumerate(self.modes))
        groups = [
            [[self.x[c][i].chosen for c, _ in modes] for i in group] for group in self.problem.prefill_types.groups
        ]
        groups += [
            [[self._on_decode(c, j) for c, _ in modes] for j in group] for group in self.problem.decode_types.groups
        ]
        for rows in groups:
            for before, after in pairwise(rows):
                for c, on in enumerate(after):
                    self.lp += on <= pulp.lpSum(before[:c])

    def _on_decode(self, c: int, j: int) -> pulp.LpAffineExpression:
        """1 where c goes to decode instance j."""
        return pulp.lpSum(row.chosen for mode, row in zip(self.modes[c], self.y[c], strict=True) if mode.decode == j)

    def _energy(self) -> None:
        """Energy cuts over the instances that are chosen."""
        for rows, cuts in ((self.x, prefill_cuts(self.windows)), (self.y, decode_cuts(self.windows, self.modes))):
            for cut in cuts:
                self.lp += pulp.lpSum(rows[c][k].chosen * weight for (c, k), weight in cut.weight.items()) <= cut.most

    def _forbidden_prefills(self) -> None:
        """Of two calls that overlapped, one ends before the other starts where both are on the instance."""
        for i, (c, d) in self.forbidden.prefill:
            either = self._before("prefill", c, d) + self._before("prefill", d, c)
            self.lp += either >= self.x[c][i].chosen + self.x[d][i].chosen - 1

    def _forbidden_decodes(self) -> None:
        """Of a set that is too much, one completes before another is admitted where all are on the instance."""
        for j, members in self.forbidden.decode:
            apart = pulp.lpSum(self._before("decode", c, d) for c, d in permutations(members, 2))
            self.lp += apart >= pulp.lpSum(self._on_decode(c, j) for c in members) - (len(members) - 1)

    def _before(self, stage: str, c: int, d: int) -> pulp.LpVariable:
        """1 only where c is off its instance when d starts on its own."""
        key = (stage, c, d)
        if key not in self.before:
            windows = self.windows
            if stage == "prefill":
                start, end = self.start[d], self.start[c] + self._prefill_seconds(c)
                slack = windows.latest_prefilled[c] - windows.head[d]
            else:
                start, end = self.admitted[d], self.completed[c]
                slack = windows.due[c] - windows.earliest_admission[d]
            self.before[key] = self.lp.add_variable(f"{stage}_{c}_before_{d}", 0, 1, pulp.LpInteger)
            # times of a workflow that is left out may be anything from 0 on
            least = slack if self.windows.spare in (None, 0) else max(windows.due[c], windows.latest_prefilled[c])
            self.lp += start >= end - max(float(least), 0.0) * (1 - self.before[key])
        return self.before[key]

    def _prefill_seconds(self, c: int) -> pulp.LpAffineExpression:
        return pulp.lpSum(row.chosen * float(p) for row, p in zip(self.x[c], self.problem.prefill[c], strict=True))

    def _hold_seconds(self, c: int) -> pulp.LpAffineExpression:
        rows = zip(self.modes[c], self.y[c], strict=True)
        return pulp.lpSum(row.chosen * float(self.hold[c][mode.pair]) for mode, row in rows)


def grid(problem: OfflineProblem, windows: Windows, starts: int) -> Ticks:
    """The tick that gives a model of about that many starts."""
    hold = problem.hold
    modes = [(c, mode) for c in range(problem.calls) for mode in decode_modes(hold[c])]
    machines = problem.prefill.shape[1]
    width = machines * (windows.latest_start - windows.head).clip(0.0).sum()
    width += sum(max(windows.latest_admission[c] - windows.earliest_admission[c], 0.0) for c, _ in modes)
    free = max(starts - machines * problem.calls - len(modes), starts // 4)  # each window is in one tick at least
    return Ticks(max(float(width) / free, float(windows.deadline.max()) * 1e-7))


def solve_on_grids(
    name: str, starts: type[Starts], problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning
) -> Outcome:
    """Solve on a coarse grid, again and again with what the last timetable did in the rounding forbidden."""
    forbidden = ForbiddenSets(problem)
    disaggregated = options.extra.get("disaggregated", True)

    def build(
        problem: OfflineProblem, objective: Objective, windows: Windows, limits: Limits = NO_LIMITS
    ) -> TimeIndexed:
        ticks = grid(problem, windows, tuning.pulses_a_call * problem.calls)
        return TimeIndexed(problem, objective, windows, ticks, starts, disaggregated, forbidden, limits)

    return solve_model(name, build, problem, bracket, options, tuning)


def sum_of(terms: Terms) -> pulp.LpAffineExpression:
    """Sum of coefficient times variable, without those that are None; variables may come up more than once."""
    total: dict[pulp.LpVariable, float] = {}
    for variable, coefficient in terms:
        if variable is not None:
            total[variable] = total.get(variable, 0.0) + coefficient
    return pulp.LpAffineExpression(total)
