"""A timetable: placements and times of all calls as arrays, and its way to and from a ``Schedule``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hexsched.model import Schedule, ScheduledCall
from hexsched.model.schedule import FORMAT
from solvers.problem.offline import OfflineProblem

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Timetable:
    """Where and when every call runs.

    Attributes
    ----------
    prefill, decode : (N,) int arrays
        Instances i_c and j_c.
    start, admitted : (N,) float arrays
        Seconds at which prefill starts and at which the decode instance admits the call.
    """

    prefill: Array
    decode: Array
    start: Array
    admitted: Array

    def prefilled(self, problem: OfflineProblem) -> Array:
        """(N,) seconds at which prefills end."""
        ends: Array = self.start + problem.prefill[np.arange(problem.calls), self.prefill]
        return ends

    def completed(self, problem: OfflineProblem) -> Array:
        """(N,) seconds at which calls complete."""
        every = np.arange(problem.calls)
        ends: Array = self.admitted + problem.hold[every, self.prefill, self.decode]
        return ends

    def workflow_completed(self, problem: OfflineProblem) -> Array:
        """(W,) seconds at which workflows complete."""
        ends = np.zeros(problem.workflows)
        np.maximum.at(ends, problem.workflow, self.completed(problem))
        return ends


def to_schedule(problem: OfflineProblem, timetable: Timetable, policy: str) -> Schedule:
    """The timetable as a schedule; its times are the timetable's, feasible or not."""
    instance = problem.instance
    prefilled, completed = timetable.prefilled(problem), timetable.completed(problem)
    rows = []
    for c in problem.places.call.tolist():  # in the order of the file
        workflow_id, call_id = problem.names[c]
        i, j = int(timetable.prefill[c]), int(timetable.decode[c])
        rows.append(
            ScheduledCall(
                workflow_id=workflow_id,
                call_id=call_id,
                prefill_instance=instance.prefill[i].id,
                prefill_start=float(timetable.start[c]),
                prefill_end=float(prefilled[c]),
                decode_instance=instance.decode[j].id,
                admitted=float(timetable.admitted[c]),
                decode_start=float(timetable.admitted[c] + problem.transfer[c, i, j]),
                decode_end=float(completed[c]),
            )
        )
    return Schedule(format=FORMAT, policy=policy, calls=tuple(rows))


def from_schedule(problem: OfflineProblem, schedule: Schedule) -> Timetable:
    """The timetable that a schedule of the same instance carries out."""
    return Timetable(*problem.decisions(schedule))
