"""What each ingredient of HexAGenT is worth: how much more it needs without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import CUT, mark_cut, with_cut
from paper_figs.drawing.layout import error_bars, legend_on_top, limits_of_means, panels, shortened, wrapped_title
from paper_figs.drawing.style import COLUMN_WIDTH, PAGE_WIDTH, label, seeds_text
from paper_figs.reading.loads import settings_text
from paper_figs.reading.paper_numbers import HEXAGENT, WORKLOADS
from paper_figs.reading.reductions import HEADLINES, pooled
from paper_figs.reading.store import CELL, NoDataError, StorePath, fill, ordered, read_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

NAMES = {
    "risk=off": "no risk order",
    "joint=off": "no joint placement",
    "kv=off": "no KV term",
    "transfer=off": "no transfer term",
    "replan=off": "no replanning",
    "horizon=oracle": "oracle horizon",
}
EACH = "all workloads"
LONGEST = 24  # letters of a variant's name at its row
MARKERS = {"req95": ("o", "#0072B2"), "req99": ("s", "#E69F00")}


def ablation_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a setting, seed, variant and metric: ``CELL``, seed, variant, metric, growth.

    ``growth`` is variant / HexAGenT - 1 on the same instance. Variants are ``hexagent(...)`` without a placement, but
    for those that figure ``information`` shows.
    """
    variants = runs[runs["policy"].str.fullmatch(r"hexagent\((?!horizon=hint\b).*\)")]
    both = variants.merge(runs[runs["policy"] == HEXAGENT], on=[*CELL, "seed"], suffixes=("", "_full"))
    parts = [
        both[[*CELL, "seed"]].assign(
            variant=both["policy"].str.slice(len(HEXAGENT) + 1, -1),
            metric=metric,
            growth=both[metric] / both[f"{metric}_full"] - 1,
        )
        for metric in HEADLINES
    ]
    return pd.concat(parts, ignore_index=True)


def read_ablation(store: StorePath) -> pd.DataFrame:
    """A row a variant, metric and workload (and all workloads): mean growth over settings, interval over seeds."""
    runs = read_runs(store, "ablation")
    found = ablation_rows(runs)
    if found.empty:
        raise NoDataError(
            f"no runs of HexAGenT with options beside plain ones; make them with {fill('ablation', store)}", store
        )
    rows = []
    compared = runs.merge(found[CELL].drop_duplicates(), on=CELL)
    groups = {EACH: found, **dict(list(found.groupby("workload", sort=True)))}
    for workload, group in groups.items():
        about = settings_text(compared if workload == EACH else compared[compared["workload"] == workload], label)
        for (variant, metric), cells in group.groupby(["variant", "metric"], sort=True):
            growth = pooled(cells, "growth", CELL).within(-1.0)
            settings = len(cells.drop_duplicates(CELL))
            values = {
                "mean": growth.mean,
                "low": growth.low,
                "high": growth.high,
                "n": growth.n,
                "settings": settings,
                "about": about,
            }
            rows.append({"workload": workload, "variant": variant, "metric": metric, **values})
    return pd.DataFrame(rows)


def draw_ablation(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How much more HexAGenT needs without an ingredient, with intervals; the rows of one workload.

    ``about`` (cluster, workload, load) and the settings' number are columns of ``read_ablation``.
    """
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    variants = ordered(list(table["variant"]), list(NAMES))
    for k, metric in enumerate(HEADLINES):
        rows = table[table["metric"] == metric].set_index("variant").reindex(variants)
        marker, colour = MARKERS[metric]
        place = np.arange(len(variants)) + (k - 0.5) * 0.3
        axes.errorbar(
            100 * rows["mean"],
            place,
            xerr=error_bars(rows, 100),
            fmt=marker,
            markersize=3.5,
            color=colour,
            linewidth=1,
            label=label(metric),
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlim(*limits_of_means(table, 100))
    for k, metric in enumerate(HEADLINES):
        rows = table[table["metric"] == metric].set_index("variant").reindex(variants)
        place = np.arange(len(variants)) + (k - 0.5) * 0.3
        low, high = 100 * rows["low"].to_numpy(), 100 * rows["high"].to_numpy()
        mark_cut(axes, place, low, high, MARKERS[metric][1], along="x")
    axes.set_yticks(range(len(variants)), [NAMES.get(name, shortened(name, LONGEST)) for name in variants])
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("change of the SLO scale needed, %")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A panel a workload; one panel where there is but one workload."""
    workloads = ordered([name for name in table["workload"] if name != EACH], WORKLOADS)
    shown = workloads if len(workloads) > 1 else [EACH]
    width = PAGE_WIDTH if len(shown) > 1 else COLUMN_WIDTH
    height = 0.55 + 0.24 * table["variant"].nunique()
    about = table.loc[table["workload"] == EACH, "about"].iloc[0]
    title = f"{_whom(set(table['variant']))} against plain; {about}; {seeds_text(table['n'])}"
    fig, axes, across = panels(1, len(shown), height, len(HEADLINES), f"{title}; {CUT}", sharey=True, width=width)
    for panel, workload in zip(axes.flat, shown, strict=True):
        draw_ablation(table[table["workload"] == workload], panel)
        wrapped_title(panel, label(workload, workloads) if workload != EACH else "")
    legend_on_top(fig, axes.flat[:1], across, with_cut(title, axes.flat), handlelength=1.2)
    return fig


def _whom(variants: set[str]) -> str:
    """What the variants are."""
    without = {name for name in variants if name in NAMES and name.endswith("=off")}
    oracle = variants & {"horizon=oracle"}
    parts = [
        *(["without an ingredient"] if without else []),
        *(["with the oracle's horizon"] if oracle else []),
        *(["with other options"] if variants - without - oracle else []),
    ]
    return f"HexAGenT {' or '.join(parts)}"


FIGURE = Figure("ablation", "HexAGenT without each of its ingredients", read_ablation, draw, rank=5)
