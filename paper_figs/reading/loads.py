"""What a load rule came to: the load it names, or all workflows at once where even that is less than it asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pandas as pd

from experiments.grid.loads import read_load
from hexsched.errors import InputError

FEW = 4  # names that are written out
REACHED = "reached"  # column: whether the load is what the rule asks for; in tables of means, the share of the runs


def with_reached(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with column ``reached`` filled where they were stored before there was one: by rule and rate."""
    told = [_reached(load, rate) for load, rate in zip(runs["load"], runs["rate"], strict=True)]
    return runs.assign(reached=runs[REACHED].where(runs[REACHED].notna(), pd.Series(told, runs.index)).astype(bool))


@cache
def _reached(load: str, rate: float) -> bool:
    try:
        return read_load(load).reached(rate)
    except InputError:  # a rule of another version
        return True


def load_text(rows: pd.DataFrame, name: Callable[[str], str] = str) -> str:
    """The load of some rows in words: ``"load stress:5.6"``, ``"all at once (5.6 not reached)"``, or which are which.

    Parameters
    ----------
    rows : DataFrame
        Columns load (one value), ``reached`` and, to name the exceptions, workload.
    name : callable
        How a workload is written.
    """
    load = str(rows["load"].iloc[0])
    if REACHED not in rows or rows[REACHED].astype(float).min() >= 1:
        return f"load {load}"
    number = load.partition(":")[2]
    if rows[REACHED].astype(float).max() <= 0:
        return f"all at once ({number} not reached)"
    if "workload" not in rows:
        return f"load {load}, or all at once where it is not reached"
    share = rows.assign(share=rows[REACHED].astype(float)).groupby("workload")["share"].mean()
    never = [name(str(each)) for each in share.index[share <= 0]]
    partly = [name(str(each)) for each in share.index[(share > 0) & (share < 1)]]
    parts = [", ".join(never)] if never else []
    parts += [f"in part {', '.join(partly)}"] if partly else []
    return f"load {load}; all at once where it is not reached: {'; '.join(parts)}"


def settings_text(runs: pd.DataFrame, name: Callable[[str], str] = str) -> str:
    """What some runs were: cluster, workload, number of workflows and load, or how many there are of each."""
    parts = []
    for column, plural in (("cluster", "clusters"), ("workload", "workloads")):
        found = sorted(set(runs[column]))
        parts.append(", ".join(map(name, found)) if len(found) <= FEW else f"{len(found)} {plural}")
    parts.append(f"{' or '.join(map(str, sorted(set(runs['workflows']))))} workflows")
    loads = [load_text(rows, name) for _, rows in runs.groupby("load", sort=True)]
    parts.append("; ".join(loads) if len(loads) <= FEW else f"{len(loads)} loads")
    return ", ".join(parts)
