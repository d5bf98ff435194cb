"""Shares of calls and workflows within thresholds as the load grows (model M38)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import dodged
from paper_figs.drawing.layout import error_bars, legend_on_top, panels, wrapped_title
from paper_figs.drawing.style import label, lines
from paper_figs.figures.sweeps import MOST_TICKS, RULES
from paper_figs.reading.intervals import mean_interval
from paper_figs.reading.notes import noted
from paper_figs.reading.paper_numbers import WORKLOADS
from paper_figs.reading.reductions import rule_of
from paper_figs.reading.selection import in_order, left_out, one_trace
from paper_figs.reading.store import NoDataError, StorePath, fill, ordered, read_stored, shown_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

PAGE = ("slo", "rule", "cluster", "workflows")
SHARES = {"calls_within": "% of calls", "workflows_within": "% of workflows"}
ROW_HEIGHT = 1.45
GRID = "smoke"


def read_goodput(store: StorePath) -> pd.DataFrame:
    """One row a page, workload, load, share and policy.

    Returns
    -------
    DataFrame
        ``PAGE``, workload, x (the number of the load rule), share (of ``SHARES``), policy, mean, low, high, n: a mean
        over seeds, with its interval; of runs with exact estimates whose schedules passed the verifier.

    Raises
    ------
    NoDataError
        When no run has thresholds and a load with a number.
    """
    every = read_stored(store, "runs", GRID)
    rules = [rule_of(load) for load in every["load"]]
    every = every.assign(rule=[rule for rule, _ in rules], x=[number for _, number in rules])
    every = every[every["slo"].notna() & every["verified"].astype(bool) & every["x"].notna()]
    if every.empty:
        raise NoDataError(f"no runs with thresholds ('slo:' in the grid); make some with {fill(GRID, store)}", store)
    runs = shown_runs(every, store)
    rows = []
    for share in SHARES:
        for key, group in runs.dropna(subset=[share]).groupby([*PAGE, "workload", "x", "policy"], sort=True):
            found = mean_interval(group.groupby("seed")[share].mean().tolist()).within(0.0, 1.0)
            named = dict(zip([*PAGE, "workload", "x", "policy"], key, strict=True))
            rows.append(
                {**named, "share": share, "mean": found.mean, "low": found.low, "high": found.high, "n": found.n}
            )
    return noted(pd.DataFrame(rows), left_out(every, runs), one_trace(runs))


def draw_share(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One share against the load, a line a policy; the rows of one page, workload and share."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    policies = in_order(table["policy"])
    for k, (policy, style) in enumerate(lines(policies).items()):
        rows = table[table["policy"] == policy].sort_values("x")
        bars = error_bars(rows, 100)
        axes.errorbar(
            dodged(rows["x"], k, len(policies)),
            100 * rows["mean"],
            yerr=bars,
            label=label(policy),
            elinewidth=0.8,
            marker="o",
            markersize=2.5,
            **style,
        )
    axes.set_ylim(-3, 103)
    return axes


def draw(table: pd.DataFrame) -> list[MatplotlibFigure]:
    """A page each: rows the shares, columns the workloads."""
    figures = []
    for (slo, rule, cluster, workflows), rows in table.groupby(list(PAGE), sort=True):
        workloads = ordered(list(rows["workload"]), WORKLOADS)
        shares = [share for share in SHARES if share in set(rows["share"])]
        fig, axes, across = panels(
            len(shares), len(workloads), ROW_HEIGHT, rows["policy"].nunique(), sharex="col", sharey=True
        )
        for j, workload in enumerate(workloads):
            for i, share in enumerate(shares):
                draw_share(rows[(rows["workload"] == workload) & (rows["share"] == share)], axes[i, j])
                axes[i, j].set_ylabel(f"{SHARES[share]}\nwithin" if j == 0 else "")
            wrapped_title(axes[0, j], label(workload, workloads))
            values = sorted(set(rows["x"]))
            shown = values[:: -(-len(values) // MOST_TICKS)]
            axes[-1, j].set_xticks(shown, [f"{value:g}" for value in shown])
        fig.supxlabel(RULES.get(str(rule), str(rule)), fontsize=8)
        legend_on_top(fig, axes.flat, across, f"{cluster}, {workflows} workflows; {thresholds_text(str(slo))}")
        figures.append(fig)
    return figures


def thresholds_text(slo: str) -> str:
    """``"ttft=400ms,ratio=2"`` as "TTFT ≤ 400 ms, ratio ≤ 2"."""
    text = re.sub(r"(?<=\d)(m?s)\b", r" \1", slo.replace("=", " ≤ ").replace(",", ", "))
    return text.replace("ttft", "TTFT").replace("tpot", "TPOT")


FIGURE = Figure("goodput", "Calls and workflows within thresholds as the load grows", read_goodput, draw, rank=17)
