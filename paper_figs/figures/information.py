"""What knowing how long workflows will be is worth, by the error of that knowledge (model M41)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import CUT, dodged, mark_cut
from paper_figs.drawing.layout import error_bars, legend_on_top, panels, plain_log_ticks
from paper_figs.drawing.style import label, lines, seeds_text
from paper_figs.reading.loads import settings_text
from paper_figs.reading.paper_numbers import HEXAGENT, WORKLOADS
from paper_figs.reading.reductions import HEADLINES, pooled
from paper_figs.reading.store import CELL, NoDataError, StorePath, fill, ordered, read_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

TOLD = r"hexagent\(horizon=(?:oracle|hint\((?P<sigma>[^()]+)\))\)"
EACH = "all workloads"
HEIGHT = 2.3
LEAST, MOST = 0.4, 2.5  # ratios that the axis shows at most: what is beyond them is marked at its end
BLACK = {"color": "black", "linewidth": 2.0, "marker": "o", "markersize": 3}


def information_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a setting, seed, error and metric: ``CELL``, seed, sigma, metric, ratio.

    ``ratio`` is that of HexAGenT with an oracle that errs by ``sigma`` to plain HexAGenT on the same instance, which
    knows what is revealed. Output lengths are exact, so that ``oracle`` is the one with no error.
    """
    sigma = runs["policy"].str.extract(f"^{TOLD}$")["sigma"].astype(float).fillna(0.0)
    told = runs.assign(sigma=sigma)[runs["policy"].str.fullmatch(TOLD)]
    both = told.merge(runs[runs["policy"] == HEXAGENT], on=[*CELL, "seed"], suffixes=("", "_full"))
    parts = [
        both[[*CELL, "seed", "sigma"]].assign(metric=metric, ratio=both[metric] / both[f"{metric}_full"])
        for metric in HEADLINES
    ]
    return pd.concat(parts, ignore_index=True)


def read_information(store: StorePath) -> pd.DataFrame:
    """A row a metric, workload (and all of them) and error: mean ratio over settings, interval over seeds."""
    exact = read_runs(store, "information").query("estimator == 'exact'")
    found = information_rows(exact)
    if found["sigma"].nunique() < 2:
        raise NoDataError(
            f"no runs of HexAGenT with noisy hints beside plain ones; make them with {fill('information', store)}",
            store,
        )
    about = settings_text(exact.merge(found[CELL].drop_duplicates(), on=CELL), label)
    rows = []
    for workload, group in {EACH: found, **dict(list(found.groupby("workload", sort=True)))}.items():
        for (metric, sigma), cells in group.groupby(["metric", "sigma"], sort=True):
            ratio = pooled(cells, "ratio", CELL).within(0.0)
            values = {"mean": ratio.mean, "low": ratio.low, "high": ratio.high, "n": ratio.n, "about": about}
            rows.append({"workload": workload, "metric": metric, "sigma": sigma, **values})
    return pd.DataFrame(rows)


def draw_information(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The ratio against the error, a line a workload; the rows of one metric."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    errors = sorted(set(table["sigma"]))
    shown = ordered([name for name in table["workload"] if name != EACH], WORKLOADS)
    looks = {**lines(shown), EACH: BLACK} if len(shown) > 1 else lines(shown)
    drawn = []
    for k, (workload, style) in enumerate(looks.items()):
        rows = table[table["workload"] == workload].set_index("sigma").reindex(errors)
        place = dodged(np.arange(len(errors)), k, len(looks))
        name = label(workload, shown)
        axes.errorbar(place, rows["mean"], yerr=error_bars(rows), label=name, elinewidth=0.7, **style)
        drawn.append((place, rows, style["color"]))
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    reach = table[["mean", "low", "high"]].to_numpy(dtype=float)
    least, most = max(float(np.nanmin(reach)) / 1.05, LEAST), min(float(np.nanmax(reach)) * 1.05, MOST)
    axes.set_ylim(min(least, 0.95), max(most, 1.05))
    plain_log_ticks(axes.yaxis, *axes.get_ylim())
    for place, rows, colour in drawn:
        mark_cut(axes, place, rows["low"].to_numpy(), rows["high"].to_numpy(), colour)
    axes.set_xticks(range(len(errors)), [f"{sigma:g}" for sigma in errors])
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("error σ of the horizon told")
    axes.set_ylabel("SLO scale needed,\nHexAGenT = 1")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A panel a metric, one above the other, in the width of a column."""
    title = f"HexAGenT told the horizon; {table['about'].iloc[0]}; {seeds_text(table['n'].max())}; {CUT}"
    entries = table["workload"].nunique()
    fig, axes, across = panels(len(HEADLINES), 1, HEIGHT, entries, title, sharex=True)
    for panel, metric in zip(axes.flat, HEADLINES, strict=True):
        draw_information(table[table["metric"] == metric], panel)
        panel.set_title(label(metric))
    axes[0, 0].set_xlabel("")
    legend_on_top(fig, axes.flat[:1], across, title)
    return fig


FIGURE = Figure("information", "What an oracle is worth, by its error", read_information, draw, rank=6)
