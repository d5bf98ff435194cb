"""Long stretches in which nothing needs to run, which part an instance into groups and can be cut out.

Take a group of workflows that arrive before all others, a its last arrival and S the sum over its calls of delay,
longest prefill and longest stay. Move everything in any schedule of the group alone as early as its orders allow:
no completion gets later, and a chain without gaps of prefills, stays and delays, each of them once, leads from an
arrival to the last completion, which is therefore at a + S or before. Let the next arrival be no earlier. Then, of any
schedule of all workflows, the calls of the group moved so and the others moved without the group never meet, and no
completion gets later. So for objectives that grow with completions, as all do here (model M26), the best schedule is
one of the groups next to each other, each by itself, whatever lies between: the optimum depends on times from the first
arrival of a group alone, and the next group may as well arrive at a + S.

Tick lengths, horizons and the sizes of numbers in a solver then follow the work, not the calendar.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec.structs import replace

from hexsched.model import Schedule
from solvers.problem.offline import OfflineProblem, offline_problem

Array = np.ndarray[Any, Any]

ROUNDING = 1e-6  # relative to the work of a group; by so much later the next one arrives, for sums that are rounded


class Parts:
    """The workflows of a problem, a part for each group.

    In the ``fixed`` decode model nothing is lost between them. In ``fluid``, where S counts each call as alone in its
    batch, they are parts all the same: leaving workflows out relaxes a problem, so bounds of parts make bounds of the
    whole, wherever it is cut.

    Parameters
    ----------
    problem : OfflineProblem

    Attributes
    ----------
    members : list of (n,) int arrays
        The workflows of each part, in order of arrival.
    work : (W,) float array
        What each workflow adds to S, seconds.
    """

    def __init__(self, problem: OfflineProblem) -> None:
        self._problem = problem
        longest = np.where(np.isfinite(problem.hold), problem.hold, 0.0).max(axis=(1, 2))
        alone = problem.delay + problem.prefill.max(axis=1) + longest
        self.work = np.bincount(problem.workflow, alone, problem.workflows)
        order = np.argsort(problem.arrival, kind="stable")
        cuts, total = [], 0.0
        for k, (last, now) in enumerate(itertools.pairwise(order.tolist()), start=1):
            total += self.work[last]
            if problem.arrival[now] > problem.arrival[last] + total * (1 + ROUNDING):
                cuts.append(k)
                total = 0.0
        self.members: list[Array] = np.split(order, cuts)

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, part: int) -> OfflineProblem:
        """The problem of one part; its clock starts at its first arrival."""
        return self._problem if len(self) == 1 else part_of(self._problem, self.members[part])

    @property
    def open(self) -> list[int]:
        """Parts of which more can be said than that no workflow is faster than alone.

        A workflow that has the cluster to itself, and no two calls at once, takes just its horizon.
        """
        x = self._problem
        chain = x.horizon >= np.bincount(x.workflow, x.delay + x.best, x.workflows)
        return [k for k, members in enumerate(self.members) if len(members) > 1 or not chain[members[0]]]


def part_of(problem: OfflineProblem, members: Array) -> OfflineProblem:
    """The problem of some workflows alone; its clock starts at the first arrival of one of them.

    Parameters
    ----------
    problem : OfflineProblem
    members : (n,) int array
        Their numbers, each once, at least one.
    """
    in_file = np.argsort(problem.places.workflow)
    flows = [problem.instance.workflows[k] for k in np.sort(in_file[members])]
    first = min(flow.arrival for flow in flows)
    moved = tuple(replace(flow, arrival=flow.arrival - first) for flow in flows)
    return offline_problem(replace(problem.instance, workflows=moved))


@dataclass(frozen=True)
class WithoutIdle:
    """An offline problem with its idle stretches cut out, and the way back.

    Attributes
    ----------
    problem : OfflineProblem
        The same calls and workflows, with arrivals from 0 on.
    group : (W,) int array
        The group of each workflow, in the order of arrivals.
    """

    problem: OfflineProblem
    group: Array

    def back(self, schedule: Schedule) -> Schedule:
        """Decisions for the whole instance whose value is that of a schedule of the shorter one, or less.

        Places and orders in a group are those of the schedule; groups come one after another. Times say the order
        alone: they are to be made anew (``hexsched.simulator.retime``).
        """
        own = self.problem
        number = {flow.workflow_id: w for flow, w in zip(own.instance.workflows, own.places.workflow, strict=True)}
        length = max(row.decode_end for row in schedule.calls) + 1.0
        rows = []
        for row in schedule.calls:
            later = float(self.group[number[row.workflow_id]]) * length
            rows.append(
                replace(
                    row,
                    prefill_start=row.prefill_start + later,
                    prefill_end=row.prefill_end + later,
                    admitted=row.admitted + later,
                    decode_start=row.decode_start + later,
                    decode_end=row.decode_end + later,
                )
            )
        return replace(schedule, calls=tuple(rows))


def without_idle(problem: OfflineProblem) -> WithoutIdle | None:
    """The problem with its idle stretches cut out; None where there are none.

    Parameters
    ----------
    problem : OfflineProblem
        In the ``fixed`` decode model: elsewhere stays have no longest length that does not depend on the batch.
    """
    assert not problem.fluid
    parts = Parts(problem)
    arrival, group = np.zeros(problem.workflows), np.zeros(problem.workflows, dtype=np.int64)
    begin = 0.0
    for k, members in enumerate(parts.members):
        arrival[members], group[members] = begin + problem.arrival[members] - problem.arrival[members[0]], k
        begin = arrival[members[-1]] + parts.work[members].sum() * (1 + ROUNDING)
    if np.array_equal(arrival, problem.arrival):
        return None
    flows = zip(problem.instance.workflows, problem.places.workflow, strict=True)
    workflows = tuple(replace(flow, arrival=float(arrival[w])) for flow, w in flows)
    return WithoutIdle(offline_problem(replace(problem.instance, workflows=workflows)), group)
