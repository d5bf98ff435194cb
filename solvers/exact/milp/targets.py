"""A series of models that ask whether the objective can be as low as a target."""

from __future__ import annotations

import math

from solvers.exact.milp.answer import BOUND_SAFETY, Answer, silent
from solvers.exact.milp.backends import Backend, run
from solvers.exact.milp.model import Build, Limits, size
from solvers.exact.milp.time_windows import target_windows
from solvers.exact.milp.tuning import Tuning
from solvers.exact.parts.size import NotBuiltError
from solvers.problem.bracket import Bracket
from solvers.problem.certificate import offer
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome, Report, Size
from solvers.schedules.timetable import to_schedule

MISSED = 1e-5  # relative; a schedule this far above a target may be a solver's tolerance


def has_targets(objective: Objective) -> bool:
    """Whether a value of the objective is a deadline for each workflow that counts."""
    return objective.is_tail or (objective.kind == "misses" and objective.parameter >= 1)


class Targets:
    """The series.

    Targets are half way between bound and value, or nearer to the bound after one that could not be decided: the lower
    a target the less is in time for it, so that either answer is found sooner.
    """

    def __init__(
        self,
        name: str,
        build: Build,
        limits: Limits,
        problem: OfflineProblem,
        bracket: Bracket,
        options: Options,
        solver: Backend,
        tuning: Tuning,
    ) -> None:
        self.name, self.build, self.limits = name, build, limits
        self.problem, self.bracket = problem, bracket
        self.options, self.solver, self.tuning = options, solver, tuning
        self.size = Size(0, 0)
        self.message = ""
        self.root: float | None = None
        self.report: Report | None = None

    def run(self) -> Outcome:
        """Narrow the bracket until it is over."""
        bracket, tuning = self.bracket, self.tuning
        is_tail = bracket.objective.is_tail
        share, seconds = tuning.half, tuning.first_attempt * bracket.left
        while not bracket.is_over:
            value, bound = bracket.value, bracket.bound
            target = min(bound + share * (value - bound), value * (1 - tuning.step)) if is_tail else value - 1
            is_last = not is_tail or bound >= value * (1 - tuning.last)
            answer = self._attempt(target, bracket.left if is_last else min(seconds, bracket.left))
            if answer is None:
                break
            if answer.solved:
                gained = (value - bracket.value) / max(value - bracket.bound, 1e-12)
                share = tuning.half if gained > tuning.little else 1.0
            elif answer.status == "infeasible":
                share = min(share * tuning.bolder, 1.0)
                self._prove(target if is_tail else value)
            elif answer.message:  # not for want of time
                self.message = answer.message
                break
            else:
                share, seconds = max(share / 2, tuning.least), seconds * tuning.longer
        return Outcome(self.size, self.root, self.message, report=self.report)

    def _attempt(self, target: float, seconds: float) -> Answer | None:
        """Look for a schedule that meets the target; None when what the solver says cannot be used."""
        problem, bracket, objective = self.problem, self.bracket, self.bracket.objective
        scale, spare = objective.parameter, int(target)
        if objective.is_tail:
            scale, spare = target, objective.dropped(problem.workflows)
        within = bracket
        while True:
            try:
                model = self.build(problem, objective, target_windows(problem, scale, spare), self.limits)
            except NotBuiltError as error:
                self.message = f"{self.name}: {error}"
                return None
            self.size = size(model.lp)
            within = within.within(seconds) if within is bracket else within  # the first building does not count
            # nobody hears of its progress: what it minimises is not the objective
            answer = run(model.lp, self.solver, silent(within.left, self.options))
            self.report = self.solver.report(answer, self.options)
            if answer.interrupted:
                bracket.interrupt()
                return None
            if objective.kind == "misses" and answer.bound is not None:
                self._prove(math.ceil(answer.bound - 1e-6))
            if not answer.solved:
                return answer
            timetable = model.timetable()
            value = offer(problem, bracket, to_schedule(problem, timetable, self.name), self.name)
            if bracket.is_closed or (value is not None and value <= target * (1 + MISSED)):
                return answer
            if not model.learn(timetable):
                self.message = "the solver's schedule misses its target once it is re-timed"
                return None
            if within.left <= 0:
                return Answer("unknown")

    def _prove(self, bound: float) -> None:
        if self.bracket.objective.is_tail:
            bound -= BOUND_SAFETY * bound
        self.root = bound if self.root is None else self.root
        self.bracket.prove(bound, self.name)
