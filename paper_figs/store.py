"""Stored results as the figures read them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from experiments.results import WORKFLOW_COLUMNS, WORKFLOWS_CSV
from hexsched.errors import InputError


def read_workflows(store: str | Path) -> pd.DataFrame:
    """One row a workflow and policy: instance, policy, workflow_id, arrival, latency, horizon, ratio.

    Raises
    ------
    InputError
        When the store has no such table, or one with other columns.
    """
    path = Path(store) / WORKFLOWS_CSV
    if not path.is_file():
        raise InputError(f"no {WORKFLOWS_CSV} here; make it with 'hexsched compare ... -o {store}'", store)
    try:
        frame = pd.read_csv(path, dtype={"instance": str, "policy": str, "workflow_id": str})
    except (ValueError, OSError) as error:
        raise InputError(f"cannot read the table: {error}", path) from None
    missing = [column for column in WORKFLOW_COLUMNS if column not in frame]
    if missing:
        raise InputError(f"column {missing[0]!r} is missing; expected {', '.join(WORKFLOW_COLUMNS)}", path)
    if frame.empty or frame["ratio"].isna().any():
        raise InputError("the table is empty or has gaps in column 'ratio'", path)
    return frame
