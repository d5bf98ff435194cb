"""Constraint programming: the model in whole ticks (``cp.model``), searched by CP-SAT and closed in from both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from solvers.bounds import load, preemptive_lp
from solvers.exact.cp.closing import Steps, close
from solvers.exact.cp.energy import SEPARATION, Separation, energy_bound
from solvers.exact.cp.model import Effort, entries
from solvers.exact.cp.run import NAME, Attempt, attempt
from solvers.exact.cp.ticked import TickedProblem, in_ticks
from solvers.exact.parts.formulation import Formulation
from solvers.exact.parts.size import TooLargeError
from solvers.exact.parts.start import offer_list_schedule, search_from
from solvers.problem.bracket import Bracket
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome


@dataclass(frozen=True)
class Tuning:
    """How the time of a solve is spent.

    Attributes
    ----------
    precisions : tuple of float
        Ticks, as shares of the shortest H_w, one after the other. 1e-4 is no faster and seldom fine enough to close.
    relative_gap : float
        Where a search may stop; with the roundings it stays well below ``OPTIMALITY_TOLERANCE``.
    plain : float
        Share of the time for the first search, where others may follow.
    search : float
        Share of the time left, for local search.
    shortest_search : float
        Seconds of local search on top of that.
    bound : float
        Share of the time left, most, for the bound from windows of work.
    steps : Steps
        How the bracket of the largest ratio is closed in.
    separation : Separation
        Which windows of work are looked at for that.
    entries : int
        Numbers that a model may have; a larger one is not built. CP-SAT takes up to 500 bytes for each.
    """

    precisions: tuple[float, ...] = (1e-5, 1e-6)
    relative_gap: float = 2e-5
    plain: float = 0.4
    search: float = 0.05
    shortest_search: float = 0.01
    bound: float = 0.2
    steps: Steps = Steps()  # noqa: RUF009 - frozen
    separation: Separation = SEPARATION
    entries: int = 3_000_000


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = Tuning()) -> Outcome:
    """Solve with CP-SAT in coarse ticks, and once more in fine ones where schedule and bound do not meet in real time.

    Where that takes longer than a share of the time, the largest ratio is bracketed (``cp.closing``).
    """
    return _Solve(problem, bracket, options, tuning).run()


class _Solve:
    """One solve: searches of models in ticks that get finer, the first of which tells the size."""

    def __init__(self, problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning) -> None:
        self.problem, self.bracket, self.options, self.tuning = problem, bracket, options, tuning
        self.on: Mapping[str, bool] = SWITCHED_ON | options.extra
        self.first: Attempt | None = None
        self.last: Attempt | None = None

    def run(self) -> Outcome:
        if self.on["start"]:
            offer_list_schedule(self.problem, self.bracket)
        size = entries(in_ticks(self.problem, self.tuning.precisions[0]), self.on)
        if size > self.tuning.entries:
            return Outcome(message=f"{NAME}: {TooLargeError(f'about {size:,} entries', self.tuning.entries)}")
        bracketing = self.on["bracket"] and self.bracket.objective.is_tail
        plain = self.tuning.plain * self.bracket.left
        for precision in self.tuning.precisions:
            if self.bracket.left <= 0:
                return Outcome(message="the time limit ended before the model was built")
            data = in_ticks(self.problem, precision)
            left = self.bracket.left
            if not self._search(data, Effort(min(plain, left) if bracketing else left)).is_done:
                if bracketing and not self.bracket.is_over:
                    self._close_in()
                break
            if self.bracket.is_closed:
                break
        if self.first is None or self.last is None:
            return Outcome()
        return Outcome(self.first.size, self.first.root_bound, report=self.last.report)

    def _search(self, data: TickedProblem, effort: Effort) -> Attempt:
        made = attempt(
            data, self.bracket, self.options, self.on, effort, self.tuning.relative_gap, self.tuning.separation
        )
        self.first, self.last = self.first or made, made
        return made

    def _close_in(self) -> None:
        """Close the bracket of the largest ratio, in coarse ticks, then in fine ones."""
        if self.on["search"]:
            seconds = self.tuning.search * self.bracket.left + self.tuning.shortest_search
            search_from(self.problem, self.bracket.within(seconds), self.options)
        coarse = in_ticks(self.problem, self.tuning.precisions[0])
        self.bracket.prove(self._floor(coarse), NAME)
        if self.bracket.schedule is None:
            self._search(coarse, Effort(self.bracket.left))
            return
        for precision in self.tuning.precisions:
            data = in_ticks(self.problem, precision)

            def search(cutoff: float, seconds: float, data: TickedProblem = data) -> bool:
                to_refute = cutoff < self.bracket.value
                energy = self.on["energy"] and to_refute
                made = self._search(data, Effort(seconds, self.bracket.bound, cutoff, energy, to_refute))
                if made.is_refuted:
                    self.bracket.prove(cutoff, NAME)
                return made.is_done

            close(self.bracket, search, self.tuning.steps)

    def _floor(self, data: TickedProblem) -> float:
        """A lower bound from relaxations."""
        problem, objective = self.problem, self.bracket.objective
        seconds = self.tuning.bound * self.bracket.left
        if not self.on["energy"]:
            return load.compute(problem, objective, seconds)
        # where workflows may be dropped, the preemptive LP says more than windows do
        begin = preemptive_lp if objective.dropped(problem.workflows) else load
        known = max(self.bracket.bound, begin.compute(problem, objective, seconds / 2))
        return energy_bound(data, objective, known, seconds / 2, self.tuning.separation)


SWITCHED_ON = {
    "windows": False,
    "symmetry": True,
    "hint": True,
    "bracket": True,
    "search": True,
    "energy": True,
    "precedences": False,
    "proof": True,
    "start": True,
}

FORMULATION = Formulation(
    name=NAME,
    summary="constraint programming over whole ticks: optional intervals, no-overlap and cumulative",
    citation="Laborie et al. 2018, IBM ILOG CP optimizer for scheduling; solver: CP-SAT of OR-tools",
    solve=solve,
    solvers=("CP-SAT",),
    defaults=SWITCHED_ON,
    switches={
        "windows": "deadlines of the calls from the value of the warm start (off)",
        "symmetry": "identical instances are used in turn (on)",
        "start": "a list schedule takes the place of a warm start that is worse or missing (on)",
        "hint": "the search begins at the warm start (on)",
        "precedences": "the search learns which of two comes first (off)",
        "proof": "of up to two workers one searches without linear programs and one from the bound upwards (on)",
        "bracket": "max_ratio or req(Q) is closed in from both sides where one search is not soon done (on)",
        "search": "local search over priorities before that (on)",
        "energy": "work in windows of time against the largest ratio, while that is closed in (on)",
    },
    model_formats=(".pb", ".txt"),
)
