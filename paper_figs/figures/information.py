"""What knowing how long, or how much work, workflows will be is worth, by the error of that knowledge (M41, M42)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import CUT, dodged, mark_cut, with_cut
from paper_figs.drawing.layout import error_bars, legend_on_top, panels, plain_log_ticks, wrapped_title
from paper_figs.drawing.style import COLUMN_WIDTH, PAGE_WIDTH, label, lines, seeds_text
from paper_figs.reading.loads import settings_text
from paper_figs.reading.paper_numbers import HEXAGENT, WORKLOADS
from paper_figs.reading.reductions import HEADLINES, pooled
from paper_figs.reading.store import CELL, NoDataError, StorePath, fill, ordered, read_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

# the horizon for HexAGenT, and work for triage, alone or beside other options
TOLD = (
    r"(?P<name>hexagent(?=\(horizon=)|triage(?=\((?:[^()]*,)?work=))\((?P<options>(?:[^()]*,)?)"
    r"(?P<told>horizon|work)=(?:oracle|hint\((?P<sigma>[^()]+)\))\)"
)
UNTOLD = np.inf  # the error where nothing is told
EACH = "all workloads"
HEIGHT = 2.3
APART = 0.4  # steps between errors, by which what is told nothing stands farther away
LEAST, MOST = 0.4, 2.5  # ratios that the axis shows at most: what is beyond them is marked at its end
BLACK = {"color": "black", "linewidth": 2.0}
POINT = {"marker": "o", "markersize": 3}


def information_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a setting, seed, policy, error and metric: ``CELL``, seed, policy, told, sigma, metric, ratio.

    ``policy`` is without what it is told, ``told`` says what that is: horizon or work. ``ratio`` is that of the policy
    with an oracle that errs by ``sigma``, infinite for none, to plain HexAGenT on the same instance, which knows what
    is revealed. Output lengths are exact, so that ``oracle`` is the one with no error.
    """
    parts = runs["policy"].str.extract(f"^{TOLD}$")
    options = parts["options"].str.removesuffix(",")
    plain = parts["name"].where(options == "", parts["name"] + "(" + options + ")")
    sigma = parts["sigma"].astype(float).fillna(0.0)
    told = runs.assign(sigma=sigma, told=parts["told"], plain=plain)[parts["told"].notna()]
    bases = told.loc[told["plain"] != HEXAGENT, ["plain", "told"]].drop_duplicates()
    untold = runs.assign(sigma=UNTOLD).merge(bases, left_on="policy", right_on="plain")
    all_told = pd.concat([told, untold], ignore_index=True).drop(columns="policy").rename(columns={"plain": "policy"})
    full = runs[runs["policy"] == HEXAGENT][[*CELL, "seed", *HEADLINES]]
    both = all_told.merge(full, on=[*CELL, "seed"], suffixes=("", "_full"))
    found = [
        both[[*CELL, "seed", "policy", "told", "sigma"]].assign(
            metric=metric, ratio=both[metric] / both[f"{metric}_full"]
        )
        for metric in HEADLINES
    ]
    return pd.concat(found, ignore_index=True)


def read_information(store: StorePath) -> pd.DataFrame:
    """A row a policy, metric, workload (and all of them) and error: mean ratio over settings, interval over seeds."""
    exact = read_runs(store, "information").query("estimator == 'exact'")
    found = information_rows(exact)
    errors = found.groupby("policy")["sigma"].transform(lambda sigma: np.isfinite(sigma).sum() and sigma.nunique())
    found = found[errors >= 2]
    if found.empty:
        raise NoDataError(
            f"no runs of HexAGenT with noisy hints beside plain ones; make them with {fill('information', store)}",
            store,
        )
    about = settings_text(exact.merge(found[CELL].drop_duplicates(), on=CELL), label)
    rows = []
    for (told, policy), of_policy in found.groupby(["told", "policy"], sort=True):
        for workload, group in {EACH: of_policy, **dict(list(of_policy.groupby("workload", sort=True)))}.items():
            for (metric, sigma), cells in group.groupby(["metric", "sigma"], sort=True):
                ratio = pooled(cells, "ratio", CELL).within(0.0)
                values = {"mean": ratio.mean, "low": ratio.low, "high": ratio.high, "n": ratio.n, "about": about}
                of = {"policy": policy, "told": told, "workload": workload, "metric": metric, "sigma": sigma}
                rows.append({**of, **values})
    return pd.DataFrame(rows)


def draw_information(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The ratio against the error, a line a workload; the rows of one policy and metric."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    errors = sorted(set(table["sigma"]))
    shown = ordered([name for name in table["workload"] if name != EACH], WORKLOADS)
    looks = {**lines(shown), EACH: BLACK} if len(shown) > 1 else lines(shown)
    told = np.isfinite(errors)
    places = np.arange(len(errors)) + np.where(told, 0.0, APART if told.any() else 0.0)
    drawn = []
    for k, (workload, style) in enumerate(looks.items()):
        rows = table[table["workload"] == workload].set_index("sigma").reindex(errors)
        place = dodged(places, k, len(looks))
        looked = {**style, **POINT, "elinewidth": 0.7}
        axes.errorbar(
            place[told], rows["mean"][told], yerr=error_bars(rows)[:, told], label=label(workload, shown), **looked
        )
        # no line leads there: it is no error
        looked["linestyle"] = "none"
        axes.errorbar(place[~told], rows["mean"][~told], yerr=error_bars(rows)[:, ~told], **looked)
        drawn.append((place, rows, style["color"]))
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    reach = table[["mean", "low", "high"]].to_numpy(dtype=float)
    least, most = max(float(np.nanmin(reach)) / 1.05, LEAST), min(float(np.nanmax(reach)) * 1.05, MOST)
    axes.set_ylim(min(least, 0.95), max(most, 1.05))
    plain_log_ticks(axes.yaxis, *axes.get_ylim())
    for place, rows, colour in drawn:
        mark_cut(axes, place, rows["low"].to_numpy(), rows["high"].to_numpy(), colour)
    axes.set_xticks(places, ["untold" if sigma == UNTOLD else f"{sigma:g}" for sigma in errors])
    axes.grid(axis="x", visible=False)
    axes.set_xlabel(f"error σ of the {table['told'].iloc[0]} told")
    axes.set_ylabel("SLO scale needed,\nHexAGenT = 1")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A row of panels a metric, a column a policy that is told something."""
    told = list(table[["told", "policy"]].drop_duplicates().itertuples(index=False, name=None))
    whom = "HexAGenT told the horizon" if told == [("horizon", HEXAGENT)] else "Policies told horizon or work"
    title = f"{whom}; {table['about'].iloc[0]}; {seeds_text(table['n'])}"
    entries = table["workload"].nunique()
    width = COLUMN_WIDTH if len(told) == 1 else PAGE_WIDTH
    fig, axes, across = panels(len(HEADLINES), len(told), HEIGHT, entries, f"{title}; {CUT}", width=width, sharex="col")
    for metric, row in zip(HEADLINES, axes, strict=True):
        for (_, policy), panel in zip(told, row, strict=True):
            draw_information(table.query("policy == @policy and metric == @metric"), panel)
            wrapped_title(panel, label(metric) if len(told) == 1 else f"{label(policy)}: {label(metric)}")
            panel.set_ylabel("" if panel is not row[0] else panel.get_ylabel())
            panel.set_xlabel(panel.get_xlabel() if metric == HEADLINES[-1] else "")
    legend_on_top(fig, axes.flat[:1], across, with_cut(title, axes.flat))
    return fig


FIGURE = Figure("information", "What an oracle is worth, by its error", read_information, draw, rank=6)
