"""Time-indexed MILP in steps: a binary for every period says whether a call has started (Pritsker and Watters 1968).

A pulse is the difference of two steps, and a step the sum of the pulses until then: the relaxation is that of
``milp_time_indexed``. A branch on a step halves a window, where one on a pulse takes one period out of it; and rows of
precedence period by period compare two steps, without sums.
"""

from __future__ import annotations

from itertools import pairwise

import pulp

from solvers.exact.milp.backends import BACKENDS
from solvers.exact.milp.model import MODEL_FORMATS
from solvers.exact.milp.time_indexed import SWITCHES, Starts, solve_on_grids
from solvers.exact.milp.tuning import TUNING, Tuning
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import Bracket
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome


class Steps(Starts):
    """A binary a tick, 1 from the start on."""

    def declare(self, lp: pulp.LpProblem, name: str) -> None:
        """Add steps that never go down again."""
        self.begun = [lp.add_variable(f"{name}_by_{t}", 0, 1, pulp.LpInteger) for t in self.ticks]
        for before, now in pairwise(self.begun):
            lp += now >= before


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = TUNING) -> Outcome:
    """Solve the time-indexed model in steps."""
    return solve_on_grids("milp_step", Steps, problem, bracket, options, tuning)


FORMULATION = Formulation(
    name="milp_step",
    summary="MILP with a binary for every period that says whether a call has started by then",
    citation="A. A. B. Pritsker, L. J. Watters, A zero-one programming approach to scheduling with limited resources, "
    "RAND Corporation RM-5561-PR (1968); as step formulation: C. Artigues, Operations Research Letters 45 (2017)",
    solve=solve,
    solvers=tuple(BACKENDS),
    model_formats=MODEL_FORMATS,
    switches=SWITCHES,
    relaxes=True,
)
