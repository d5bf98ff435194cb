"""Workloads that were read from files rather than generated: what each policy needs there, relative to HexAGenT."""

from __future__ import annotations

import pandas as pd

from hexsched.workloads.families import FAMILIES
from paper_figs.reading.paper_numbers import HEXAGENT
from paper_figs.reading.reductions import HEADLINES, pooled
from paper_figs.reading.selection import in_order
from paper_figs.reading.store import CELL, EXACT, NoDataError, StorePath, read_runs

EACH = "all files"
RUN = "hexsched grid run real --workloads FILES"


def file_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a setting, seed, policy and metric: ``CELL``, seed, policy, metric, ratio (to HexAGenT, same instance)."""
    mine = runs[~runs["workload"].isin(list(FAMILIES)) & (runs["estimator"] == EXACT)]
    full = mine[mine["policy"] == HEXAGENT][[*CELL, "seed", *HEADLINES]]
    both = mine[mine["policy"] != HEXAGENT].merge(full, on=[*CELL, "seed"], suffixes=("", "_full"))
    parts = [
        both[[*CELL, "seed", "policy"]].assign(metric=metric, ratio=both[metric] / both[f"{metric}_full"])
        for metric in HEADLINES
    ]
    return pd.concat(parts, ignore_index=True)


def read_files(store: StorePath) -> pd.DataFrame:
    """A row a load, workload (and all of them), policy and metric.

    Columns: load, workload, policy, metric, mean, low, high (of value / HexAGenT's over seeds, of means over clusters),
    n (seeds), worst (the largest mean over seeds of a setting), settings, and how many of these need over 2 % more.

    Raises
    ------
    NoDataError
        Without a workload of a file that both HexAGenT and another policy ran on.
    """
    found = file_rows(read_runs(store, "real"))
    if found.empty:
        raise NoDataError(
            f"no runs of HexAGenT and another policy on workloads of files; make them with '{RUN}'", store
        )
    rows = []
    for load, of_load in found.groupby("load", sort=True):
        for workload, group in {EACH: of_load, **dict(list(of_load.groupby("workload", sort=True)))}.items():
            for policy in in_order(group["policy"]):
                for metric in HEADLINES:
                    cells = group[(group["policy"] == policy) & (group["metric"] == metric)]
                    ratio, means = pooled(cells, "ratio", CELL).within(0.0), cells.groupby(CELL)["ratio"].mean()
                    values = {"mean": ratio.mean, "low": ratio.low, "high": ratio.high, "n": ratio.n}
                    of = {"load": load, "workload": workload, "policy": policy, "metric": metric}
                    over = int((means > 1.02).sum())
                    rows.append({**of, **values, "worst": means.max(), "settings": len(means), "over": over})
    return pd.DataFrame(rows)
