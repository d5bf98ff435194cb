"""The studies beside the main comparison: ablation, estimates, cost of decisions, distance from the optimum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from experiments.pages import table
from paper_figs.drawing.cells import number, share
from paper_figs.drawing.style import label
from paper_figs.figures import ablation, estimates, gaps, overhead
from paper_figs.reading import paper_numbers as paper
from paper_figs.reading.intervals import Interval
from paper_figs.reading.notes import notes_of
from paper_figs.reading.reductions import HEADLINES, leads_by_estimator, pooled
from paper_figs.reading.selection import Selection, in_order
from paper_figs.reading.store import CELL, StorePath, has_rows, ordered, read_runs, read_stored

NOTABLE = 0.005  # least share of a proof that a resource is named for


def ingredients(store: StorePath) -> str:
    found = ablation.read_ablation(store)
    found = found[found["workload"] == ablation.EACH]
    rows = []
    for variant in ordered(found["variant"], ablation.NAMES):
        by = found[found["variant"] == variant].set_index("metric").to_dict("index")
        each = [share(_interval(by[metric])) for metric in HEADLINES]
        rows.append(
            (
                ablation.NAMES.get(variant, variant),
                f"`{variant}`",
                by[HEADLINES[0]]["settings"],
                by[HEADLINES[0]]["n"],
                *each,
            )
        )
    columns = (
        "HexAGenT with",
        "option",
        "settings",
        "seeds",
        *(f"{label(metric)}: more needed" for metric in HEADLINES),
    )
    return "\n\n".join(
        ["## What each ingredient is worth", "All workloads together; by workload in the figure.", table(columns, rows)]
    )


def errors_of_estimates(store: StorePath) -> str:
    found = estimates.as_table(estimates.read_estimates(store))
    parts = ["## When output lengths are not known", found.note, table(found.columns, found.rows, found.alignment)]
    return "\n\n".join([*parts, *_lead_by_estimator(store)])


def _lead_by_estimator(store: StorePath) -> list[str]:
    """What is left of the lead over the strongest baseline where both know output lengths equally well."""
    selected = Selection.of(store)
    less = leads_by_estimator(read_runs(store, "estimates"), selected.study, selected.rivals)
    if less.empty:
        return []
    rows = []
    for estimator in estimates.by_error(less["estimator"]):
        group = less[less["estimator"] == estimator]
        each = [pooled(group[group["metric"] == metric]) for metric in HEADLINES]
        rows.append((f"`{estimator}`", len(group.drop_duplicates(CELL)), each[0].n, *map(share, each)))
    study = label(selected.study)
    text = f"{study} against the strongest baseline of the setting, both with the same estimates:"
    columns = ("estimator", "settings", "seeds", *(f"{label(metric)}: reduction" for metric in HEADLINES))
    return [text, table(columns, rows)]


def decisions(store: StorePath) -> str:
    found = overhead.read_overhead(store)
    rows = []
    for policy, group in found.groupby("policy", sort=False):
        by = group.set_index("kind").to_dict("index")
        each = [_cost(by[kind]) for kind in overhead.KINDS]
        rows.append((label(str(policy)), by["mean"]["runs"], *each))
    columns = ("policy", "runs", "mean, µs (median, largest of a run)", "99 % quantile, µs (median, largest of a run)")
    least, most = paper.DECISION_MS
    text = (
        f"Wall clock a decision epoch, as measured while the grid ran. The paper gives {least} to {most} ms for "
        "a Python "
        "implementation on other hardware; here all policies but those of plug-ins are compiled, so this shows that "
        "the rules are cheap, not that the paper is wrong."
    )
    text += "".join(f" {note[:1].upper()}{note[1:]}." for note in notes_of(found))
    return "\n\n".join(["## What a decision costs", text, table(columns, rows)])


def _cost(row: Mapping[Any, Any]) -> str:
    """A mean, and in brackets median and largest over runs."""
    mean, median, largest = (number(float(row[name])) for name in ("mean", "median", "largest"))
    return f"{mean} ({median}, {largest})"


def optimum(store: StorePath) -> str:
    found = gaps.read_gaps(store)
    means = found[found["row"] == "mean"]
    each = gaps.read_gap_rows(store)
    parts = [
        "## What the optimum says",
        "LB ≤ OPT ≤ UB, so a policy's distance from the optimum lies between value/UB − 1 and value/LB − 1. Means over "
        f"instances, with a 95 % interval over them; time limits of {_range(each['time_limit'])} s an instance "
        "and objective.",
    ]
    rows = []
    for objective, group in means.groupby("objective", sort=True):
        by = group.set_index("policy").to_dict("index")
        for policy in [*in_order(str(name) for name in by if name != gaps.UPPER), gaps.UPPER]:
            row = by[policy]
            at_least = "–" if policy == gaps.UPPER else f"{100 * row['over_upper']:.1f} %"
            rows.append((objective, label(policy), int(row["n"]), at_least, share(_interval(row, "over_lower"))))
    parts.append(table(("objective", "policy", "instances", "above OPT by at least", "at most [95 % interval]"), rows))
    width = each.drop_duplicates(["key", "objective"])
    relative = (width["upper_bound"] / width["lower_bound"].where(width["lower_bound"] > 0) - 1).groupby(
        width["objective"]
    )
    lines = [f"{objective} {100 * value:.1f} %" for objective, value in relative.median().items()]
    parts.append(f"Median width of the bracket, (UB − LB) / LB: {'; '.join(lines)}.")
    parts.append(_each_bracket(width))
    parts += _what_binds(store, width)
    return "\n\n".join(parts)


def _each_bracket(width: pd.DataFrame) -> str:
    """Every cell: the bracket, HexAGenT's place in it, and what is to be gained."""
    rows = []
    for row in width.sort_values(["objective", "workload", "workflows", "seed"], kind="stable").to_dict("records"):
        lower, upper = float(row["lower_bound"]), float(row["upper_bound"])
        relative = f"{100 * (upper / lower - 1):.1f} %" if lower > 0 else "–"
        case = (row["objective"], row["cluster"], label(str(row["workload"])), row["workflows"], row["seed"])
        rows.append((*case, f"{lower:.3f}", f"{upper:.3f}", relative, row["bound_source"], row["upper_source"]))
    columns = ("objective", "cluster", "workload", "workflows", "seed", "LB", "UB", "width", "LB by", "UB by")
    return table(columns, rows)


def _what_binds(store: StorePath, width: pd.DataFrame) -> list[str]:
    """Which resources carry the proofs, by workload and objective."""
    if not has_rows(store, "gap_binding"):
        return []
    found = read_stored(store, "gap_binding", gaps.GRID).merge(width[["key", "workload"]], on="key")
    shares = found.pivot_table(index=["workload", "objective"], columns="resource", values="share", aggfunc="mean")
    columns = [str(name) for name in shares.columns if shares[name].max() >= NOTABLE]
    rows = [
        (label(str(workload)), objective, *(f"{100 * value:.0f} %" for value in row))
        for (workload, objective), row in zip(shares.index, shares[columns].fillna(0.0).to_numpy(), strict=True)
    ]
    text = "Where the slack is: the share of each lower bound's proof that the prices of a resource carry."
    return [text, table(("workload", "objective", *columns), rows)]


def _range(values: pd.Series) -> str:
    least, most = float(values.min()), float(values.max())
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def _interval(row: Mapping[Any, Any], mean: str = "mean") -> Interval:
    return Interval(float(row[mean]), float(row["low"]), float(row["high"]), int(row["n"]))
