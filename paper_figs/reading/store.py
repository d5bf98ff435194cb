"""Stored results as the figures read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import pandas as pd

from experiments.results import WORKFLOW_COLUMNS, WORKFLOWS_CSV
from hexsched.errors import InputError
from hexsched.metrics import METRICS


class NoDataError(InputError):
    """The store has nothing that a figure could show."""


T = TypeVar("T")

# what tells one setting from another, whatever the policy and the seed
CELL = ["cluster", "workload", "workflows", "load", "estimator"]
RUN = [*CELL, "policy", "seed"]
GAP_CASE = ["cluster", "workload", "workflows", "load", "decode_model", "seed"]
PRUNE = "'hexsched grid prune' removes what is out of date"


def read_stored(store: str | Path, table: str, needs: str) -> pd.DataFrame:
    """A table of a store made by ``hexsched grid run``; a copy of its own for the caller.

    Parameters
    ----------
    store : path
    table : str
        One of ``experiments.store.tables``.
    needs : str
        The shipped grid that fills it, for the message.

    Raises
    ------
    NoDataError
        When the store has no row of it.
    InputError
        For a store that cannot be read, and for one with results of several versions of the same run.
    """
    from experiments.store import read_table

    folder = Path(store)
    if not folder.is_dir():
        raise InputError("no such folder; 'hexsched grid run smoke --store DIR' makes a store", store)
    if not has_rows(store, table):
        raise NoDataError(f"no {table} in this store; fill it with {fill(needs, store)}", store)
    return read_table(folder, table)


def fill(grid: str, store: str | Path) -> str:
    """The command that would fill the store."""
    return f"'hexsched grid run {grid} --store {store}'"


def has_rows(store: str | Path, table: str) -> bool:
    """Whether the store has any row of the table."""
    folder = Path(store) / table
    return folder.is_dir() and any(folder.glob("*.parquet"))


def read_runs(store: str | Path, needs: str = "paper") -> pd.DataFrame:
    """A row a run whose schedule passed the verifier; columns as in the table ``runs``.

    A run that was stored twice with the same outcome counts once.

    Raises
    ------
    NoDataError, InputError
        As ``read_stored``; and when two runs of the same setting, policy and seed differ.
    """
    every = read_stored(store, "runs", needs)
    runs = every[every["verified"].astype(bool)]
    if runs.empty:
        raise NoDataError("none of the runs in this store passed the verifier", store)
    outcome = [*RUN, "rate", *(name for name, metric in METRICS.items() if not metric.size)]
    runs = runs.sort_values([*RUN, "key"], kind="stable").drop_duplicates(outcome)
    twice = runs[runs.duplicated(RUN, keep=False)]
    if not twice.empty:
        row = twice.iloc[0]
        what = ", ".join(f"{row[column]}" for column in RUN)
        raise InputError(f"two runs of the same setting differ ({what}): results of several versions; {PRUNE}", store)
    return runs.reset_index(drop=True)


def read_cell_workflows(store: str | Path) -> pd.DataFrame:
    """One row a workflow of each of the runs of ``read_runs``."""
    runs = read_runs(store)
    frame = read_stored(store, "workflows", "paper")
    return frame[frame["key"].isin(runs["key"])].reset_index(drop=True)


def read_schedule_keys(store: str | Path) -> set[str]:
    """Keys of the runs whose schedules were kept."""
    return {path.name.removesuffix(".json.gz") for path in (Path(store) / "schedules").glob("*.json.gz")}


def ordered(values: Iterable[str], first: Iterable[str]) -> list[str]:
    """The distinct values: those in ``first`` in its order, then the others sorted."""
    found, leading = set(values), list(first)
    return [name for name in leading if name in found] + sorted(found - set(leading))


def read_workflows(store: str | Path) -> pd.DataFrame:
    """One row a workflow and policy of ``workflows.csv``, made by ``hexsched compare`` or ``hexsched demo``.

    Columns: instance, policy, workflow_id, arrival, latency, horizon, ratio.

    Raises
    ------
    InputError
        When the folder has no such table, or one with other columns.
    """
    path = Path(store) / WORKFLOWS_CSV
    if not path.is_file():
        raise NoDataError(f"no {WORKFLOWS_CSV} here; make it with 'hexsched compare ... -o {store}'", store)
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
