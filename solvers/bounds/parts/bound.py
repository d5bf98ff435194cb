"""What a lower bound is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from hexsched.model.instance import DECODE_MODELS
from solvers.problem.objective import KINDS, Objective
from solvers.problem.offline import OfflineProblem


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
    """

    name: str
    summary: str
    citation: str
    compute: Callable[[OfflineProblem, Objective, float], float]
    cost: Cost
    objectives: tuple[str, ...] = KINDS
    decode_models: tuple[str, ...] = DECODE_MODELS

    def holds_for(self, problem: OfflineProblem, objective: Objective) -> bool:
        """Whether it says anything of that objective on that instance."""
        return objective.kind in self.objectives and problem.instance.decode_model in self.decode_models
