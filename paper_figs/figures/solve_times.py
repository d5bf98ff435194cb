"""What formulations have reached by when: proofs, good schedules, good bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import legend_on_top, panels, plain_log_ticks
from paper_figs.drawing.solves import PANEL_HEIGHT, draw_facets, share_axis, solve_label, styles
from paper_figs.drawing.style import PAGE_WIDTH, SMALL
from paper_figs.reading.solves import FACET, best_known, by_facet, read_steps
from paper_figs.reading.store import StorePath

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

NEAR = 0.01  # of the best value known: what counts as a good schedule, and as a good bound
FIRST = 0.1  # seconds; before, hardly anything has started
POINTS = 120
CLOSEST = 1e-4  # distance of a bound that is drawn
TARGETS = {
    "proven": "optimum proven, %",
    "schedule": f"schedule within {100 * NEAR:g} %, %",
    "bound": f"bound within {100 * NEAR:g} %, %",
}


def read_reached(store: StorePath) -> pd.DataFrame:
    """A row a step of a curve: objective, time_limit, problems, formulation, target, seconds, share.

    The distribution of the time until something is reached (Hoos and Stützle, 1998): the share of solves that have
    proven the optimum, a schedule within 1 % of the best known, or a bound within 1 % of it. What is never reached
    counts, so curves end below 100 %.
    """
    return by_facet(read_steps(store), _reached)


def read_bounds(store: StorePath) -> pd.DataFrame:
    """A row a time: objective, time_limit, problems, formulation, seconds, bound (median, over the best value)."""
    return by_facet(read_steps(store), _bounds)


def _reached(steps: pd.DataFrame) -> pd.DataFrame:
    best = best_known(steps)
    near = {
        "schedule": steps["found"] <= best * (1 + NEAR),
        "bound": steps["proved"] >= best * (1 - NEAR),
        "proven": (steps["status"] == "optimal") & (steps["at"] == steps.groupby("key")["at"].transform("max")),
    }
    rows = []
    for name, own in steps.groupby("formulation", sort=False):
        count = own["key"].nunique()
        for target in TARGETS:
            here = own[near[target].loc[own.index]]
            # the last step may come before the end of the search that proves it
            when = here.groupby("key")["seconds" if target == "proven" else "at"].min().sort_values().to_numpy()
            share = np.arange(1, len(when) + 1) / count
            rows.append(
                pd.DataFrame({"formulation": name, "target": target, "seconds": [0.0, *when], "share": [0.0, *share]})
            )
    return pd.concat(rows, ignore_index=True)


def _bounds(steps: pd.DataFrame) -> pd.DataFrame:
    best = best_known(steps)
    last = float(steps["time_limit"].max())
    grid = np.geomspace(min(FIRST, last / 10), last, POINTS)
    rows = []
    for name, own in steps.assign(relative=(steps["proved"] / best).where(best > 0)).groupby("formulation", sort=False):
        curves = []
        for _, series in own.groupby("key"):
            known = np.array([0.0, *series["relative"].ffill().fillna(0.0)])
            curves.append(known[np.searchsorted(series["at"].to_numpy(), grid, side="right")])
        rows.append(pd.DataFrame({"formulation": name, "seconds": grid, "bound": np.median(np.array(curves), axis=0)}))
    return pd.concat(rows, ignore_index=True)


def draw_reached(table: pd.DataFrame) -> MatplotlibFigure:
    """A row of panels an objective: proofs, schedules, bounds over time."""
    facets = list(table.groupby(FACET, sort=False))
    entries = table["formulation"].nunique()
    fig, axes, across = panels(len(facets), len(TARGETS), PANEL_HEIGHT, entries, width=PAGE_WIDTH, sharey=True)
    for row, ((objective, limit), rows) in zip(axes, facets, strict=True):
        for panel, (target, says) in zip(row, TARGETS.items(), strict=True):
            _draw_one(rows[rows["target"] == target], float(str(limit)), panel)
            panel.set_title(says, fontsize=SMALL + 1)
        row[0].set_ylabel(f"{objective}, {rows['problems'].iloc[0]} instances")
    for panel in axes[-1]:
        panel.set_xlabel("seconds")
    legend_on_top(fig, list(axes.flat), across)
    return fig


def _draw_one(rows: pd.DataFrame, limit: float, axes: Axes) -> None:
    for name, style in styles(rows):
        own = rows[rows["formulation"] == name]
        del style["marker"], style["markersize"]
        axes.step(
            [*own["seconds"].clip(lower=1e-3), limit],
            [*(100 * own["share"]), 100 * own["share"].iloc[-1]],
            where="post",
            label=solve_label(name),
            **style,
        )
    _seconds_axis(axes, limit)
    share_axis(axes)


def draw_bounds(table: pd.DataFrame) -> MatplotlibFigure:
    """One panel an objective: bounds over time."""

    def draw_one(rows: pd.DataFrame, axes: Axes) -> Axes:
        for name, style in styles(rows):
            own = rows[rows["formulation"] == name]
            del style["marker"], style["markersize"]
            axes.plot(own["seconds"], 100 * (1 - own["bound"]).clip(lower=CLOSEST), label=solve_label(name), **style)
        _seconds_axis(axes, float(rows["time_limit"].iloc[0]))
        axes.set_yscale("log")
        axes.set_ylim(100 * CLOSEST / 1.5, 120)
        axes.set_yticks([0.01, 0.1, 1, 10, 100], ["≤ 0.01", "0.1", "1", "10", "100"])
        axes.set_xlabel("seconds")
        axes.set_ylabel("bound below the best, %")
        return axes

    return draw_facets(table, draw_one, shared=False)


def _seconds_axis(axes: Axes, limit: float) -> None:
    first = min(FIRST, limit / 10)
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis, first, limit)
    axes.set_xlim(first, limit)


REACHED = Figure(
    "solve-times",
    "share of solves that have proven the optimum, found a schedule within 1 %, proven a bound within 1 %, over time",
    read_reached,
    draw_reached,
    rank=15,
)
BOUNDS = Figure(
    "solve-bounds",
    "how far below the best value the lower bound is over time (median)",
    read_bounds,
    draw_bounds,
    rank=16,
)

FIGURE = (REACHED, BOUNDS)
