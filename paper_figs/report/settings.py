"""The reductions in words and tables: setting by setting, in groups, where there are none, and as the load changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from experiments.pages import table
from paper_figs.drawing.cells import number, seeds_mark, share
from paper_figs.drawing.style import cluster_label, label, pool_label
from paper_figs.figures.summary import ours_text
from paper_figs.reading.intervals import mean_interval, text
from paper_figs.reading.loads import load_text
from paper_figs.reading.reductions import HEADLINES, main_load, paper_cells, pooled
from paper_figs.reading.selection import in_order
from paper_figs.reading.store import CELL

SETTING = ["cluster", "workload", "workflows", "load"]
FEW = 5  # settings, below which nothing is said about what goes with what


def setting_by_setting(less: pd.DataFrame, why: str) -> str:
    if less.empty:
        return ""
    parts = [
        "## Setting by setting",
        f"{label(_study(less))} against the strongest baseline, load {less['load'].iloc[0]}; the number of workflows "
        "ends the name of a setting, or a load that was not reached. All numbers of a row are means over "
        f"the same seeds, those at which {label(_study(less))} and all baselines of the setting ran. "
        "Every baseline, and every other load: `figures/reductions.csv`.",
        *([why] if why else []),
    ]
    for metric in HEADLINES:
        rows = []
        best = less[(less["metric"] == metric) & less["strongest"]]
        for _, cell in best.groupby(["model", "pool", *CELL], sort=True):
            row = cell.iloc[0].to_dict()
            reduction = mean_interval(cell["reduction"].tolist()).within(most=1.0)
            values = (number(cell["needed"].mean()), label(row["baseline"]), number(cell["value"].mean()))
            rows.append((_named(row, less), *values, share(reduction), reduction.n))
        columns = ("setting", label(_study(less)), "strongest", "its", "reduction [95 % interval]", "seeds")
        parts += [f"### {label(metric)}", table(columns, rows)]
    return "\n\n".join(parts)


def every_policy(exact: pd.DataFrame, paired: pd.DataFrame) -> str:
    """What each policy needs, setting by setting, at the load that most settings have, over the seeds of ``paired``."""
    if exact.empty:
        return ""
    rows_at = exact[exact["load"] == main_load(exact)]
    policies = in_order(rows_at["policy"])
    parts = [
        "### Every policy",
        f"SLO scale needed, mean [95 % interval over seeds], load {rows_at['load'].iloc[0]}; a dash where a policy was "
        "not run. A row has the seeds at which the policy under study and all baselines of the setting ran, as above; "
        "a policy that lacks some of them has its own number in its cell.",
    ]
    for metric in HEADLINES:
        rows = []
        for _, cell in rows_at.groupby(["model", "pool", *CELL], sort=True):
            same = paired[(paired[CELL] == cell[CELL].iloc[0]).all(axis="columns")]
            shown = same if len(same) else cell  # without a seed that all have, each over its own
            seeds = shown["seed"].nunique()
            by = {
                policy: mean_interval(values[metric].tolist()).within(1.0) for policy, values in shown.groupby("policy")
            }
            each = [
                text(by[name], digits=2) + seeds_mark(by[name].n, seeds) if name in by else "–" for name in policies
            ]
            named = _named({**cell.iloc[0].to_dict(), "reached": cell["reached"].mean()}, rows_at)
            rows.append((named, *each, seeds))
        parts += [f"{label(metric)}:", table(("setting", *map(label, policies), "seeds"), rows)]
    return "\n\n".join(parts)


def by_group(less: pd.DataFrame) -> str:
    best = less[less["strongest"]]
    if best.empty:
        return ""
    rows = []
    for kind in ("model", "pool", "workload", "workflows"):
        for value, group in best.groupby(kind, sort=True):
            each = [share(pooled(group[group["metric"] == metric])) for metric in HEADLINES]
            settings = len(group.drop_duplicates(CELL))
            rows.append(
                (
                    kind,
                    pool_label(str(value)) if kind == "pool" else label(str(value), map(str, best[kind])),
                    settings,
                    *each,
                )
            )
    columns = ("by", "", "settings", *(f"{label(metric)}: reduction against the strongest" for metric in HEADLINES))
    return "\n\n".join(["### By model, pool, workload and number of workflows", table(columns, rows)])


def not_better(exact: pd.DataFrame, less: pd.DataFrame) -> str:
    best = less[less["strongest"]]
    if best.empty:
        return ""
    name = label(_study(less))
    parts = [f"### Where {name} is not better, and what goes with it"]
    measured = [column for column in ("prefill_utilisation", "decode_utilisation", "kv_peak") if column in exact]
    mine = exact[exact["policy"] == _study(less)]
    busy = mine.groupby(CELL)[measured].mean().to_dict("index")
    for metric in HEADLINES:
        rows, means, needs = [], [], []
        shown = total = 0
        for key, cell in best[best["metric"] == metric].groupby(CELL, sort=True):
            reduction = mean_interval(cell["reduction"].tolist())
            total += 1
            shown += reduction.known and reduction.low > 0
            means.append(reduction.mean)
            needs.append(cell["value"].mean())
            if reduction.known and reduction.high < 0:
                row = cell.iloc[0].to_dict()
                load = [number(value) for value in busy[key].values()]
                rows.append((_named(row, less), label(row["baseline"]), share(reduction), *load))
        parts.append(
            f"{label(metric)}: {name} needs less than the strongest baseline in {shown} of {total} settings "
            "beyond the "
            f"noise of the seeds, and more in {len(rows)}.{_goes_with(means, needs)}"
        )
        if rows:
            titles = [column.replace("_", " ") for column in measured]
            parts.append(table(("setting", "strongest", "reduction [95 % interval]", *titles), rows))
    return "\n\n".join(parts)


def _goes_with(means: list[float], needs: list[float]) -> str:
    """Whether the reduction goes with how contended a setting is (Spearman's rank correlation)."""
    if len(means) < FEW or len(set(needs)) < 2 or len(set(means)) < 2:
        return ""
    from scipy.stats import spearmanr

    rank = float(spearmanr(needs, means).statistic)
    return (
        " Over settings, the rank correlation between the strongest baseline's requirement (how contended it "
        "is) and the "
        f"reduction is {rank:.2f}."
    )


def by_load(claims: pd.DataFrame, exact: pd.DataFrame) -> str:
    loads = list(dict.fromkeys(claims["load"]))
    if len(loads) < 2:
        return ""
    settings = {load: len(rows[SETTING].drop_duplicates()) for load, rows in paper_cells(exact).groupby("load")}
    names = [
        name
        for name in dict.fromkeys(claims["claim"])
        if set(claims.loc[claims["claim"] == name, "load"]) >= set(loads)
    ]
    by = {(row["claim"], row["load"]): row for row in claims.to_dict("records")}
    rows = []
    for name in names:
        cells = [f"{ours_text(by[name, load])}: {by[name, load]['verdict']}" for load in loads]
        rows.append((by[name, loads[0]]["text"], by[name, loads[0]]["paper_text"], *cells))
    said = claims.drop_duplicates("load").set_index("load")["load_text"]
    titles = [f"{said[load].removeprefix('load ')} ({settings.get(load, 0)} settings)" for load in loads]
    return "\n\n".join(
        [
            "## How the conclusions move with the load",
            "Loads may have been run on different settings; only equal ones compare.",
            table(("claim", "paper", *titles), rows),
        ]
    )


def _study(less: pd.DataFrame) -> str:
    return str(less["policy"].iloc[0])


def _named(row: Mapping[Any, Any], beside: pd.DataFrame) -> str:
    place = cluster_label(str(row["model"]), str(row["pool"]))
    named = f"{place}, {label(str(row['workload']), set(beside['workload']))}, {row['workflows']}"
    load = load_text(pd.DataFrame([row])).removeprefix("load ")
    return named if load == row["load"] else f"{named}, {load}"
