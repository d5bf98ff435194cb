"""Solves of formulations as the figures read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from experiments.formulations.profiles import PROBLEM, SOLVED, shifted_geometric_mean
from experiments.formulations.rows import FORMULATIONS_CSV, as_frame, read_rows
from experiments.store import read_table
from paper_figs.reading.notes import noted, notes_of
from paper_figs.reading.store import NoDataError, StorePath, has_rows
from solvers.brackets.choice import AUTO, read_arm
from solvers.exact import FORMULATIONS

FACET = ["objective", "time_limit"]  # what a figure is about must not be mixed
MOST = 12  # curves that can be told apart
REFUSED = "refused"


def read_solves(store: StorePath) -> pd.DataFrame:
    """A row a solve, from ``hexsched compare-formulations`` or else from a grid of solves.

    Solves that a solver that is not installed refused are left out, with a note.

    Raises
    ------
    NoDataError
        When the store has none.
    """
    folder = Path(store)
    if (folder / FORMULATIONS_CSV).is_file():
        frame = as_frame(read_rows(folder))
    elif has_rows(store, "solves"):
        seconds = read_table(folder, "timings").set_index("key")["solve_seconds"]
        frame = read_table(folder, "solves")
        # a grid names instances of the library alone, so their names tell them apart
        frame = frame.assign(sha256=frame["instance"], seconds=frame["key"].map(seconds))
    else:
        raise NoDataError(
            f"no solves here; make them with 'hexsched compare-formulations -o {store}' or "
            f"'hexsched grid run formulations --store {store}'",
            store,
        )
    rank = {name: k for k, name in enumerate((*FORMULATIONS, AUTO))}
    place = frame["formulation"].map(lambda name: rank.get(read_arm(name).formulation, -1))
    frame = frame.assign(place=place).sort_values(["place", "formulation"], kind="stable").drop(columns="place")
    tried = frame[frame["status"] != REFUSED]
    refused = list(dict.fromkeys(frame.loc[frame["status"] == REFUSED, "formulation"]))
    if tried.empty:
        raise NoDataError("every solve here was refused: none of the solvers is installed", store)
    said = f"refused (not installed, or no licence), so left out: {', '.join(refused)}" if refused else ""
    return noted(tried.reset_index(drop=True), said, _failed(store))


def _failed(store: StorePath) -> str:
    if not has_rows(store, "errors"):
        return ""
    errors = read_table(Path(store), "errors")
    count = int((errors["kind"] == "solve").sum())
    return (
        f"{count} solves failed and are in no figure; 'hexsched grid status --store {store}' says why" if count else ""
    )


def read_steps(store: StorePath) -> pd.DataFrame:
    """When value and bound of each solve got better: its row of ``read_solves``, with ``at``, ``found`` and ``proved``.

    Raises
    ------
    NoDataError
        When the store is none of a grid of solves.
    """
    solves = shown(read_solves(store))
    if not has_rows(store, "solve_series"):
        raise NoDataError(
            f"no series of solves; 'hexsched grid run formulations-small --store {store}' makes some", store
        )
    series = read_table(Path(store), "solve_series")
    series = series.rename(columns={"seconds": "at", "value": "found", "lower_bound": "proved"})
    return noted(solves.merge(series, on="key"), *notes_of(solves))


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """What figures with a curve each can show: all, or where that is too many, of each formulation one way to solve it.

    That is the solver with which it proves most, and among these the fastest; switches as they are by default.
    """
    every = list(dict.fromkeys(frame["formulation"]))
    if len(every) <= MOST:
        return frame
    record = {
        name: (-int((rows["status"] == "optimal").sum()), shifted_geometric_mean(rows["seconds"].to_numpy()))
        for name, rows in tried_alike(frame).groupby("formulation", sort=False)
    }
    best: dict[str, str] = {}
    for name in sorted(
        (name for name in every if not read_arm(name).switches), key=lambda name: record.get(name, (1, 0))
    ):
        best.setdefault(read_arm(name).formulation, name)
    kept = frame[frame["formulation"].isin(set(best.values()))]
    left_out = len(every) - kept["formulation"].nunique()
    note = f"{left_out} other solvers and switches are in no curve, each formulation has that of its best solver"
    return noted(kept.reset_index(drop=True), *notes_of(frame), note)


def tried_alike(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of problems that most formulations have a row on."""
    count = frame.groupby(SOLVED)["formulation"].transform("nunique")
    return frame[count == count.max()]


def by_facet(frame: pd.DataFrame, of: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """What ``of`` says of each objective and time limit, with how many instances there are."""
    parts = []
    for (objective, limit), rows in frame.groupby(FACET, sort=False):
        problems = rows["sha256"].nunique()
        facet = pd.DataFrame({"objective": [objective], "time_limit": [limit], "problems": [problems]})
        parts.append(facet.merge(of(rows), how="cross"))
    return noted(pd.concat(parts, ignore_index=True), *notes_of(frame))


def best_known(frame: pd.DataFrame) -> pd.Series:
    """The least value that any solve of the same instance and objective found, by row."""
    return frame.groupby(PROBLEM)["value"].transform("min")


def without_auto(frame: pd.DataFrame) -> pd.DataFrame:
    """Without what only chooses among the others."""
    return frame[frame["formulation"] != AUTO]
