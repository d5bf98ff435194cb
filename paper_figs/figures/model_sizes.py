"""How models grow with the number of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import legend_on_top, panels, plain_log_ticks
from paper_figs.drawing.solves import PANEL_HEIGHT, solve_label, styles
from paper_figs.drawing.style import COLUMN_WIDTH
from paper_figs.reading.notes import noted, notes_of
from paper_figs.reading.solves import read_solves, shown, without_auto
from paper_figs.reading.store import NoDataError, StorePath

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

MEASURES = ("variables", "constraints")


def read_model_sizes(store: StorePath) -> pd.DataFrame:
    """A row a formulation, size and measure: formulation, calls, measure, median, over solves that built a model.

    Raises
    ------
    NoDataError
        When no model was built.
    """
    solves = without_auto(shown(read_solves(store)))
    long = solves.melt(["formulation", "calls"], list(MEASURES), "measure", "median")
    long = long[long["median"] > 0]
    if long.empty:
        raise NoDataError("no model was built", store)
    table = long.groupby(["formulation", "calls", "measure"], sort=False)["median"].median().reset_index()
    return noted(table, *notes_of(solves))


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """Variables beside constraints, both axes logarithmic."""
    entries = table["formulation"].nunique()
    fig, axes, across = panels(1, len(MEASURES), PANEL_HEIGHT, entries, width=COLUMN_WIDTH, sharey=True)
    sizes = sorted(table["calls"].unique())
    for panel, measure in zip(axes.flat, MEASURES, strict=True):
        rows = table[table["measure"] == measure]
        for name, style in styles(table):
            own = rows[rows["formulation"] == name].sort_values("calls")
            style["linewidth"], style["markersize"] = 1.0, 3.5
            panel.plot(own["calls"], own["median"], markerfacecolor="none", label=solve_label(name), **style)
        panel.set_xscale("log")
        panel.set_yscale("log")
        plain_log_ticks(panel.xaxis, sizes[0], sizes[-1])
        panel.set_xlabel("calls")
        panel.set_title(measure)
    axes[0, 0].set_ylabel("median of models")
    legend_on_top(fig, list(axes.flat), across)
    return fig


FIGURE = Figure("model-sizes", "variables and constraints against the number of calls", read_model_sizes, draw, rank=19)
