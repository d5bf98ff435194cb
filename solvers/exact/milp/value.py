"""The objectives in linear form, over the completions of calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pulp

from solvers.exact.milp.leaving_out import LeavingOut
from solvers.exact.milp.time_windows import Windows
from solvers.problem.objective import SLACK, Objective
from solvers.problem.offline import OfflineProblem

Array = np.ndarray[Any, Any]


class Value:
    """Adds what is minimised to a model.

    The objective has no constant, on purpose: PuLP drops constants, and bounds would have to be mended.

    Parameters
    ----------
    lp : pulp.LpProblem
    completion : sequence of N linear expressions
        C_c of each call, seconds.
    leaving_out : LeavingOut
        In windows of a target, whatever keeps the windows meets it: nothing is minimised but, for ``misses``, the
        number of those left out.
    """

    def __init__(
        self,
        lp: pulp.LpProblem,
        problem: OfflineProblem,
        objective: Objective,
        windows: Windows,
        completion: Sequence[Any],
        leaving_out: LeavingOut,
    ) -> None:
        self.problem, self.objective = problem, objective
        for c in range(problem.calls):
            lp += completion[c] <= float(windows.due[c])
        self.latency: list[pulp.LpVariable] = []
        self.largest: pulp.LpVariable | None = None
        self.drop: list[pulp.LpVariable] = []
        if windows.spare is not None:
            lp.setObjective(pulp.lpSum(leaving_out.out if objective.kind == "misses" else []))
            return
        W = problem.workflows
        self.latency = [
            lp.add_variable(f"L_{w}", float(problem.horizon[w]) * (1 - SLACK), float(self._latest(windows)[w]))
            for w in range(W)
        ]
        for c in range(problem.calls):
            if not problem.children[c]:
                w = problem.workflow[c]
                lp += self.latency[w] >= completion[c] - float(problem.arrival[w])
        if objective.is_tail:
            self._largest_ratio(lp, windows)
        elif objective.kind == "misses":
            self._misses(lp, windows)
        else:
            weight = problem.horizon if objective.kind == "mean_ratio" else np.ones(W)
            lp.setObjective(pulp.lpSum(L * float(1 / (W * weight[w])) for w, L in enumerate(self.latency)))

    def load(self, completed: Array) -> None:
        """Set the start of these variables from the completions of the workflows, (W,) seconds."""
        latency = np.maximum(completed - self.problem.arrival, self.problem.horizon * (1 - SLACK))
        ratio = latency / self.problem.horizon
        for w, L in enumerate(self.latency):
            L.varValue = float(latency[w])
        value = self.objective.value(self.problem.arrival, completed, self.problem.horizon)
        if self.largest is not None:
            self.largest.varValue = max(float(value), 1 - SLACK)
        limit = self.objective.parameter * (1 + SLACK) if self.objective.kind == "misses" else value
        for w, drop in enumerate(self.drop):
            drop.varValue = float(ratio[w] > limit)

    def _latest(self, windows: Windows) -> Array:
        latest: Array = windows.deadline - self.problem.arrival
        return latest

    def _largest_ratio(self, lp: pulp.LpProblem, windows: Windows) -> None:
        """The largest ratio, but for as many workflows as may be dropped."""
        horizon, latest = self.problem.horizon, self._latest(windows)
        dropped = self.objective.dropped(self.problem.workflows)
        self.largest = lp.add_variable("R", 1 - SLACK)
        if dropped:
            self.drop = [lp.add_variable(f"v_{w}", 0, 1, pulp.LpInteger) for w in range(len(horizon))]
            lp += pulp.lpSum(self.drop) <= dropped
        for w, L in enumerate(self.latency):
            beyond = float(latest[w] / horizon[w] - 1) * self.drop[w] if dropped else 0.0
            lp += self.largest >= L * float(1 / horizon[w]) - beyond
        lp.setObjective(pulp.LpAffineExpression([(self.largest, 1.0)]))

    def _misses(self, lp: pulp.LpProblem, windows: Windows) -> None:
        """Every workflow is in time, or counts."""
        limit, latest = self.objective.parameter * (1 + SLACK) * self.problem.horizon, self._latest(windows)
        self.drop = [lp.add_variable(f"v_{w}", 0, 1, pulp.LpInteger) for w in range(len(limit))]
        for w, L in enumerate(self.latency):
            lp += L - float(max(latest[w] - limit[w], 0.0)) * self.drop[w] <= float(limit[w])
        lp.setObjective(pulp.lpSum(self.drop))
