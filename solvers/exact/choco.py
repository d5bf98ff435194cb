"""Constraint programming by a second solver, so that it is not one solver's word: tasks (``tasks``), searched by Choco.

It shares the problem with CP-SAT's formulation, and no line of the model. A search answers whether the objective can be
as low as a target; targets close in on the optimum from both sides as they do there.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

from solvers.bounds import critical_path
from solvers.exact.cp.closing import Steps, close
from solvers.exact.parts.formulation import Formulation
from solvers.exact.parts.size import TooLargeError
from solvers.exact.parts.start import offer_list_schedule
from solvers.exact.tasks.model import LARGEST_TIME, TaskModel, ticks_for
from solvers.problem.bracket import OPTIMALITY_TOLERANCE, Bracket
from solvers.problem.certificate import offer
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome, Report, Size
from solvers.schedules.timetable import to_schedule

NAME, SOLVER = "choco", "Choco"


@dataclass(frozen=True)
class Tuning:
    """How a solve is made.

    Attributes
    ----------
    precisions : tuple of float
        Ticks, as shares of the shortest H_w, one after the other.
    entries : int
        Numbers that a model may have; a larger one is not built.
    steps : Steps
        How the bracket is closed in.
    """

    precisions: tuple[float, ...] = (1e-4, 1e-5)
    entries: int = 300_000
    steps: Steps = Steps()  # noqa: RUF009 - frozen


def available() -> bool:
    """Whether pychoco is installed. It is not loaded here: a process that has loaded it cannot be forked."""
    return find_spec("pychoco") is not None


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = Tuning()) -> Outcome:
    """Close in on the optimum with searches for targets, in coarse ticks, then in fine ones."""
    offer_list_schedule(problem, bracket)
    if bracket.schedule is None:
        return Outcome(message="the time limit ended before there was a schedule to start from")
    size = 12 * problem.calls**2
    if size > tuning.entries:
        return Outcome(message=f"{NAME}: {TooLargeError(f'about {size:,} entries', tuning.entries)}")
    if (tokens := int(problem.kv.sum())) > LARGEST_TIME:
        return Outcome(message=f"{NAME}: calls hold {tokens:,} tokens in all, Choco counts to {LARGEST_TIME:,}")
    bracket.prove(critical_path.compute(problem, bracket.objective), critical_path.BOUND.name)
    searches = _Searches(problem, bracket, options)
    if bracket.is_closed:  # nothing is left to solve; the size is that of what would have been
        searches.precision = tuning.precisions[0]
        searches.model(bracket.value)
    for precision in tuning.precisions:
        searches.precision = precision
        close(bracket, searches.search, tuning.steps)
        if bracket.is_over:
            break
    return Outcome(searches.size, searches.root, report=searches.report)


class _Searches:
    """Searches for targets, and what is learnt of them."""

    def __init__(self, problem: OfflineProblem, bracket: Bracket, options: Options) -> None:
        self.problem, self.bracket, self.options = problem, bracket, options
        self.precision = 1.0
        self.size = Size(0, 0)
        self.root: float | None = None
        self.report: Report | None = None

    def search(self, cutoff: float, seconds: float) -> bool:
        """Whether everything up to the cutoff, or below the best schedule, has been searched."""
        target = min(cutoff, self._better())
        model = self.model(target)
        solution, done = model.search(seconds)
        if solution is not None:
            found = to_schedule(self.problem, model.timetable(solution), NAME)
            offer(self.problem, self.bracket, found, NAME)
        elif done:
            counted = self.bracket.objective.kind == "misses"
            proved = float(int(target)) + 1 if counted else target
            self.root = proved if self.root is None else self.root
            self.bracket.prove(proved, NAME)
        status = "feasible" if solution is not None else "infeasible" if done else "unknown"
        self.report = Report(SOLVER, metadata.version("pychoco"), 1, 0.0, status, self.bracket.bounds.get(NAME))
        return done

    def model(self, target: float) -> TaskModel:
        """The model of a target, and its size."""
        built = TaskModel(self.problem, self.bracket.objective, target, ticks_for(self.problem, self.precision))
        self.size = Size(built.variables, built.constraints)
        return built

    def _better(self) -> float:
        """What is worth looking for."""
        value = self.bracket.value
        return value - 1 if self.bracket.objective.kind == "misses" else value * (1 - OPTIMALITY_TOLERANCE / 2)


FORMULATION = Formulation(
    name=NAME,
    summary="constraint programming over whole ticks by a second solver: tasks, cumulative resources, targets",
    citation="C. Prud'homme, J.-G. Fages, Choco-solver: a Java library for constraint programming, Journal of Open "
    "Source Software 7 (2022)",
    solve=solve,
    objectives=("max_ratio", "req", "misses"),  # of sums of completions limits on single times say little
    solvers=(SOLVER,),
    available=available,
    extra="choco",
)
