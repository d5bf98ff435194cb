"""What a decision costs: wall-clock time per decision epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import ROW_LETTERS, error_bars, legend_on_top, panels, shortened
from paper_figs.drawing.style import COLUMN_WIDTH, SMALL, label
from paper_figs.reading.notes import noted
from paper_figs.reading.paper_numbers import DECISION_MS
from paper_figs.reading.reductions import pooled
from paper_figs.reading.selection import in_order
from paper_figs.reading.store import CELL, StorePath, read_runs, read_stored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

KINDS = {"mean": ("decision_mean_us", "o", "#0072B2"), "p99": ("decision_p99_us", "s", "#E69F00")}
MICROSECONDS = 1e3  # in a millisecond


def read_overhead(store: StorePath) -> pd.DataFrame:
    """A row a policy and kind (mean, p99): microseconds a decision, mean over settings, low, high (over seeds), n, and
    least, median and largest over runs. Wall clock, so no two stores agree to the digit; a note says in how many runs
    the mean is above the 99 % quantile.
    """
    runs = read_runs(store)
    timed = runs.merge(
        read_stored(store, "timings", "paper")[["key", *(column for column, _, _ in KINDS.values())]], on="key"
    )
    rows = []
    for policy in in_order(timed["policy"]):
        for kind, (column, _, _) in KINDS.items():
            found = timed[timed["policy"] == policy]
            cost = pooled(found, column, CELL).within(0.0)
            values = {"mean": cost.mean, "low": cost.low, "high": cost.high, "n": cost.n}
            spread = {"least": found[column].min(), "median": found[column].median(), "largest": found[column].max()}
            rows.append({"policy": policy, "kind": kind, **values, **spread, "runs": len(found)})
    return noted(pd.DataFrame(rows), _stalls(timed))


def _stalls(timed: pd.DataFrame) -> str:
    """What a mean above the 99 % quantile comes from, where there is such a run."""
    mean, p99 = (timed[column] for column, _, _ in KINDS.values())
    count = int((mean > p99).sum())
    if not count:
        return ""
    return (
        f"in {count} of {len(timed)} runs the mean is above the 99 % quantile: under 1 % of the decisions took most of "
        "the time, as where the machine stalls or a first call is slow; the median over runs is not moved by a few"
    )


def draw_overhead(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Points for mean and 99 % quantile (thin line: all runs), on a logarithmic axis with the paper's range beside."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    policies = list(dict.fromkeys(table["policy"]))
    for k, (kind, (_, marker, colour)) in enumerate(KINDS.items()):
        rows = table[table["kind"] == kind].set_index("policy").reindex(policies)
        place = np.arange(len(policies)) + (k - 0.5) * 0.3
        axes.hlines(place, rows["least"], rows["largest"], color=colour, linewidth=0.8, alpha=0.6)
        bars = error_bars(rows)
        bars[0] = np.minimum(bars[0], 0.95 * rows["mean"].to_numpy())  # a logarithmic axis has no place for 0
        name = "mean" if kind == "mean" else "99 % quantile"
        axes.errorbar(
            rows["mean"], place, xerr=bars, fmt=marker, markersize=3.5, color=colour, linewidth=1.6, label=name
        )
    least, most = (MICROSECONDS * end for end in DECISION_MS)
    axes.axvspan(least, most, color="#BBBBBB", alpha=0.6, linewidth=0)
    axes.text(least / 1.25, -0.42, "paper's mean", fontsize=SMALL, ha="right", va="center", color="#555555")
    axes.set_xscale("log")
    axes.set_yticks(range(len(policies)), [shortened(label(name), ROW_LETTERS) for name in policies])
    axes.set_ylim(len(policies) - 0.4, -0.75)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("wall clock of a decision, µs")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """One panel in the width of a column."""
    height = 0.7 + 0.26 * table["policy"].nunique()
    fig, axes, across = panels(1, 1, height, len(KINDS), width=COLUMN_WIDTH)
    draw_overhead(table, axes[0, 0])
    legend_on_top(fig, axes.flat, across, handlelength=1.2)
    return fig


FIGURE = Figure("overhead", "What a decision costs, by policy", read_overhead, draw, rank=10)
