"""How the bracket around the optimum closes with time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import legend_on_top, panels, plain_log_ticks
from paper_figs.drawing.style import COLUMN_WIDTH, PAGE_WIDTH
from paper_figs.figures.gaps import COLUMNS, GRID
from paper_figs.reading.store import NoDataError, read_stored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

HEIGHT = 1.9
POINTS = 200
DECADE = 10.0  # of seconds shown at least
BEYOND = 1.3  # of the last step: what was reached there stands
NARROWEST = 0.02  # range of an axis: a closed bracket is a line, not noise
SIDES = {"upper": ("#D55E00", "-", "upper bound"), "lower": ("#0072B2", "--", "lower bound")}


def read_convergence(store: Path) -> pd.DataFrame:
    """A row a step: key, objective, seconds, lower, upper; both divided by the last upper bound of the instance."""
    found = read_stored(store, "gap_series", GRID)
    parts = []
    for (_, _), steps in found.groupby(["key", "objective"], sort=True):
        rows = steps.sort_values("seconds", kind="stable")
        last = rows["upper_bound"].dropna()
        if last.empty or last.iloc[-1] <= 0:
            continue
        scaled = {"lower": rows["lower_bound"] / last.iloc[-1], "upper": rows["upper_bound"] / last.iloc[-1]}
        parts.append(rows[["key", "objective", "seconds"]].assign(**scaled))
    if not parts:
        raise NoDataError("no bracket in this store has an upper bound above 0", store)
    return pd.concat(parts, ignore_index=True)


def draw_convergence(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Thin lines are instances, thick ones the median over them; the rows of one objective."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    last = float(table["seconds"].max())
    first = float(table.loc[table["seconds"] > 0, "seconds"].min()) if (table["seconds"] > 0).any() else 1.0
    grid = np.geomspace(min(first, last / DECADE), BEYOND * last, POINTS)
    runs = [rows for _, rows in table.groupby("key", sort=True)]
    for side, (colour, dash, name) in SIDES.items():
        curves = []
        for rows in runs:
            at = np.searchsorted(rows["seconds"].to_numpy(), grid, side="right") - 1
            known = rows[side].ffill().to_numpy()
            curve = np.where(at >= 0, known[np.maximum(at, 0)], np.nan)
            curves.append(curve)
            if len(runs) > 1:
                axes.plot(grid, curve, color=colour, linestyle=dash, linewidth=0.5, alpha=0.4)
        held = np.array(curves)
        settled = ~np.isnan(held).any(axis=0)  # a median over a changing set of instances would jump
        if settled.any():
            axes.plot(grid[settled], np.median(held[:, settled], axis=0), color=colour, linestyle=dash, label=name)
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis, float(grid[0]), float(grid[-1]))
    axes.set_xlabel("seconds")
    low, high = axes.get_ylim()
    spare = max(NARROWEST - (high - low), 0.0) / 2
    axes.set_ylim(low - spare, high + spare)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel("of the last upper bound")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A panel an objective, three in a row."""
    objectives = sorted(set(table["objective"]))
    columns = min(COLUMNS, len(objectives))
    rows = -(-len(objectives) // columns)
    width = PAGE_WIDTH if columns > 1 else COLUMN_WIDTH
    fig, axes, across = panels(rows, columns, HEIGHT, len(SIDES), width=width)
    for panel in axes.flat[len(objectives) :]:
        panel.set_visible(False)
    for k, (panel, objective) in enumerate(zip(axes.flat, objectives, strict=False)):
        one = table[table["objective"] == objective]
        draw_convergence(one, panel)
        count = one["key"].nunique()
        panel.set_title(f"{objective}, {count} instance{'s' if count > 1 else ''}")
        if k % columns:
            panel.set_ylabel("")
    legend_on_top(fig, [panel for panel in axes.flat if panel.get_visible()], across)
    return fig


FIGURE = Figure(
    "bracket-convergence", "How lower and upper bound close in on the optimum", read_convergence, draw, rank=12
)
