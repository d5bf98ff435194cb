"""What the runner asks of whatever computes tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from experiments.grid.cell import Cell
from experiments.grid.work import Result, Task


@dataclass(frozen=True)
class Loss:
    """A process died, and these cells of its task were not computed.

    Attributes
    ----------
    cells : tuple of Cell
    culprit : Cell or None
        The one that was being computed; None when that is not known.
    rate : float or None
        As in ``Task``.
    reason : str
    """

    cells: tuple[Cell, ...]
    culprit: Cell | None
    rate: float | None
    reason: str


class Backend(Protocol):
    """Computes tasks, several at a time."""

    def room(self) -> int:
        """How many more tasks can be taken now."""

    def submit(self, task: Task) -> None:
        """Take a task."""

    def wait(self, seconds: float) -> list[Result | Loss]:
        """What has come since the last call; waits for something at most so long."""

    def close(self) -> None:
        """Stop at once; what is being computed is lost."""
