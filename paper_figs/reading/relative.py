"""What each policy needs relative to HexAGenT on the same instance, on generated workloads or on those of files."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hexsched.workloads.families import FAMILIES
from paper_figs.reading.intervals import Interval, mean_interval
from paper_figs.reading.paper_numbers import HEXAGENT
from paper_figs.reading.reductions import HEADLINES, pooled
from paper_figs.reading.selection import in_order
from paper_figs.reading.store import CELL, NoDataError, StorePath, read_runs, read_stored

EACH = "all"  # workloads together
CONTENDED = "all, load reached"  # those settings alone in which every run is at the load asked for
TOGETHER = (EACH, CONTENDED)
TOLERANCE = 1.02  # times what HexAGenT needs: what is beyond it counts as worse
NEEDS = (*HEADLINES, "max_ratio", "mean_ratio")
COST = "decision_cost"  # wall clock of a decision
MEASURES = (*NEEDS, COST)
CASE = ["load", "estimator", "workload"]
FILES_RUN = "hexsched grid run real --workloads FILES"
SETTING = [column for column in CELL if column != "estimator"]


def relative_rows(runs: pd.DataFrame, costs: pd.Series | None = None) -> pd.DataFrame:
    """A row a setting, seed, policy and measure: ``CELL``, seed, policy, reached, measure, ratio (to HexAGenT).

    Parameters
    ----------
    runs : DataFrame
        As ``read_runs`` gives it.
    costs : Series, optional
        Wall clock of a decision by key of the run; without it the ratios have no ``COST``.
    """
    with_cost = runs.assign(**{COST: runs["key"].map(costs) if costs is not None else np.nan})
    on = [*CELL, "seed"]
    full = with_cost[with_cost["policy"] == HEXAGENT][[*on, *MEASURES]]
    both = with_cost[with_cost["policy"] != HEXAGENT].merge(full, on=on, suffixes=("", "_full"))
    parts = [
        both[[*on, "policy", "reached"]].assign(measure=name, ratio=both[name] / both[f"{name}_full"])
        for name in MEASURES
    ]
    return pd.concat(parts, ignore_index=True).dropna(subset=["ratio"])


def read_relative(store: StorePath, *, files: bool) -> pd.DataFrame:
    """A row a load, estimator, workload (and ``TOGETHER``), policy and measure.

    Parameters
    ----------
    store : path
    files : bool
        The workloads that were read from files, or those that were generated.

    Returns
    -------
    DataFrame
        load, estimator, workload, policy, measure (of ``MEASURES``), mean, low, high (geometric mean of value /
        HexAGenT's over settings, interval over seeds; of the cost of decisions the median over settings at each seed,
        since single runs stall), n (seeds), settings (cluster, workload and number of workflows), reached (share of the
        runs at the load asked for), worst (the largest mean over seeds of a setting), worst_at (its cluster and
        workload), over (in how many settings that is beyond ``TOLERANCE``), surely (in how many of these the interval
        is, too).

    Raises
    ------
    NoDataError
        Without a workload of that kind that both HexAGenT and another policy ran on.
    """
    runs = read_runs(store, "real" if files else "held-out")
    runs = runs[_of_files(runs, store) == files]
    kind, run = ("of files", FILES_RUN) if files else ("that were generated", "hexsched grid run held-out")
    none = f"no runs of HexAGenT and another policy on workloads {kind}; make them with '{run}'"
    if runs.empty:
        raise NoDataError(none, store)
    try:
        costs = read_stored(store, "timings", "held-out").set_index("key")["decision_mean_us"]
    except NoDataError:
        costs = None
    found = relative_rows(runs, costs)
    if found.empty:
        raise NoDataError(none, store)
    rows = []
    for (load, estimator), of_load in found.groupby(["load", "estimator"], sort=True):
        reached = of_load.groupby(CELL)["reached"].transform("all")
        parts = {EACH: of_load, **dict(list(of_load.groupby("workload", sort=True)))}
        parts |= {CONTENDED: of_load[reached]} if reached.any() and not reached.all() else {}
        for workload, group in parts.items():
            case = {"load": load, "estimator": estimator, "workload": workload}
            for policy in in_order(group["policy"]):
                for measure in MEASURES:
                    cells = group[(group["policy"] == policy) & (group["measure"] == measure)]
                    if len(cells):
                        rows.append({**case, "policy": policy, "measure": measure, **_summary(cells)})
    return pd.DataFrame(rows)


def _of_files(runs: pd.DataFrame, store: StorePath) -> pd.Series:
    """Whether the workload of each run was read from a file: a file may be named like a family."""
    named = ~runs["workload"].isin(list(FAMILIES))
    try:
        digests = read_stored(store, "provenance", "real").set_index("key")["workload_sha256"]
    except NoDataError:
        return named
    return named | runs["key"].map(digests).notna()


def _summary(cells: pd.DataFrame) -> dict[str, object]:
    logs = cells.assign(log=np.log(cells["ratio"]))
    of_setting = {key: _exp(mean_interval(group.tolist())) for key, group in logs.groupby(SETTING, sort=True)["log"]}
    worst = max(of_setting, key=lambda key: of_setting[key].mean)
    over = [each for each in of_setting.values() if each.mean > TOLERANCE]
    if cells["measure"].iloc[0] == COST:
        ratio = mean_interval(cells.groupby("seed")["ratio"].median().tolist()).within(0.0)
    else:
        ratio = _exp(pooled(logs, "log", CELL))
    return {
        "mean": ratio.mean,
        "low": ratio.low,
        "high": ratio.high,
        "n": ratio.n,
        "settings": len(of_setting),
        "reached": cells["reached"].astype(float).mean(),
        "worst": of_setting[worst].mean,
        "worst_at": f"{worst[0]}, {worst[1]}",
        "over": len(over),
        "surely": sum(each.known and each.low > TOLERANCE for each in over),
    }


def _exp(logs: Interval) -> Interval:
    """The interval of a ratio from that of its logarithm."""
    mean, low, high = (float(np.exp(value)) for value in (logs.mean, logs.low, logs.high))
    return Interval(mean, low, high, logs.n)
