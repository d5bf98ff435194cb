"""Time-indexed MILP in on/off variables: a binary for every period says whether a call is running (Kaplan 1988).

Let a stay take p whole periods, one at least, and z_t say whether it is on in period t. It is on in t if it started in
one of the p periods up to t; such blocks of p tile the time up to t, so that z_t + z_(t-p) + z_(t-2p) + ... says
whether it has started by t. That it runs without interruption is that these sums never go down, and that those of all
periods after the last start are the same. So z is the image of the steps under a linear bijection, and the relaxation
is that of ``milp_time_indexed`` and ``milp_step`` (Artigues 2017). Rows of resources are single variables.
"""

from __future__ import annotations

from itertools import pairwise

import pulp

from solvers.exact.milp.backends import BACKENDS
from solvers.exact.milp.model import MODEL_FORMATS
from solvers.exact.milp.time_indexed import SWITCHES, Starts, Terms, solve_on_grids
from solvers.exact.milp.tuning import TUNING, Tuning
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import Bracket
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome


class OnOff(Starts):
    """A binary for each tick in which the stay may be on; ``begun`` are sums of every p-th of them."""

    def declare(self, lp: pulp.LpProblem, name: str) -> None:
        """Add the variables of a stay that is on once, for as long as it takes.

        From the last tick in which it can start to the first in which it can be over it is on wherever it starts: these
        ticks, of which there may be millions, have the variable of the first of them.
        """
        self.periods = max(self.length, 1)
        over = self.first + self.periods
        after = range(max(self.last + 1, over), self.last + self.periods) if self.ticks else range(0)
        self.on = {t: lp.add_variable(f"{name}_{t}", 0, 1, pulp.LpInteger) for t in (*self.ticks, *after)}
        self.begun = [lp.add_variable(f"{name}_by_{t}", 0, 1) for t in self.ticks]
        for t, on in self.on.items():
            earlier = self.by(t - self.periods)
            lp += self.by(t) == on + (0 if earlier is None else earlier)  # nothing starts after the last tick
        for before, now in pairwise(self.begun):
            lp += now >= before

    def load(self, tick: int | None) -> None:
        """Values for a start in ``tick``, or for none."""
        super().load(tick)
        for t, on in self.on.items():
            on.varValue = float(tick is not None and tick <= t < tick + self.periods)

    def running(self, tick: int, ticks: int) -> Terms:
        """The variable of that tick."""
        if ticks != self.length or not self.ticks:
            return super().running(tick, ticks)
        if self.last < tick < self.first + self.periods:
            tick = self.last
        return [(self.on.get(tick), 1)]


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = TUNING) -> Outcome:
    """Solve the time-indexed model in on/off variables."""
    return solve_on_grids("milp_on_off", OnOff, problem, bracket, options, tuning)


FORMULATION = Formulation(
    name="milp_on_off",
    summary="MILP with a binary for every period that says whether a call is running then",
    citation="L. A. Kaplan, Resource-constrained project scheduling with preemption of jobs, thesis (1988); "
    "C. Artigues, On the strength of time-indexed formulations, Operations Research Letters 45 (2017)",
    solve=solve,
    solvers=tuple(BACKENDS),
    model_formats=MODEL_FORMATS,
    switches=SWITCHES,
    relaxes=True,
)
