"""Time-indexed MILP in pulses: a binary for every period in which a call can start (Pritsker et al. 1969)."""

from __future__ import annotations

import pulp

from solvers.exact.milp.backends import BACKENDS
from solvers.exact.milp.model import MODEL_FORMATS
from solvers.exact.milp.time_indexed import SWITCHES, Starts, Terms, solve_on_grids
from solvers.exact.milp.tuning import TUNING, Tuning
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import Bracket
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome


class Pulses(Starts):
    """A binary a tick, 1 in that of the start; ``begun`` are their sums."""

    def declare(self, lp: pulp.LpProblem, name: str) -> None:
        """Add pulses and sums."""
        self.at = [lp.add_variable(f"{name}_{t}", 0, 1, pulp.LpInteger) for t in self.ticks]
        self.begun = [lp.add_variable(f"{name}_by_{t}", 0, 1) for t in self.ticks]
        for k, pulse in enumerate(self.at):
            lp += self.begun[k] == pulse + (self.begun[k - 1] if k else 0)

    def load(self, tick: int | None) -> None:
        """Values for a start in ``tick``, or for none."""
        super().load(tick)
        for t, pulse in zip(self.ticks, self.at, strict=True):
            pulse.varValue = float(t == tick)

    def when(self, seconds: float) -> Terms:
        """The tick of the pulse, times ``seconds``."""
        return [(pulse, t * seconds) for t, pulse in zip(self.ticks, self.at, strict=True)]


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = TUNING) -> Outcome:
    """Solve the time-indexed model in pulses."""
    return solve_on_grids("milp_time_indexed", Pulses, problem, bracket, options, tuning)


FORMULATION = Formulation(
    name="milp_time_indexed",
    summary="MILP with a binary for every start period, on a coarse grid that is made exact where it matters",
    citation="A. A. B. Pritsker, L. J. Watters, P. M. Wolfe, Multiproject scheduling with limited resources, "
    "Management Science 16 (1969)",
    solve=solve,
    solvers=tuple(BACKENDS),
    model_formats=MODEL_FORMATS,
    switches=SWITCHES,
    relaxes=True,
)
