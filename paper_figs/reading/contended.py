"""Which stored run the timelines show: the most contended, under HexAGenT and the strongest baseline."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from paper_figs.reading.selection import Selection, in_order
from paper_figs.reading.store import CELL, NoDataError, StorePath, read_runs, read_schedule_keys


@dataclass(frozen=True)
class Pair:
    """One instance under two policies.

    Attributes
    ----------
    title : str
        What is run on what.
    runs : DataFrame
        Two rows of ``read_runs``, the baseline first.
    """

    title: str
    runs: pd.DataFrame


def read_contended_pair(store: StorePath) -> Pair:
    """Of the instances with the schedules of two policies kept, that with the largest Req95 of the better one.

    The pair is the policy under study and its rival with the least Req95 on that instance: HexAGenT and a baseline of
    the paper unless others were selected. Where these are missing, it is the first two policies that figures list.
    """
    runs = read_runs(store)
    runs = runs[runs["key"].isin(read_schedule_keys(store))]
    best: tuple[float, tuple[object, ...]] | None = None
    chosen = None
    for key, group in runs.groupby([*CELL, "seed"], sort=True):
        if group["policy"].nunique() < 2:
            continue
        pair = _pair(group, Selection.of(store))
        rank = (float(pair["req95"].min()), key)
        if best is None or rank[0] > best[0]:
            best, chosen = rank, pair
    if chosen is None:
        raise NoDataError(
            "no instance with the schedules of two policies; keep them with 'hexsched grid run ... --schedules'",
            store,
        )
    row = chosen.iloc[0]
    title = f"{row['cluster']}, {row['workload']}, {row['workflows']} workflows, load {row['load']}, seed {row['seed']}"
    return Pair(title, chosen)


def _pair(group: pd.DataFrame, selected: Selection) -> pd.DataFrame:
    rows = group.set_index("policy", drop=False)
    rivals = [name for name in selected.rivals if name in rows.index]
    if selected.study in rows.index and rivals:
        names = [str(rows.loc[rivals, "req95"].idxmin()), selected.study]
    else:
        names = in_order(group["policy"])[:2]
    return rows.loc[names].reset_index(drop=True)
