"""Stored results as the figures read them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from experiments.results import WORKFLOW_COLUMNS, WORKFLOWS_CSV
from hexsched.errors import InputError
from hexsched.metrics import METRICS
from paper_figs.reading.loads import with_reached
from paper_figs.reading.selection import VARIANT, Selection, select


class NoDataError(InputError):
    """The store has nothing that a figure could show."""


StorePath = str | os.PathLike[str]  # a store's folder, or a ``Selection`` of its policies

# what tells one setting from another, whatever the policy and the seed
CELL = ["cluster", "workload", "workflows", "load", "estimator"]
RUN = [*CELL, "policy", "seed"]
GAP_CASE = ["cluster", "workload", "workflows", "load", "decode_model", "seed"]
EXACT = "exact"
PRUNE = "'hexsched grid prune GRID... --store DIR --yes' keeps what these grids have now and removes all else"


def read_stored(store: StorePath, table: str, needs: str) -> pd.DataFrame:
    """A table of a store made by ``hexsched grid run``; a copy of its own for the caller.

    Parameters
    ----------
    store : path
        A ``Selection`` leaves out the rows of other policies.
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
    if not os.path.isdir(folder):
        raise InputError("no such folder; 'hexsched grid run smoke --store DIR' makes a store", folder)
    if not has_rows(store, table):
        raise NoDataError(f"no {table} in this store; fill it with {fill(needs, store)}", folder)
    every = read_table(folder, table)
    found = Selection.of(store).rows(every)
    if found.empty and len(every):
        raise NoDataError(f"no {table} of these policies in this store", folder)
    return found.reset_index(drop=True)


def fill(grid: str, store: StorePath) -> str:
    """The command that would fill the store."""
    return f"'hexsched grid run {grid} --store {store}'"


def has_rows(store: StorePath, table: str) -> bool:
    """Whether the store has any row of the table."""
    folder = Path(store) / table
    return os.path.isdir(folder) and any(folder.glob("*.parquet"))


def read_runs(store: StorePath, needs: str = "paper") -> pd.DataFrame:
    """A row a run whose schedule passed the verifier; columns as in the table ``runs``, ``reached`` filled.

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
    outcome = [*RUN, "rate", *_outcome()]
    runs = runs.sort_values([*RUN, "key"], kind="stable").drop_duplicates(outcome)
    twice = runs[runs.duplicated(RUN, keep=False)]
    if not twice.empty:
        row = twice.iloc[0]
        what = ", ".join(f"{row[column]}" for column in RUN)
        raise InputError(f"two runs of the same setting differ ({what}): results of several versions; {PRUNE}", store)
    return with_reached(runs.reset_index(drop=True))


def read_exact_runs(store: StorePath, needs: str = "paper") -> pd.DataFrame:
    """The runs of ``read_runs`` that figures show, as ``shown_runs`` chooses them.

    Raises
    ------
    NoDataError, InputError
        As ``read_runs``; and when no run knew output lengths exactly.
    """
    return shown_runs(read_runs(store, needs), store)


def shown_runs(runs: pd.DataFrame, store: StorePath) -> pd.DataFrame:
    """The runs that knew output lengths exactly, of the policies that figures show.

    HexAGenT's variants, which the figure ``ablation`` compares, are among them where they were selected by name, or
    where there are no other policies. Where the workflows are those of a file, seeds change nothing: such runs are
    there once, and column ``repeats`` says how many seeds gave the same.

    Raises
    ------
    NoDataError
        When no run knew output lengths exactly.
    """
    exact = runs[runs["estimator"] == EXACT]
    if exact.empty:
        raise NoDataError("no runs with exact estimates", store)
    variant = exact["policy"].str.fullmatch(VARIANT)
    if not Selection.of(store).policies and not variant.all():
        exact = exact[~variant]
    return _once_a_trace(exact).reset_index(drop=True)


def _once_a_trace(runs: pd.DataFrame) -> pd.DataFrame:
    """Of a setting with one instance and one outcome a policy whatever the seed, the first seed; adds ``repeats``."""
    cells = runs.groupby(CELL)
    seeds = cells["seed"].transform("nunique")
    one_instance = (cells["instance_sha256"].transform("nunique") == 1) & (seeds > 1)
    outcomes = runs.groupby([*CELL, "policy"])[_outcome()].transform("nunique").le(1).all(axis="columns")
    same = one_instance & outcomes.groupby([runs[column] for column in CELL]).transform("all")
    runs = runs.assign(repeats=seeds.where(same, 1), seed=runs["seed"].where(~same, cells["seed"].transform("min")))
    return runs.drop_duplicates([*RUN, "slo"])


def _outcome() -> list[str]:
    return [name for name, metric in METRICS.items() if not metric.size]


def stored_policies(store: StorePath) -> list[str]:
    """Every policy that a store has results of, whatever the table."""
    from experiments.store import tables

    folder = Path(store)
    with_policies = [name for name, table in tables().items() if "policy" in table.columns and has_rows(folder, name)]
    found = {name for table in with_policies for name in read_stored(folder, table, "smoke")["policy"]}
    if (folder / WORKFLOWS_CSV).is_file():
        found |= set(read_workflows(folder)["policy"])
    return sorted(found)


def only_failed(store: StorePath) -> list[str]:
    """The policies that a store has failed simulations of and no results."""
    if not has_rows(store, "errors"):
        return []
    from experiments.store import read_table

    failed = read_table(Path(store), "errors")
    # a simulation is described as "POLICY on CLUSTER, ..."
    tried = {text.partition(" on ")[0] for text in failed.loc[failed["kind"] == "simulate", "description"]}
    chosen = Selection.of(store).policies
    return sorted(name for name in tried.difference(stored_policies(store)) if not chosen or name in chosen)


def lacking(store: StorePath, figure: str, reason: str) -> str:
    """Why a figure cannot be drawn; of the folder of a comparison, what it is and where the figure would come from."""
    folder = Path(store)
    if (folder / WORKFLOWS_CSV).is_file() and not (folder / "store.json").is_file():
        return (
            f"{figure} needs the store of a grid, this is the folder of a comparison, which has 'attainment' alone; "
            "'hexsched grid run smoke --store DIR' makes a store"
        )
    return f"{figure}: {reason.removeprefix(f'{store}: ')}"


def select_policies(store: StorePath, names: str | None) -> Selection:
    """A list of policies as it is typed, looked up in the store; all of the store when there is none.

    Raises
    ------
    InputError
        For a policy that the store lacks, with what may have been meant.
    """
    from hexsched.policies.lists import split_top_level

    return Selection.of(store) if names is None else select(store, split_top_level(names), stored_policies(store))


def read_cell_workflows(store: StorePath) -> pd.DataFrame:
    """One row a workflow of each of the runs of ``read_exact_runs``."""
    runs = read_exact_runs(store)
    frame = read_stored(store, "workflows", "paper")
    return frame[frame["key"].isin(runs["key"])].reset_index(drop=True)


def read_schedule_keys(store: StorePath) -> set[str]:
    """Keys of the runs whose schedules were kept."""
    return {path.name.removesuffix(".json.gz") for path in (Path(store) / "schedules").glob("*.json.gz")}


def ordered(values: Iterable[str], first: Iterable[str]) -> list[str]:
    """The distinct values: those in ``first`` in its order, then the others sorted."""
    found, leading = set(values), list(first)
    return [name for name in leading if name in found] + sorted(found - set(leading))


def read_workflows(store: StorePath) -> pd.DataFrame:
    """One row a workflow and policy of ``workflows.csv``, made by ``hexsched compare`` or ``hexsched demo``.

    Columns: instance, policy, workflow_id, arrival, latency, horizon, ratio.

    Raises
    ------
    InputError
        When the folder has no such table, or one with other columns.
    """
    path = Path(store) / WORKFLOWS_CSV
    if not os.path.isfile(path):
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
    return Selection.of(store).rows(frame).reset_index(drop=True)
