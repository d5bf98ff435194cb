"""Bounds of all workflows from groups of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hexsched.simulator import simulate
from solvers.bounds import critical_path
from solvers.bounds.grouped.group import Group
from solvers.bounds.grouped.late import late_together, whole
from solvers.bounds.grouped.partition import partition
from solvers.bounds.parts.bound import Bound
from solvers.bounds.parts.destructive import ROUND_DOWN
from solvers.bounds.prices.bound import ANY_POLICY, priced_bound
from solvers.problem.left import Left, until
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem

Array = np.ndarray[Any, Any]
OnBound = Callable[[float], None]

CLOSE = 1e-4  # relative: a bound this close to a schedule needs no more work


@dataclass(frozen=True)
class Tuning:
    """What is asked, and how long; none of it changes whether a bound is valid.

    Attributes
    ----------
    fewest, most : int
        Workflows of a group, as in ``partition``.
    passes : int
        Of price improvement before a question, at first.
    growth : float
        The same in the next round, a factor.
    precision : tuple[float, float]
        Relative distance of scales at which a round ends: in the first, and at last. It is halved from round to round.
    idle : int
        Rounds without news before it ends.
    least_gain : float
        Relative: less is no news.
    calls_of_programs : int
        Calls of a group, at most, of which linear programs are asked.
    share_of_programs : float
        Of the time that is left, for all of them.
    """

    fewest: int = 10
    most: int = 60
    passes: int = 30
    growth: float = 2.0
    precision: tuple[float, float] = (0.02, 5e-4)
    idle: int = 3
    least_gain: float = 1e-4
    calls_of_programs: int = 60
    share_of_programs: float = 0.2


TUNING = Tuning()


def grouped_bound(
    problem: OfflineProblem,
    objective: Objective,
    time_limit: float,
    *,
    completed: Array | None = None,
    programs: Sequence[Bound] = (),
    seed: int = 0,
    on_bound: OnBound | None = None,
    left: Left | None = None,
    least_apart: int = 1,
    tuning: Tuning = TUNING,
) -> float:
    """A value that no schedule can beat, from what no schedule of some of the workflows can (see ``groups``).

    Parameters
    ----------
    problem : OfflineProblem
    objective : Objective
    time_limit : float
        Seconds; valid however early the time runs out.
    completed : (W,) float array, optional
        Completion of each workflow in a known schedule, to choose groups by; a policy's when absent.
    programs : sequence of Bound
        Linear programs that small groups are asked, too.
    seed : int
    on_bound : callable, optional
        Called with each better bound.
    left : callable, optional
        Seconds for which to go on, where something else than the time may end it.
    least_apart : int
        With fewer groups between which nothing is under way, nothing is done.
    tuning : Tuning
    """
    left = left or until(time.monotonic() + time_limit)
    best = critical_path.compute(problem, objective)
    if objective.kind == "misses" and best > 0:
        return best  # a scale that nothing can meet
    if completed is None:
        completed = _by_a_policy(problem)
    ceiling = objective.value(problem.arrival, completed, problem.horizon)
    if len(apart(problem, completed, tuning)) < least_apart or ceiling <= best * (1 + CLOSE):
        return best
    members = partition(problem.arrival, completed, tuning.fewest, tuning.most)
    work = _Work(problem, objective, members, completed, programs, seed, on_bound, left, tuning)
    if objective.is_tail:
        return work.tail(best, ceiling)
    if objective.kind == "misses":
        return work.misses(objective.parameter)
    return work.mean()


def apart(problem: OfflineProblem, completed: Array | None = None, tuning: Tuning = TUNING) -> list[Array]:
    """The groups between which nothing is under way in a known schedule, a policy's when absent."""
    completed = _by_a_policy(problem) if completed is None else completed
    return partition(problem.arrival, completed, tuning.fewest, problem.workflows)


def _by_a_policy(problem: OfflineProblem) -> Array:
    return problem.completed(simulate(problem.instance, ANY_POLICY).schedule)


class _Work:
    """Groups, and the time that there is for them."""

    def __init__(
        self,
        problem: OfflineProblem,
        objective: Objective,
        members: Sequence[Array],
        completed: Array,
        programs: Sequence[Bound],
        seed: int,
        on_bound: OnBound | None,
        left: Left,
        tuning: Tuning,
    ) -> None:
        self.objective, self.programs, self.left, self.tuning = objective, list(programs), left, tuning
        self.seed, self.on_bound = seed, on_bound
        self.dropped = objective.dropped(problem.workflows)
        ceiling = objective.value(problem.arrival, completed, problem.horizon)
        highest = objective.parameter if objective.kind == "misses" else ceiling
        self.groups = [Group(problem, own, completed, highest, seed) for own in members]

    def tell(self, value: float) -> None:
        """A better bound."""
        if self.on_bound is not None:
            self.on_bound(value)

    def tail(self, start: float, ceiling: float) -> float:
        """The largest scale found that too many workflows are above, of all groups together."""
        best, passes, idle = start, 0.0, 0
        precision, finest = self.tuning.precision
        while self.left() > 0 and best < ceiling * (1 - CLOSE) and idle < self.tuning.idle:
            known, beyond = best, ceiling
            while beyond > best * (1 + precision) and self.left() > 0:
                scale = math.sqrt(best * beyond)
                if self.more_are_late(scale, self.dropped, int(passes)):
                    best = scale
                    self.tell(best)
                else:
                    beyond = scale
            idle = 0 if best > known * (1 + self.tuning.least_gain) or not passes else idle + 1
            precision = max(precision / 2, finest)
            passes = self.next_round(passes, math.sqrt(best * ceiling))
        return best

    def misses(self, scale: float) -> float:
        """How many workflows of all groups are above the scale."""
        best, passes, idle = 0, 0.0, 0
        while self.left() > 0 and idle < self.tuning.idle:
            known = best
            most = sum(group.possible(scale) for group in self.groups)
            if best == most:
                break
            self.more_are_late(scale, most - 1, int(passes))
            best = late_together((group.late for group in self.groups), scale)
            if best > known:
                self.tell(float(best))
            idle = 0 if best > known or not passes else idle + 1
            passes = self.next_round(passes, scale)
        return float(best)

    def next_round(self, passes: float, scale: float) -> float:
        """How many passes there are to a question from now on; at first all is done that needs none."""
        if not passes:
            self.solve(scale)
            return float(self.tuning.passes)
        for group in self.groups:
            if group.hope(scale) > group.late.above(scale):
                group.refine()
        return passes * self.tuning.growth

    def solve(self, scale: float) -> None:
        """Linear programs of small groups."""
        small = [
            group
            for group in self.groups
            if group.calls <= self.tuning.calls_of_programs and group.possible(scale) > group.late.above(scale)
        ]
        stop = time.monotonic() + self.tuning.share_of_programs * self.left()
        for k, group in enumerate(small):
            group.solve(self.programs, scale, max(stop - time.monotonic(), 0.0) / (len(small) - k))

    def more_are_late(self, scale: float, than: int, passes: int) -> bool:
        """Whether more workflows are late, of all groups together; those likely to say most are asked first."""
        groups = self.groups
        for group in sorted(groups, key=lambda group: -group.hope(scale) / group.calls):
            if late_together((each.late for each in groups), scale) > than:
                return True
            if self.left() <= 0 or sum(each.hope(scale) for each in groups) <= than:
                return False
            if group.hope(scale) <= group.late.above(scale):
                continue
            if passes:
                group.ask(scale, passes, self.left)
            else:
                group.look(scale, self.left)
        return late_together((each.late for each in groups), scale) > than

    def mean(self) -> float:
        """The mean over groups of their means, by size; time goes where a known schedule says that there is waiting."""
        groups, objective = self.groups, self.objective
        values = [critical_path.compute(group.problem, objective) for group in groups]
        most = [objective.value(group.problem.arrival, group.completed, group.problem.horizon) for group in groups]
        sizes = [len(group.members) for group in groups]
        waiting = [k for k in range(len(groups)) if most[k] > values[k] * (1 + CLOSE)]
        waiting.sort(key=lambda k: -sizes[k] * (most[k] - values[k]) / groups[k].calls)
        total = whole(objective, values, sizes)
        for position, k in enumerate(waiting):
            calls = sum(groups[other].calls for other in waiting[position:])
            seconds = self.left() * groups[k].calls / calls
            if seconds <= 0:
                break
            found = priced_bound(groups[k].problem, objective, seconds, completed=groups[k].completed, seed=self.seed)
            if found.value > values[k]:
                values[k] = found.value
                total = whole(objective, values, sizes) * (1 - ROUND_DOWN)
                self.tell(total)
        return max(total, whole(objective, values, sizes) * (1 - ROUND_DOWN))
