"""How the bracket around the optimum closes with time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import legend_on_top, panels, plain_log_ticks
from paper_figs.drawing.setting import objective_label, setting_text
from paper_figs.drawing.style import COLUMN_WIDTH, PAGE_WIDTH
from paper_figs.figures.gaps import COLUMNS, GRID
from paper_figs.reading.store import GAP_CASE, NoDataError, read_stored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

HEIGHT = 1.9
POINTS = 200
DECADE = 10.0  # of seconds shown at least
BEYOND = 1.3  # of the last step: what was reached there stands
NARROWEST = 0.02  # range of an axis: a closed bracket is a line, not noise
SIDES = {"upper": ("#D55E00", "-", "best schedule found"), "lower": ("#0072B2", "--", "proven lower bound")}
LAST = "relative to the best\nschedule at the end"


def read_convergence(store: Path) -> pd.DataFrame:
    """The rows of ``convergence_table`` as stored, and what tells instances apart."""
    table = convergence_table(read_stored(store, "gap_series", GRID))
    if table.empty:
        raise NoDataError("no bracket in this store has an upper bound above 0", store)
    return table.merge(read_stored(store, "gaps", GRID)[["key", *GAP_CASE]].drop_duplicates("key"), on="key")


def convergence_table(found: pd.DataFrame, relative: bool = True) -> pd.DataFrame:
    """A row a step: key, objective, seconds, lower, upper; relative ones are divided by the last upper bound.

    Before anything is proven, or found, the bound is NaN.

    Parameters
    ----------
    found : DataFrame
        key, objective, seconds, lower_bound, upper_bound; 0 or NaN where there is none yet.
    """
    parts = []
    for (_, _), steps in found.groupby(["key", "objective"], sort=True):
        rows = steps.sort_values("seconds", kind="stable")
        known = rows[["lower_bound", "upper_bound"]].where(rows[["lower_bound", "upper_bound"]] > 0)
        last = known["upper_bound"].dropna()
        if last.empty:
            continue
        unit = last.iloc[-1] if relative else 1.0
        scaled = {"lower": known["lower_bound"] / unit, "upper": known["upper_bound"] / unit}
        parts.append(rows[["key", "objective", "seconds"]].assign(**scaled))
    columns = ["key", "objective", "seconds", "lower", "upper"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def draw_convergence(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Both ends of the bracket over time, and in grey what is between them: there is the optimum.

    Thin lines are instances, thick ones the median over them, where there are several.

    Parameters
    ----------
    table : DataFrame
        Rows of one objective: key (of the instance), seconds, lower, upper.
    ax : matplotlib Axes, optional
        The current one when absent.

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    last = float(table["seconds"].max())
    first = float(table.loc[table["seconds"] > 0, "seconds"].min()) if (table["seconds"] > 0).any() else 1.0
    grid = np.geomspace(min(first, last / DECADE), BEYOND * last, POINTS)
    runs = [rows for _, rows in table.groupby("key", sort=True)]
    middle = {}
    for side, (colour, dash, name) in SIDES.items():
        curves = []
        for rows in runs:
            at = np.searchsorted(rows["seconds"].to_numpy(), grid, side="right") - 1
            known = rows[side].ffill().to_numpy(dtype=float)
            curve = np.where(at >= 0, known[np.maximum(at, 0)], np.nan)
            curves.append(curve)
            if len(runs) > 1:
                axes.step(grid, curve, where="post", color=colour, linestyle=dash, linewidth=0.5, alpha=0.4)
        held = np.array(curves)
        settled = ~np.isnan(held).any(axis=0)  # a median over a changing set of instances would jump
        middle[side] = np.where(settled, np.median(np.where(settled, held, 0.0), axis=0), np.nan)
        axes.step(grid, middle[side], where="post", color=colour, linestyle=dash, label=name)
    axes.fill_between(grid, middle["lower"], middle["upper"], step="post", color="#000000", alpha=0.08, linewidth=0)
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis, float(grid[0]), float(grid[-1]))
    axes.set_xlim(float(grid[0]), float(grid[-1]))
    axes.set_xlabel("seconds")
    low, high = axes.get_ylim()
    spare = max(NARROWEST - (high - low), 0.0) / 2
    axes.set_ylim(low - spare, high + spare)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel(LAST)
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
        panel.set_title(f"{objective_label(objective)}, {count} instance{'s' if count > 1 else ''}")
        if k % columns:
            panel.set_ylabel("")
    title = setting_text(table.drop_duplicates("key")) + "; thick: median over instances"
    legend_on_top(fig, [panel for panel in axes.flat if panel.get_visible()], across, title)
    return fig


FIGURE = Figure(
    "bracket-convergence", "How lower and upper bound close in on the optimum", read_convergence, draw, rank=12
)
