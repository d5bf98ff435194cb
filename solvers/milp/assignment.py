"""Which prefill instance and which decode mode each call takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pulp

from solvers.milp.modes import decode_modes
from solvers.milp.plan import Plan, hold_seconds
from solvers.problem import Problem

Array = np.ndarray[Any, Any]


class Assignment:
    """Binaries x (call c on prefill instance i) and y (call c in decode mode k), one of each for every call."""

    def __init__(self, lp: pulp.LpProblem, problem: Problem) -> None:
        self.problem = problem
        self.hold = hold_seconds(problem)
        self.modes = [decode_modes(self.hold[c]) for c in range(problem.calls)]
        machines = range(problem.prefill.shape[1])
        self.x = [[_binary(lp, f"x_{c}_{i}") for i in machines] for c in range(problem.calls)]
        self.y = [[_binary(lp, f"y_{c}_{k}") for k in range(len(modes))] for c, modes in enumerate(self.modes)]
        for c, modes in enumerate(self.modes):
            lp += pulp.lpSum(self.x[c]) == 1
            lp += pulp.lpSum(self.y[c]) == 1
            for k, mode in enumerate(modes):
                if len(mode.sources) < len(self.x[c]):
                    lp += self.y[c][k] <= pulp.lpSum(self.x[c][i] for i in mode.sources)

    def prefill_seconds(self, c: int) -> pulp.LpAffineExpression:
        """P of the instance that is chosen."""
        return pulp.lpSum(x * float(p) for x, p in zip(self.x[c], self.problem.prefill[c], strict=True))

    def hold_seconds(self, c: int) -> pulp.LpAffineExpression:
        """Seconds from admission to completion in the mode that is chosen."""
        pairs = zip(self.y[c], self.modes[c], strict=True)
        return pulp.lpSum(y * float(self.hold[c][mode.pair]) for y, mode in pairs)

    def on_decode(self, c: int, j: int) -> pulp.LpAffineExpression:
        """1 where c goes to decode instance j."""
        return pulp.lpSum(y for y, mode in zip(self.y[c], self.modes[c], strict=True) if mode.decode == j)

    def load(self, plan: Plan) -> None:
        """Values of the variables in a plan."""
        for c, modes in enumerate(self.modes):
            for i, x in enumerate(self.x[c]):
                x.varValue = float(plan.prefill[c] == i)
            for k, mode in enumerate(modes):
                self.y[c][k].varValue = float(plan.decode[c] == mode.decode and plan.prefill[c] in mode.sources)

    def prefill(self) -> Array:
        """(N,) prefill instances from the values of the variables."""
        return np.array([int(np.argmax([x.varValue for x in row])) for row in self.x])

    def decode(self) -> Array:
        """(N,) decode instances from the values of the variables."""
        chosen = [int(np.argmax([y.varValue for y in row])) for row in self.y]
        return np.array([self.modes[c][k].decode for c, k in enumerate(chosen)])


def _binary(lp: pulp.LpProblem, name: str) -> pulp.LpVariable:
    return lp.add_variable(name, 0, 1, pulp.LpInteger)
