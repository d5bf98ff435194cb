"""What the store's studies come to, a sentence each with its interval and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from paper_figs.drawing.cells import share
from paper_figs.drawing.setting import objective_label
from paper_figs.drawing.style import label
from paper_figs.figures import real, relative, sweeps
from paper_figs.reading.claims import noise_of
from paper_figs.reading.intervals import mean_interval
from paper_figs.reading.ladder import STEPS, read_ladder
from paper_figs.reading.paper_numbers import BASELINES, HEXAGENT
from paper_figs.reading.reductions import HEADLINES, leads_by_estimator, main_load, pooled, reductions
from paper_figs.reading.relative import COST, EACH, NEEDS
from paper_figs.reading.selection import Selection, in_order
from paper_figs.reading.store import CELL, EXACT, NoDataError, StorePath, ordered, read_exact_runs, read_runs


def in_short(store: StorePath) -> str:
    """A line for each study that the store has."""
    lines: list[str] = []
    for study in (_comparison, _estimates, _sweeps, _generated, _files, _ladder):
        try:
            lines += study(store)
        except NoDataError:
            continue  # said under "What is missing"
    return "\n\n".join(["## In short", "\n".join(f"- {line}" for line in lines)]) if lines else ""


def _comparison(store: StorePath) -> list[str]:
    selected = Selection.of(store)
    runs = read_exact_runs(store)
    less = reductions(runs, study=selected.study, rivals=selected.rivals)
    less = less[less["strongest"].astype(bool) & (less["load"] == main_load(runs))]
    if less.empty:
        return []
    parts = []
    for metric in HEADLINES:
        mine = less[less["metric"] == metric]
        each = [mean_interval(cell["reduction"].tolist()) for _, cell in mine.groupby(CELL, sort=True)]
        better, worse = sum(one.low > 0 for one in each), sum(one.high < 0 for one in each)
        parts.append(
            f"{label(metric)} {share(pooled(mine))}, beyond the noise of the seeds in {better} of {len(each)} settings"
            + (f" (more than it in {worse})" if worse else "")
        )
    return [
        f"**{label(selected.study)}** needs less than the strongest baseline of each setting, load "
        f"{less['load'].iloc[0]}: {'; '.join(parts)}."
    ]


def _estimates(store: StorePath) -> list[str]:
    selected = Selection.of(store)
    less = leads_by_estimator(read_runs(store, "estimates"), selected.study, selected.rivals)
    if less.empty:
        return []
    names = sorted(
        set(less["estimator"]) - {EXACT}, key=lambda name: (noise_of(name) != noise_of(name), noise_of(name))
    )
    noisy = [name for name in names if noise_of(name) == noise_of(name)][-1:]
    shown = [EXACT, *noisy, *(name for name in names if noise_of(name) != noise_of(name))]
    parts = []
    for name in shown:
        each = [share(pooled(less[(less["estimator"] == name) & (less["metric"] == metric)])) for metric in HEADLINES]
        parts.append(f"`{name}` {' / '.join(each)}")
    return [
        f"**Errors of output lengths.** What {label(selected.study)} needs less than the strongest baseline, both with "
        f"the same estimates, Req95 / Req99: {'; '.join(parts)}."
    ]


def _sweeps(store: StorePath) -> list[str]:
    lines = []
    for what, (read, page) in sweeps.SWEEPS.items():
        try:
            found = read(store)
        except NoDataError:
            continue
        less = found[found["series"] == sweeps.REDUCTION]
        for key, rows in less.groupby(list(page), sort=True):
            ends = []
            for metric in HEADLINES:
                by = rows[rows["metric"] == metric].pivot(index="workload", columns="x", values="mean").dropna().mean()
                if len(by) >= sweeps.POINTS:
                    values = ", ".join(f"{100 * value:.1f} % at {x:g}" for x, value in by.items())
                    ends.append(f"{label(metric)} {values}")
            where = ", ".join(map(str, key))
            lines.append(f"**As the {what} grows** ({where}), mean reduction over workloads: {'; '.join(ends)}.")
    return lines


def _generated(store: StorePath) -> list[str]:
    return _policies(relative.read_policies(store), "generated workloads")


def _files(store: StorePath) -> list[str]:
    return _policies(real.read_files(store), "workloads of files")


def _policies(found: pd.DataFrame, what: str) -> list[str]:
    lines = []
    every = found[(found["workload"] == EACH) & (found["estimator"] == EXACT)]
    for policy in in_order(set(every["policy"]) - {*BASELINES}):
        for load, rows in every[every["policy"] == policy].groupby("load", sort=True):
            by = rows.set_index("measure").to_dict("index")
            needs = ", ".join(f"{label(name)} {relative.ratio_text(by[name])}" for name in NEEDS)
            cost = f"; a decision costs {relative.ratio_text(by[COST])} times as much" if COST in by else ""
            worst = " and ".join(
                f"{label(name)} {by[name]['worst']:.2f} ({by[name]['worst_at']})" for name in HEADLINES
            )
            lines.append(
                f"**{label(policy)}** on {what}, {load}, HexAGenT = 1, {by[HEADLINES[0]]['settings']} settings: "
                f"{needs}{cost}. Worst settings: {' and '.join(worst)}; over 2 % more in {_over(by)}."
            )
    return lines


def _over(by: Mapping[Any, Mapping[Any, Any]]) -> str:
    return " and ".join(f"{by[name]['over']} of {by[name]['settings']} ({label(name)})" for name in HEADLINES)


def _ladder(store: StorePath) -> list[str]:
    found = read_ladder(store)
    lines = []
    for step in ordered(found["step"], STEPS):
        rows = found[(found["step"] == step) & found["closed"].notna()]
        if step == HEXAGENT or rows.empty or rows["closed"].eq(1).all():
            continue
        each = []
        for row in rows.to_dict("records"):
            what = f"{label(str(row['workload']))} {objective_label(str(row['objective']))}"
            each.append(f"{what} {100 * row['closed']:.0f} % (n = {row['n']})")
        lines.append(f"**{STEPS[step]}** closes, of the distance to the best schedule found: {', '.join(each)}.")
    return lines
