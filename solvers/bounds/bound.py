"""What a lower bound is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from solvers.objective import KINDS, Objective
from solvers.problem import Problem


@dataclass(frozen=True)
class Bound:
    """A value that no schedule can beat.

    Attributes
    ----------
    name, summary, citation : str
    compute : callable
        ``(problem, objective, time_limit) -> float``; a valid bound however early the time runs out.
    objectives : tuple of str
        Kinds of objectives it bounds.
    """

    name: str
    summary: str
    citation: str
    compute: Callable[[Problem, Objective, float], float]
    objectives: tuple[str, ...] = KINDS
