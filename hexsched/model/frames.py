"""Workflows as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hexsched.model.hint import FIELDS

if TYPE_CHECKING:
    import pandas as pd

    from hexsched.model.workload import Workflow

CALL = ("call_id", "kind", "parents", "prompt_tokens", "output_tokens", "cached_tokens", "delay")


def workflows_frame(workflows: Sequence[Workflow]) -> pd.DataFrame:
    """A row a workflow: id, arrival (seconds), number of calls, tokens of all prompts and outputs together."""
    import pandas as pd

    return pd.DataFrame(
        {
            "workflow_id": [w.workflow_id for w in workflows],
            "arrival": [w.arrival for w in workflows],
            "calls": [len(w.calls) for w in workflows],
            "prompt_tokens": [sum(c.prompt_tokens for c in w.calls) for w in workflows],
            "output_tokens": [sum(c.output_tokens for c in w.calls) for w in workflows],
        }
    )


def calls_frame(workflows: Sequence[Workflow]) -> pd.DataFrame:
    """A row a call: the id of its workflow, then the fields of ``Call``; those of hints where any call has one."""
    import pandas as pd

    calls = [(w.workflow_id, call) for w in workflows for call in w.calls]
    columns: dict[str, list[Any]] = {"workflow_id": [name for name, _ in calls]}
    columns |= {field: [getattr(call, field) for _, call in calls] for field in CALL}
    if any(call.hint for _, call in calls):
        columns |= {f"hint_{name}": [getattr(call.hint, name, None) for _, call in calls] for name in FIELDS}
    return pd.DataFrame(columns)
