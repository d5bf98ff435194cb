"""Which prefill instance and which decode mode each call takes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pulp

from solvers.exact.milp.energy import Cut, decode_cuts, prefill_cuts
from solvers.exact.milp.modes import decode_modes
from solvers.exact.milp.time_windows import Windows
from solvers.problem.offline import OfflineProblem
from solvers.schedules.timetable import Timetable

Array = np.ndarray[Any, Any]
Kept = list[pulp.LpAffineExpression]


class Assignment:
    """Binaries x (call c on prefill instance i) and y (call c in decode mode k), one of each for every call.

    Parameters
    ----------
    windows : Windows, optional
        What they rule out is fixed at 0.
    kept : list (W) of pulp.LpAffineExpression, optional
        1 where the calls of a workflow are to be assigned, 0 where it is left out.
    """

    def __init__(
        self, lp: pulp.LpProblem, problem: OfflineProblem, windows: Windows | None = None, kept: Kept | None = None
    ) -> None:
        self.problem = problem
        self.hold = problem.hold
        self.modes = [decode_modes(self.hold[c]) for c in range(problem.calls)]
        allowed = np.isfinite(self.hold) if windows is None else windows.allowed
        every = range(problem.calls)
        self.x = [
            [_binary(lp, f"x_{c}_{i}", bool(allowed[c, i].any())) for i in range(problem.prefill.shape[1])]
            for c in every
        ]
        self.y = [
            [
                _binary(lp, f"y_{c}_{k}", bool(allowed[c, mode.sources, mode.decode].any()))
                for k, mode in enumerate(modes)
            ]
            for c, modes in enumerate(self.modes)
        ]
        for c, modes in enumerate(self.modes):
            once = 1 if kept is None else kept[problem.workflow[c]]
            lp += pulp.lpSum(self.x[c]) == once
            lp += pulp.lpSum(self.y[c]) == once
            for k, mode in enumerate(modes):
                sources = [i for i in mode.sources if allowed[c, i, mode.decode]]
                if len(sources) < len(self.x[c]):
                    lp += self.y[c][k] <= pulp.lpSum(self.x[c][i] for i in sources)

    def break_symmetry(self, lp: pulp.LpProblem) -> None:
        """Of identical instances, the next one is used only by calls after one on the instance before it."""
        every = range(self.problem.calls)
        for group in self.problem.prefill_types.groups:
            _in_turn(lp, [[self.x[c][i] for c in every] for i in group])
        for group in self.problem.decode_types.groups:
            _in_turn(lp, [[self.on_decode(c, j) for c in every] for j in group])

    def cut(self, lp: pulp.LpProblem, windows: Windows) -> None:
        """Add the energy cuts of the windows."""
        for variables, cuts in ((self.x, prefill_cuts(windows)), (self.y, decode_cuts(windows, self.modes))):
            for cut in cuts:
                lp += _weighted(cut, variables) <= cut.most

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

    def load(self, timetable: Timetable) -> None:
        """Values of the variables in a timetable."""
        for c, modes in enumerate(self.modes):
            for i, x in enumerate(self.x[c]):
                x.varValue = float(timetable.prefill[c] == i)
            for k, mode in enumerate(modes):
                self.y[c][k].varValue = float(
                    timetable.decode[c] == mode.decode and timetable.prefill[c] in mode.sources
                )

    def prefill(self) -> Array:
        """(N,) prefill instances from the values of the variables."""
        return np.array([int(np.argmax([x.varValue for x in row])) for row in self.x])

    def decode(self) -> Array:
        """(N,) decode instances from the values of the variables."""
        chosen = [int(np.argmax([y.varValue for y in row])) for row in self.y]
        return np.array([self.modes[c][k].decode for c, k in enumerate(chosen)])


def in_turn(problem: OfflineProblem, timetable: Timetable) -> Timetable:
    """The timetable with identical instances exchanged so that ``Assignment.break_symmetry`` lets it through."""
    prefill, decode = timetable.prefill.copy(), timetable.decode.copy()
    for places, groups in ((prefill, problem.prefill_types.groups), (decode, problem.decode_types.groups)):
        for group in groups:
            used = list(dict.fromkeys(int(place) for place in places if place in group))
            rename = dict(zip(used, group, strict=False))
            places[:] = [rename.get(int(place), int(place)) for place in places]
    return Timetable(prefill=prefill, decode=decode, start=timetable.start, admitted=timetable.admitted)


def _in_turn(lp: pulp.LpProblem, rows: list[list[pulp.LpAffineExpression]]) -> None:
    for before, after in pairwise(rows):
        for c, on in enumerate(after):
            lp += on <= pulp.lpSum(before[:c])


def _weighted(cut: Cut, variables: list[list[pulp.LpVariable]]) -> pulp.LpAffineExpression:
    return pulp.LpAffineExpression([(variables[c][k], weight) for (c, k), weight in cut.weight.items()])


def _binary(lp: pulp.LpProblem, name: str, possible: bool) -> pulp.LpVariable:
    return lp.add_variable(name, 0, int(possible), pulp.LpInteger)
