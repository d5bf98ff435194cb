"""By how much HexAGenT needs less than the baselines: cell by cell, paired by seed.

A cell is a cluster, workload, number of workflows, load and estimator. Its reduction at a seed is
1 - HexAGenT / baseline, both on the same instance. The *strongest baseline* of a cell is the one with the least mean
over the seeds, one for Req95 and one for Req99. Choosing it anew at each seed would hold HexAGenT against the luckiest
of four runs, which no single scheduler could reach; choosing it once still favours the baselines a little, since the
same seeds serve to choose and to compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from paper_figs.reading.intervals import Interval, mean_interval
from paper_figs.reading.paper_numbers import BASELINES, HEXAGENT, INSTANCES, MODELS, WORKFLOWS, WORKLOADS
from paper_figs.reading.store import CELL

HEADLINES = ("req95", "req99")
COLUMNS = ["seed", "metric", "baseline", "value", "hexagent", "reduction", "strongest"]


def reductions(runs: pd.DataFrame, metrics: Sequence[str] = HEADLINES) -> pd.DataFrame:
    """One row a cell, seed, metric and baseline.

    Parameters
    ----------
    runs : DataFrame
        As ``read_runs`` gives it.
    metrics : sequence of str
        Columns to compare.

    Returns
    -------
    DataFrame
        ``CELL``, model, pool, seed, metric, baseline, value (the baseline's), hexagent, reduction, strongest. Seeds at
        which HexAGenT or one of the cell's baselines is missing are left out: means over other seeds do not compare.
    """
    cell = [*CELL, "model", "pool"]
    wanted = runs[runs["policy"].isin([*BASELINES, HEXAGENT])]
    present = set(wanted["policy"])
    if HEXAGENT not in present or len(present) < 2:
        return pd.DataFrame(columns=[*cell, *COLUMNS])
    baselines = [name for name in BASELINES if name in present]
    parts = []
    for metric in metrics:
        values = wanted.pivot(index=[*cell, "seed"], columns="policy", values=metric)
        ran = values.notna().groupby(level=cell).transform("any")
        values = values[
            ran[HEXAGENT] & ran[baselines].any(axis="columns") & (values.notna() | ~ran).all(axis="columns")
        ]
        if values.empty:
            continue
        strongest = values[baselines].groupby(level=cell).transform("mean").idxmin(axis="columns")
        for name in baselines:
            rows = values[[name, HEXAGENT]].set_axis(["value", "hexagent"], axis="columns")
            rows = rows.assign(metric=metric, baseline=name, strongest=strongest == name).dropna(subset=["value"])
            parts.append(rows.assign(reduction=1.0 - rows["hexagent"] / rows["value"]).reset_index())
    if not parts:
        return pd.DataFrame(columns=[*cell, *COLUMNS])
    found = pd.concat(parts, ignore_index=True)[[*cell, *COLUMNS]]
    return found.sort_values([*cell, "metric", "baseline", "seed"], kind="stable", ignore_index=True)


def pooled(rows: pd.DataFrame, column: str = "reduction", by: Sequence[str] = (*CELL, "baseline")) -> Interval:
    """Mean over groups of the mean over seeds; the interval is over seeds.

    At every seed that all groups share, the mean over the groups is one value; seeds are independent, groups with the
    same seed are not (they share their workload). Without two such seeds there is no interval.
    """
    table = rows.pivot_table(index="seed", columns=list(by), values=column, aggfunc="mean")
    if table.empty:
        return mean_interval([])
    shared = table.dropna()
    if len(shared) >= 2:
        return mean_interval(shared.mean(axis="columns").tolist())
    return Interval(float(table.mean().mean()), math.nan, math.nan, len(shared))


def paper_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows within the paper's set-up: its models, workloads, numbers of workflows and sizes of cluster."""
    inside = (
        frame["model"].isin(MODELS)
        & frame["workload"].isin(WORKLOADS)
        & frame["workflows"].between(WORKFLOWS[0], WORKFLOWS[1])
    )
    if "prefill_instances" in frame and "decode_instances" in frame:
        inside &= (frame["prefill_instances"] + frame["decode_instances"]).between(INSTANCES[0], INSTANCES[1])
    return frame[inside]


def main_load(frame: pd.DataFrame) -> str:
    """The rule by which most settings were loaded; at a tie the first by name."""
    settings = frame.drop_duplicates(["cluster", "workload", "workflows", "load"])
    counts = settings["load"].value_counts()
    return str(sorted(counts[counts == counts.max()].index)[0])


def rule_of(load: str) -> tuple[str, float]:
    """``"stress:5.6"`` as its rule and number; NaN for a rule without one."""
    rule, _, number = load.partition(":")
    try:
        return rule, float(number)
    except ValueError:
        return rule, math.nan
