"""How policies fare when they do not know output lengths exactly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.cells import share
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import CUT, mark_cut, with_cut
from paper_figs.drawing.layout import error_bars, legend_on_top, limits_of_means, panels
from paper_figs.drawing.style import PAGE_WIDTH, label, lines, seeds_text
from paper_figs.drawing.tables import TableText
from paper_figs.reading.claims import estimate_growth, noise_of
from paper_figs.reading.intervals import Interval
from paper_figs.reading.loads import settings_text
from paper_figs.reading.reductions import HEADLINES, pooled
from paper_figs.reading.selection import in_order
from paper_figs.reading.store import CELL, EXACT, NoDataError, StorePath, fill, read_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

HEIGHT = 1.9


def read_estimates(store: StorePath) -> pd.DataFrame:
    """A row a policy, estimator and metric: mean growth over settings against exact lengths, low, high, n (seeds)."""
    runs = read_runs(store, "estimates")
    rows = []
    for metric in HEADLINES:
        found = estimate_growth(runs, metric)
        for (policy, estimator), cells in found.groupby(["policy", "estimator"], sort=True):
            growth = pooled(cells, "growth", CELL).within(-1.0)
            values = {"mean": growth.mean, "low": growth.low, "high": growth.high, "n": growth.n}
            rows.append({"policy": policy, "estimator": estimator, "metric": metric, **values})
    if not rows:
        raise NoDataError(
            f"no runs with estimators beside exact ones; make them with {fill('estimates', store)}", store
        )
    setting = [column for column in CELL if column != "estimator"]
    compared = runs.merge(runs.loc[runs["estimator"] != EXACT, setting].drop_duplicates(), on=setting)
    return pd.DataFrame(rows).assign(about=settings_text(compared, label))


def by_error(estimators: Iterable[str]) -> list[str]:
    """The distinct estimators by their error, those without a number last."""
    return sorted(set(estimators), key=lambda name: (np.isnan(noise_of(name)), noise_of(name), name))


def draw_estimates(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Growth against the error; estimators without a number stand to the right. The rows of one metric."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    estimators = by_error(table["estimator"])
    noisy = [name for name in estimators if not np.isnan(noise_of(name))]
    others = [name for name in estimators if np.isnan(noise_of(name))]
    points = [EXACT, *noisy]
    policies = in_order(table["policy"])
    for k, (policy, style) in enumerate(lines(policies).items()):
        rows = table[table["policy"] == policy].set_index("estimator")
        shift = 0.06 * (k - (len(policies) - 1) / 2)
        drawn = rows.reindex(points)
        drawn.loc[EXACT, ["mean", "low", "high"]] = 0.0
        place = np.arange(len(points)) + shift
        axes.errorbar(
            place, 100 * drawn["mean"], yerr=error_bars(drawn, 100), label=label(policy), elinewidth=0.8, **style
        )
        if others:
            apart = rows.reindex(others)
            place = len(points) + np.arange(len(others)) + 2 * shift
            looks = {"color": style["color"], "zorder": style.get("zorder", 2)}
            axes.errorbar(
                place, 100 * apart["mean"], yerr=error_bars(apart, 100), fmt="o", markersize=3, elinewidth=0.8, **looks
            )
    names = ["exact", *(f"{100 * noise_of(name):g} %" for name in noisy), *(name.replace("_", "\n") for name in others)]
    axes.set_xticks(range(len(names)), names)
    axes.grid(axis="x", visible=False)
    axes.set_ylim(*limits_of_means(table, 100))
    for k, (policy, style) in enumerate(lines(policies).items()):
        rows = table[table["policy"] == policy].set_index("estimator")
        shift = 0.06 * (k - (len(policies) - 1) / 2)
        place = np.concatenate([np.arange(len(points)) + shift, len(points) + np.arange(len(others)) + 2 * shift])
        ends = rows.reindex([*points, *others])
        mark_cut(axes, place, 100 * ends["low"].to_numpy(), 100 * ends["high"].to_numpy(), style["color"])
    axes.set_xlabel("error of the estimated output lengths")
    axes.set_ylabel("change of the SLO scale\nneeded, %")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A panel a metric, in the width of a page."""
    about = table["about"].iloc[0]
    title = f"against the same policy with exact lengths; {about}; {seeds_text(table['n'])}"
    fig, axes, across = panels(
        1, len(HEADLINES), HEIGHT, table["policy"].nunique(), f"{title}; {CUT}", width=PAGE_WIDTH
    )
    for panel, metric in zip(axes.flat, HEADLINES, strict=True):
        draw_estimates(table[table["metric"] == metric], panel)
        panel.set_title(label(metric))
    axes[0, 1].set_ylabel("")
    legend_on_top(fig, axes.flat, across, with_cut(title, axes.flat))
    return fig


def as_table(table: pd.DataFrame) -> TableText:
    """Growth in Req95 and Req99, a row a policy and estimator."""
    rows = []
    for policy in in_order(table["policy"]):
        mine = table[table["policy"] == policy]
        for estimator in by_error(mine["estimator"]):
            by = mine[mine["estimator"] == estimator].set_index("metric").to_dict("index")
            found = [Interval(by[m]["mean"], by[m]["low"], by[m]["high"], by[m]["n"]) for m in HEADLINES]
            rows.append((label(policy), f"`{estimator}`", found[0].n, *map(share, found)))
    more = (f"{label(metric)}: more than with exact lengths" for metric in HEADLINES)
    note = f"Means over settings [95 % interval over seeds]; {table['about'].iloc[0]}."
    return TableText(("policy", "estimator", "seeds", *more), rows, "llrrr", note)


FIGURE = Figure(
    "estimates",
    "How much more policies need as their estimates err",
    read_estimates,
    draw,
    rank=6,
    table=as_table,
)
