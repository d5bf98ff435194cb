"""A workload: workflows, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from hexsched.model.workload import Workflow, write_workload
from hexsched.plotting import Accessor

if TYPE_CHECKING:
    import pandas as pd


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
        import pandas as pd

        return pd.DataFrame(
            {
                "workflow_id": [w.workflow_id for w in self],
                "arrival": [w.arrival for w in self],
                "calls": [len(w.calls) for w in self],
                "prompt_tokens": [sum(c.prompt_tokens for c in w.calls) for w in self],
                "output_tokens": [sum(c.output_tokens for c in w.calls) for w in self],
            }
        )

    def calls_to_frame(self) -> pd.DataFrame:
        """A row a call: the id of its workflow, then the fields of ``Call``."""
        import pandas as pd

        fields = ("call_id", "kind", "parents", "prompt_tokens", "output_tokens", "cached_tokens", "delay")
        calls = [(w.workflow_id, call) for w in self for call in w.calls]
        columns: dict[str, list[Any]] = {"workflow_id": [name for name, _ in calls]}
        return pd.DataFrame(columns | {field: [getattr(call, field) for _, call in calls] for field in fields})
