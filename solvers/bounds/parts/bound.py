"""What a lower bound is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

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
    """

    name: str
    summary: str
    citation: str
    compute: Callable[[OfflineProblem, Objective, float], float]
    cost: Cost
    objectives: tuple[str, ...] = KINDS
