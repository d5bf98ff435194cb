"""Tasks, in whole ticks: is there a schedule whose objective is at most a target?

Every duration and every time from which something may happen is rounded down, which is a relaxation
(``solvers.problem.ticks``); limits on completions are rounded down too, and up by one tick for the rounding of floats:
a completion C <= d in real time has floor(C) <= floor(d). So where there is no solution, there is no schedule either.

Choco counts in 32 bits, and not all of its propagators look out for sums that are longer: with KV tokens times ticks it
called a model infeasible that has solutions. So products of a height and a time stay below ``LARGEST``, and the KV that
calls hold is said twice: exactly, as a sum over the calls that hold some when another one is admitted (a set of tasks
that is too large is so when the last of them is admitted), and in units that are coarse enough, calls rounded down and
capacity up, as a cumulative resource that propagates more.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.problem.objective import SLACK, Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.ticks import Ticks
from solvers.schedules.timetable import Timetable

Array = np.ndarray[Any, Any]

LARGEST = 2**30  # of what Choco adds up
LEAST_SECONDS = 0.01  # of a search; Choco takes no limit of 0
LARGEST_TIME = 2**24  # ticks, and tokens; Choco takes no number above 21,474,836


def ticks_for(problem: OfflineProblem, precision: float) -> Ticks:
    """Ticks of ``precision`` times the shortest H_w, or as much longer as 32 bits need."""
    longest = min(LARGEST_TIME, LARGEST // problem.calls**2)  # a batch holds no more calls than there are
    return Ticks(max(precision * float(problem.horizon.min()), problem.last_end / longest))


@dataclass(frozen=True)
class Times:
    """Variables of a call, in ticks, and the number of its pair of instances."""

    start: Any
    prefilled: Any
    admitted: Any
    completed: Any
    pair: Any


class TaskModel:
    """The model of one target.

    Parameters
    ----------
    problem : OfflineProblem
    objective : Objective
    target : float
        In real time; no schedule of a greater value is looked for.
    ticks : Ticks
    """

    def __init__(self, problem: OfflineProblem, objective: Objective, target: float, ticks: Ticks) -> None:
        from pychoco.model import Model

        self.problem, self.ticks = problem, ticks
        self.cp = Model()
        self.variables = self.constraints = 0
        self.horizon = int(ticks.down(problem.last_end)) + 1
        self.shortest = [int(ticks.down(problem.hold[c].min())) for c in range(problem.calls)]
        self.pairs = [list(zip(*np.nonzero(np.isfinite(problem.hold[c])), strict=True)) for c in range(problem.calls)]
        self.latest = self._latest(objective, target)
        self.decisions: list[Any] = []  # with these decided, the earliest times are a solution if there is one
        self.times: list[Times] = []
        self.prefill_length: list[Any] = []
        self.hold_length: list[Any] = []
        for c in range(problem.calls):
            self._call(c)
        self._precedences()
        self._prefills()
        self._rooms()
        if objective.kind != "max_ratio":  # then every call has its latest end already
            self._late(objective, target)

    def search(self, seconds: float) -> tuple[Any, bool]:
        """A solution or None, and whether there is nothing more to search.

        Orders are decided, not times: ticks are far too many to go through.
        """
        solver = self.cp.get_solver()
        pairs = [of.pair for of in self.times]
        times = [time for of in self.times for time in (of.start, of.admitted)]
        solver.set_input_order_lb_search(*pairs, *self.decisions, *times)
        solution = solver.find_solution(time_limit=f"{max(seconds, LEAST_SECONDS):.3f}s")
        return solution, solution is not None or solver.get_search_state() == "TERMINATED"

    def timetable(self, solution: Any) -> Timetable:
        """What a solution decides."""
        pairs = [self.pairs[c][solution.get_int_val(of.pair)] for c, of in enumerate(self.times)]
        return Timetable(
            prefill=np.array([int(i) for i, _ in pairs]),
            decode=np.array([int(j) for _, j in pairs]),
            start=self.ticks.back(np.array([solution.get_int_val(of.start) for of in self.times])),
            admitted=self.ticks.back(np.array([solution.get_int_val(of.admitted) for of in self.times])),
        )

    def _post(self, constraint: Any) -> None:
        constraint.post()
        self.constraints += 1

    def _variable(self, least: int, most: int) -> Any:
        self.variables += 1
        return self.cp.intvar(least, most)

    def _flag(self) -> Any:
        self.variables += 1
        return self.cp.boolvar()

    def _among(self, values: list[int]) -> Any:
        """A variable that is one of these numbers."""
        known = sorted(set(values))
        self.variables += 1
        return self.cp.intvar(known) if len(known) > 1 else self.cp.intvar(known[0], known[0])

    def _of_pair(self, c: int, values: list[int]) -> Any:
        """What the pair of instances of a call makes of a number."""
        chosen = self._among(values)
        self._post(self.cp.element(chosen, values, self.times[c].pair))
        return chosen

    def _latest(self, objective: Objective, target: float) -> Array:
        """(N,) ticks by which calls are complete, where that is known of all workflows."""
        problem = self.problem
        latest = np.full(problem.calls, self.horizon)
        if objective.kind == "max_ratio":
            due = problem.arrival + target * (1 + 2 * SLACK) * problem.horizon
            latest = np.minimum(latest, self.ticks.down(np.maximum(due[problem.workflow] - problem.tail, 0.0)) + 1)
        return latest

    def _call(self, c: int) -> None:
        """Prefill, then admission, each as long as the pair of instances says (M10, M12, M14, M16)."""
        problem, down = self.problem, self.ticks.down
        head, latest = int(down(problem.head[c])), int(self.latest[c])
        # a call that cannot be in time has no time at all: an empty domain is an error to Choco, not a contradiction
        names = ("start", "prefilled", "admitted", "completed")
        own = {name: self._variable(min(head, latest), latest) for name in names}
        self.times.append(Times(**own, pair=self._variable(0, len(self.pairs[c]) - 1)))
        if head > latest:
            self._post(self.cp.arithm(own["start"], ">", latest))
        pairs = self.pairs[c]
        self.prefill_length.append(self._of_pair(c, [int(down(problem.prefill[c, i])) for i, _ in pairs]))
        self.hold_length.append(self._of_pair(c, [int(down(problem.hold[c, i, j])) for i, j in pairs]))
        self._post(self.cp.arithm(own["start"], "+", self.prefill_length[c], "=", own["prefilled"]))
        self._post(self.cp.arithm(own["admitted"], "+", self.hold_length[c], "=", own["completed"]))
        self._post(self.cp.arithm(own["admitted"], ">=", own["prefilled"]))

    def _precedences(self) -> None:
        """A call starts after its parents and its delay (M3)."""
        for c, parents in enumerate(self.problem.parents):
            delay = int(self.ticks.down(self.problem.delay[c]))
            for p in parents:
                self._post(self.cp.arithm(self.times[c].start, "-", self.times[p].completed, ">=", delay))

    def _prefills(self) -> None:
        """A prefill instance runs one call at a time (M11), in an order that is decided for each two calls on it."""
        for i in range(self.problem.prefill.shape[1]):
            here = [self._of_pair(c, [int(i == k) for k, _ in pairs]) for c, pairs in enumerate(self.pairs)]
            self._cumulative(self._prefill_tasks(), here, 1)
        on = [self._of_pair(c, [int(i) for i, _ in pairs]) for c, pairs in enumerate(self.pairs)]
        for c, d in itertools.combinations(range(self.problem.calls), 2):
            first, same = self._flag(), self._is(on[c], "=", on[d])
            one = self._is(self.times[c].prefilled, "<=", self.times[d].start)
            other = self._is(self.times[d].prefilled, "<=", self.times[c].start)
            self.cp.add_clauses([one], [first, same])
            self.cp.add_clauses([other, first], [same])
            if self.problem.prefill[[c, d]].min() >= 2 * self.ticks.seconds:
                self.cp.add_clauses([], [one, other])  # else both push each other up by one tick after another
            self.constraints += 3
            self.decisions.append(first)

    def _rooms(self) -> None:
        """Calls on a decode instance take no more slots and no more KV tokens than it has (M13)."""
        problem, kv = self.problem, self.problem.kv.tolist()
        rooms = [min(room, sum(kv)) for room in problem.capacity.tolist()]
        slots = [min(most, problem.calls) for most in problem.max_batch.tolist()]
        tight = [j for j, room in enumerate(rooms) if sum(kv) > room]
        short = [j for j, most in enumerate(slots) if problem.calls > most]
        units = max(LARGEST // (problem.calls * self.horizon), 1)
        for j in tight:
            unit = -(-rooms[j] // units)  # tokens; calls rounded down, capacity up
            self._resource(j, [tokens // unit for tokens in kv], -(-rooms[j] // unit))
        for j in short:
            self._resource(j, [1] * problem.calls, slots[j])
        if tight or short:
            self._meetings(kv, rooms, slots)

    def _resource(self, j: int, takes: list[int], room: int) -> None:
        """A cumulative resource of a decode instance, of which calls take something where they are on it."""
        held = [[takes[c] if j == k else 0 for _, k in pairs] for c, pairs in enumerate(self.pairs)]
        self._cumulative(self._hold_tasks(), [self._of_pair(c, own) for c, own in enumerate(held)], room)

    def _meetings(self, kv: list[int], rooms: list[int], slots: list[int]) -> None:
        """When a call is admitted, it and those that are held there then have room."""
        calls = range(self.problem.calls)
        on = [self._of_pair(c, [int(j) for _, j in pairs]) for c, pairs in enumerate(self.pairs)]
        meets: list[dict[int, Any]] = [{} for _ in calls]
        for c, d in itertools.combinations(calls, 2):
            meets[c][d], meets[d][c] = self._held_together(c, d, self._is(on[c], "=", on[d]))
        for c, pairs in enumerate(self.pairs):
            if len(calls) > 1:
                room = self._of_pair(c, [rooms[j] - kv[c] for _, j in pairs])
                free = self._of_pair(c, [slots[j] - 1 for _, j in pairs])
                self._post(self.cp.scalar([*meets[c].values()], [kv[d] for d in meets[c]], "<=", room))
                self._post(self.cp.sum([*meets[c].values()], "<=", free))

    def _held_together(self, c: int, d: int, same: Any) -> tuple[Any, Any]:
        """1 where d is held when c is admitted, on the same instance, and the other way round.

        What the four comparisons have to do with each other is said as well: without it two that contradict each other
        push both times up by one tick after another.
        """
        early, late = self._is_before(d, c), self._is_before(c, d)
        gone = [self._is(self.times[e].completed, "<=", self.times[f].admitted) for e, f in ((d, c), (c, d))]
        for is_before, is_gone in zip((early, late), gone, strict=True):
            self.cp.add_clauses([is_before], [is_gone])
        self.cp.add_clauses([early, late], [])
        held = self._flag(), self._flag()
        for one, is_before, is_gone in zip(held, (early, late), gone, strict=True):
            self.cp.add_clauses([one, is_gone], [is_before, same])
        if min(self.shortest[c], self.shortest[d]) > 0:
            self.cp.add_clauses([], gone)
        self.constraints += 5
        self.decisions += [*gone, early, late]
        return held

    def _is_before(self, c: int, d: int) -> Any:
        return self._is(self.times[c].admitted, "<=", self.times[d].admitted)

    def _is(self, one: Any, relation: str, other: Any) -> Any:
        """Whether it is so, 0 or 1."""
        self.variables += 1
        self.constraints += 1
        return self.cp.arithm(one, relation, other).reify()

    def _late(self, objective: Objective, target: float) -> None:
        """No more workflows are late than may be: in ``req`` those that do not count, in ``misses`` the target."""
        problem, count = self.problem, self.problem.workflows
        misses = objective.kind == "misses"
        scale = objective.parameter if misses else target
        due = self.ticks.down(problem.arrival + scale * (1 + 2 * SLACK) * problem.horizon) + 1
        late = [self._flag() for _ in range(count)]
        for w, own in enumerate(self._last_calls()):
            for c in own:
                in_time = self.cp.arithm(self.times[c].completed, "<=", min(int(due[w]), self.horizon)).reify()
                self.cp.add_clauses([in_time, late[w]], [])
                self.constraints += 2
        self._post(self.cp.sum(late, "<=", int(target) if misses else objective.dropped(count)))

    def _last_calls(self) -> list[list[int]]:
        """By workflow, the calls without children: one of them completes it."""
        last: list[list[int]] = [[] for _ in range(self.problem.workflows)]
        for c, children in enumerate(self.problem.children):
            if not children:
                last[self.problem.workflow[c]].append(c)
        return last

    def _prefill_tasks(self) -> list[Any]:
        """New ones for each resource: a task of Choco belongs to one constraint."""
        lengths = zip(self.times, self.prefill_length, strict=True)
        return [self.cp.task(of.start, length, of.prefilled) for of, length in lengths]

    def _hold_tasks(self) -> list[Any]:
        lengths = zip(self.times, self.hold_length, strict=True)
        return [self.cp.task(of.admitted, length, of.completed) for of, length in lengths]

    def _cumulative(self, tasks: list[Any], heights: list[Any], room: int) -> None:
        self._post(self.cp.cumulative(tasks, heights, self._variable(room, room)))
