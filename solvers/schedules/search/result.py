"""What a search gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hexsched.display import Summary, displayed
from hexsched.model import Schedule
from solvers.problem.result import INTERRUPTED
from solvers.schedules.search.guide import Guide

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class MoveCount:
    """How a move did: guides run, or neighbourhoods solved, and how many of them lowered the energy."""

    tried: int
    helped: int


@displayed
@dataclass(frozen=True, repr=False)
class SearchResult:
    """The best schedule found: an upper bound on the optimum.

    Attributes
    ----------
    objective_name : str
    value : float
        The objective of ``schedule``, which the independent verifier has passed.
    schedule : Schedule
    guide : Guide or None
        The best guide, for another search to go on from; None where local search was not begun and the best start was
        no guide. It may lead to ``schedule``, or to one that is not as good.
    start : str
        Where the chain that found it started: a policy, ``schedule 0`` (the first one given), or a rule.
    move : str
        The last move that improved on it; empty when nothing improved on a start.
    starts : dict of str to float
        The objective of every start.
    series : tuple of (seconds, value)
        Whenever something better was found.
    evaluations : int
        Guide and policies run; a neighbourhood counts as many.
    moves : dict of str to MoveCount
    seconds : float
        Wall clock.
    message : str
        ``interrupted`` after Ctrl-C.
    """

    objective_name: str
    value: float
    schedule: Schedule
    guide: Guide | None
    start: str
    move: str
    starts: dict[str, float]
    series: tuple[tuple[float, float], ...]
    evaluations: int
    moves: dict[str, MoveCount]
    seconds: float
    message: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.message == INTERRUPTED

    @property
    def source(self) -> str:
        """Start and last move, in a line."""
        return f"search from {self.start}, last {self.move}" if self.move else self.start

    def to_frame(self) -> pd.DataFrame:
        """A row for each time that something better was found: ``seconds``, ``value``."""
        import pandas as pd

        return pd.DataFrame(self.series, columns=["seconds", "value"])

    def _summary(self) -> Summary:
        facts = {"value": self.value, "from": self.start, "last move": self.move or None, "runs": self.evaluations}
        return Summary(self.objective_name, {**facts, "seconds": self.seconds, "message": self.message or None})
