"""Workloads of files: what each policy needs there, relative to HexAGenT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.cells import number, seeds_mark, span
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import CUT, mark_cut, with_cut
from paper_figs.drawing.layout import columns_within, error_bars, legend_on_top, panels, plain_log_ticks, shortened
from paper_figs.drawing.style import PAGE_WIDTH, label, lines, seeds_text
from paper_figs.drawing.tables import TableText
from paper_figs.reading.reductions import HEADLINES
from paper_figs.reading.relative import CONTENDED, EACH, TOGETHER, read_relative
from paper_figs.reading.selection import in_order
from paper_figs.reading.store import EXACT, StorePath

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

NAMES = {EACH: "all files", CONTENDED: "all that reach the load"}
LINE = 0.2  # inches of a policy
ROOM = 0.7  # inches above and below them
BEYOND = 1.15  # how far axes go beyond the means, as a factor
LETTERS = 0.75  # of a small legend, to those of one with few entries
LONGEST = 36  # letters of a policy's name
SPREAD = 0.7  # of a policy's row, over which its marks lie


def read_files(store: StorePath) -> pd.DataFrame:
    """``read_relative`` on workloads of files, where output lengths were known."""
    found = read_relative(store, files=True)
    return found[found["estimator"] == EXACT].reset_index(drop=True)


def draw_files(table: pd.DataFrame, ax: Axes | None = None, within: pd.DataFrame | None = None) -> Axes:
    """Policies from top to bottom, what each needs relative to HexAGenT, a mark a workload; of a load and metric.

    The axis has room for the means of all rows ``within``, by default those of ``table``.
    """
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    policies = in_order(table["policy"])
    workloads = [name for name in sorted(set(table["workload"])) if name not in TOGETHER]
    drawn = []
    for k, (workload, style) in enumerate(lines(workloads).items()):
        rows = table[table["workload"] == workload].set_index("policy").reindex(policies)
        places = np.arange(len(policies)) + SPREAD * ((k + 0.5) / len(workloads) - 0.5)
        looks = {"color": style["color"], "fmt": "o", "markersize": 2.5, "elinewidth": 0.7}
        axes.errorbar(rows["mean"], places, xerr=error_bars(rows), label=workload, **looks)
        drawn.append((places, rows, style["color"]))
    axes.axvline(1, color="black", linewidth=0.7)
    axes.set_xscale("log")
    # every mean is seen; the intervals of few seeds may go on beyond the axis
    means = (table if within is None else within)["mean"]
    axes.set_xlim(min(float(means.min()), 0.9) / BEYOND, max(float(means.max()), 1.1) * BEYOND)
    plain_log_ticks(axes.xaxis, *axes.get_xlim())
    for places, rows, colour in drawn:
        mark_cut(axes, places, rows["low"].to_numpy(), rows["high"].to_numpy(), colour, along="x")
    axes.set_yticks(range(len(policies)), [shortened(label(name), LONGEST) for name in policies])
    axes.set_ylim(len(policies) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("SLO scale needed, HexAGenT = 1")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A row of panels a load, a column a metric."""
    loads = sorted(set(table["load"]))
    workloads = [name for name in sorted(set(table["workload"])) if name not in TOGETHER]
    title = f"SLO scale needed on workloads of files, relative to HexAGenT; {seeds_text(table['n'])}"
    height = ROOM + LINE * table["policy"].nunique()
    fig, axes, across = panels(
        len(loads),
        len(HEADLINES),
        height,
        len(workloads),
        f"{title}; {CUT}",
        width=PAGE_WIDTH,
        sharey=True,
        sharex="col",
    )
    for load, row in zip(loads, axes, strict=True):
        for metric, panel in zip(HEADLINES, row, strict=True):
            of_metric = table[table["measure"] == metric]
            draw_files(of_metric[of_metric["load"] == load], panel, of_metric)
            panel.set_title(f"{label(metric)}, {load}")
            panel.set_xlabel(panel.get_xlabel() if load == loads[-1] else "")
    across = min(across, columns_within(LETTERS * fig.get_figwidth(), workloads))
    legend_on_top(fig, axes.flat[:1], across, with_cut(title, axes.flat))
    return fig


def as_table(table: pd.DataFrame) -> TableText:
    """Req95 / Req99 of every policy, a row a workload and load."""
    policies = in_order(table["policy"])
    shown = table[table["measure"].isin(HEADLINES)]
    groups = sorted(shown.groupby(["workload", "load"]), key=lambda group: (group[0][0] in TOGETHER, group[0]))
    rows = [
        (
            NAMES.get(str(workload)) or label(str(workload), set(table["workload"])),
            load,
            span(group["n"]),
            *(_both(group, policy) for policy in policies),
        )
        for (workload, load), group in groups
    ]
    clusters = int(shown.loc[~shown["workload"].isin(TOGETHER), "settings"].max())
    note = (
        f"Req95 / Req99 relative to HexAGenT on the same instance, geometric means over seeds and {clusters} clusters. "
        "Each policy is paired with HexAGenT at the seeds that both have; where these are fewer than others of the row "
        "have, the cell says how many."
    )
    return TableText(("workload", "load", "seeds", *map(label, policies)), rows, "lll" + "r" * len(policies), note)


def _both(group: pd.DataFrame, policy: str) -> str:
    mine = group[group["policy"] == policy].set_index("measure")
    means = " / ".join(number(float(mean)) for mean in mine["mean"].reindex(list(HEADLINES)))
    return means + (seeds_mark(mine["n"].min(), group["n"].max()) if len(mine) else "")


FIGURE = Figure("real", "Workloads of files, relative to HexAGenT", read_files, draw, rank=6, table=as_table)
