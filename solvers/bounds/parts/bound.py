"""What a lower bound is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from hexsched.model.instance import DECODE_MODELS
from solvers.problem.bracket import Bracket
from solvers.problem.objective import KINDS, Objective
from solvers.problem.offline import OfflineProblem

LEAST_SECONDS = 1e-3  # of any bound: at the end of the time, what is quick is computed all the same


class Cost(IntEnum):
    """What a bound takes."""

    AT_ONCE = 0  # arithmetic
    LINEAR_PROGRAM = 1  # grows steeply with the instance
    ANY_TIME = 2  # the longer the better, at any size


@dataclass(frozen=True)
class Bound:
    """A value that no schedule can beat.

    Attributes
    ----------
    name, summary, citation : str
    compute : callable
        ``(problem, objective, time_limit) -> float``; a valid bound however early the time runs out.
    cost : Cost
    objectives : tuple of str
        Kinds of objectives it bounds.
    decode_models : tuple of str
        Decode models whose instances it bounds.
    close_in : callable, optional
        ``(problem, bracket, seed) -> None``, for a bound that gets better the longer it takes: proves to the bracket
        what it can while there is time, and may look at the best schedule.
    """

    name: str
    summary: str
    citation: str
    compute: Callable[[OfflineProblem, Objective, float], float]
    cost: Cost
    objectives: tuple[str, ...] = KINDS
    decode_models: tuple[str, ...] = DECODE_MODELS
    close_in: Callable[[OfflineProblem, Bracket, int], None] | None = None

    def holds_for(self, problem: OfflineProblem, objective: Objective) -> bool:
        """Whether it says anything of that objective on that instance."""
        return objective.kind in self.objectives and problem.instance.decode_model in self.decode_models

    def prove(self, problem: OfflineProblem, bracket: Bracket, seed: int = 0) -> None:
        """Prove to the bracket what it can in the time that is left; at least what takes next to none."""
        if self.close_in is not None:
            self.close_in(problem, bracket, seed)
        else:
            bracket.prove(self.compute(problem, bracket.objective, max(bracket.left, LEAST_SECONDS)), self.name)
