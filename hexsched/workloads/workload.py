"""A workload: workflows, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from hexsched.display import MOST_ROWS, Summary, displayed
from hexsched.model.frames import calls_frame, workflows_frame
from hexsched.model.workload import Workflow, row_of, write_workload
from hexsched.plotting import Accessor

if TYPE_CHECKING:
    import pandas as pd


@displayed
class Workload(tuple[Workflow, ...]):
    """Workflows in the order of their file: a tuple, with a name.

    Parameters
    ----------
    workflows : iterable of Workflow
    name : str
        The family, or the file without its ending.

    Attributes
    ----------
    name : str
    """

    name: str

    def __new__(cls, workflows: Iterable[Workflow] = (), name: str = "") -> Workload:
        made = super().__new__(cls, workflows)
        made.name = name
        return made

    @overload
    def __getitem__(self, key: SupportsIndex) -> Workflow: ...
    @overload
    def __getitem__(self, key: slice) -> Workload: ...
    def __getitem__(self, key: SupportsIndex | slice) -> Workflow | Workload:
        if isinstance(key, slice):
            return Workload(super().__getitem__(key), self.name)
        return super().__getitem__(key)

    def __reduce__(self) -> tuple[Any, ...]:
        return Workload, (tuple(self), self.name)

    @property
    def call_count(self) -> int:
        """Number of calls over all workflows."""
        return sum(len(workflow.calls) for workflow in self)

    def describe(self) -> pd.DataFrame:
        """Size, shape, lengths and arrivals: a row a quantity, see ``hexsched.workloads.describe.describe``."""
        from hexsched.workloads.describe import describe

        return describe(self)

    def save(self, path: str | Path) -> None:
        """Write the workload as hexsched JSON Lines, which ``hexsched.workload(path)`` reads."""
        write_workload(path, self)

    @property
    def plot(self) -> Accessor:
        """Its plots: ``workload.plot.NAME(ax=None)``; ``workload.plot`` itself lists them."""
        return Accessor(self)

    def to_frame(self) -> pd.DataFrame:
        """A row a workflow: id, arrival (seconds), number of calls, tokens of all prompts and outputs together."""
        return workflows_frame(self)

    def calls_to_frame(self) -> pd.DataFrame:
        """A row a call: the id of its workflow, then the fields of ``Call``."""
        return calls_frame(self)

    def _summary(self) -> Summary:
        facts = {
            "workflows": len(self),
            "calls": self.call_count,
            "last arrival s": max((workflow.arrival for workflow in self), default=None),
        }
        rows = [row_of(workflow) for workflow in self[:MOST_ROWS]]
        return Summary(self.name, facts, rows, len(self))
