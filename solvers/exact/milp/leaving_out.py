"""Workflows that a target leaves out: which, and where their calls go once the others are placed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pulp

from solvers.exact.milp.time_windows import Windows
from solvers.problem.offline import OfflineProblem
from solvers.schedules.timetable import Timetable

Array = np.ndarray[Any, Any]


class LeavingOut:
    """Binaries of the workflows that may be left out (``Windows.spare``); none where all are to be scheduled."""

    def __init__(self, lp: pulp.LpProblem, windows: Windows) -> None:
        self.problem = windows.problem
        self.out: list[pulp.LpVariable] = []
        if windows.spare:
            self.out = [lp.add_variable(f"v_{w}", 0, 1, pulp.LpInteger) for w in range(self.problem.workflows)]
            lp += pulp.lpSum(self.out) <= windows.spare

    @property
    def kept(self) -> list[pulp.LpAffineExpression]:
        """(W,) 1 where the workflow is scheduled."""
        if not self.out:
            return [pulp.LpAffineExpression(constant=1.0)] * self.problem.workflows
        return [1 - out for out in self.out]

    def completed(self, timetable: Timetable) -> Timetable:
        """The timetable with the calls of those left out after everything else, one after the other."""
        left_out = {w for w, out in enumerate(self.out) if (out.varValue or 0.0) > 0.5}
        return run_last(self.problem, timetable, left_out) if left_out else timetable


def run_last(problem: OfflineProblem, timetable: Timetable, last: set[int]) -> Timetable:
    """The timetable with the calls of the workflows in ``last`` after all others, each where it is fastest."""
    prefill, decode, start, admitted = (
        timetable.prefill.copy(),
        timetable.decode.copy(),
        timetable.start.copy(),
        timetable.admitted.copy(),
    )
    hold = problem.hold
    moved = [int(c) for c in problem.topological if problem.workflow[c] in last]
    for c in moved:
        whole = problem.prefill[c][:, None] + hold[c]
        prefill[c], decode[c] = np.unravel_index(int(np.argmin(whole)), whole.shape)
    others = ~np.isin(problem.workflow, list(last))
    ends = Timetable(prefill, decode, start, admitted).completed(problem)[others]
    now = float(max(problem.arrival.max(), ends.max(initial=0.0)))
    for c in moved:
        start[c] = now + problem.delay[c]
        admitted[c] = start[c] + problem.prefill[c, prefill[c]]
        now = float(admitted[c] + hold[c, prefill[c], decode[c]])
    return Timetable(prefill, decode, start, admitted)
