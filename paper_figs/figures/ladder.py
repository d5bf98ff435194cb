"""From HexAGenT to the best possible, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paper_figs.drawing.cells import span
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import error_bars, legend_on_top, panels
from paper_figs.drawing.setting import objective_label
from paper_figs.drawing.style import PAGE_WIDTH, label, lines, seeds_text
from paper_figs.drawing.tables import TableText
from paper_figs.reading.intervals import Interval, text
from paper_figs.reading.ladder import BOUND, STEPS, read_ladder
from paper_figs.reading.paper_numbers import WORKLOADS
from paper_figs.reading.store import ordered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

LINE = 0.24  # inches of a step
ROOM = 0.75  # inches above and below them
APART = 0.16  # rows between the marks of one workload and the next


def draw_ladder(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Steps from top to bottom, what each needs relative to HexAGenT, a mark a workload; rows of one objective."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    steps = ordered(table["step"], STEPS)
    workloads = ordered(table["workload"], WORKLOADS)
    for k, (workload, style) in enumerate(lines(workloads).items()):
        rows = table[table["workload"] == workload].set_index("step").reindex(steps)
        places = np.arange(len(steps)) + APART * (k - (len(workloads) - 1) / 2)
        looks = {"color": style["color"], "fmt": "o", "markersize": 3, "elinewidth": 0.8}
        axes.errorbar(rows["mean"], places, xerr=error_bars(rows), label=label(workload, workloads), **looks)
    axes.axvline(1, color="black", linewidth=0.7)
    if BOUND in steps:  # no schedule is below it
        axes.axhline(len(steps) - 1.5, color="#999999", linewidth=0.6, linestyle=":")
    axes.set_yticks(range(len(steps)), [STEPS[step] for step in steps])
    axes.set_ylim(len(steps) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("HexAGenT = 1")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A panel an objective."""
    objectives = list(dict.fromkeys(table["objective"]))
    row = table.iloc[0]
    title = (
        f"What is needed, relative to HexAGenT; {row['cluster']}, {row['workflows']} workflows, {row['load']}; "
        f"{seeds_text(table['seeds'])}"
    )
    height = ROOM + LINE * table["step"].nunique()
    entries = table["workload"].nunique()
    fig, axes, across = panels(1, len(objectives), height, entries, title, width=PAGE_WIDTH, sharey=True)
    for panel, objective in zip(axes.flat, objectives, strict=True):
        draw_ladder(table[table["objective"] == objective], panel)
        panel.set_title(objective_label(objective))
    legend_on_top(fig, axes.flat[:1], across, title)
    return fig


def as_table(table: pd.DataFrame) -> TableText:
    """A row an objective and workload, a column a step: its ratio, and what it closes of the distance."""
    steps = ordered(table["step"], STEPS)
    rows = []
    for (objective, workload), group in table.groupby(["objective", "workload"], sort=True):
        by = group.set_index("step").to_dict("index")
        cells = [_cell(by[step]) if step in by else "–" for step in steps]
        rows.append((objective_label(str(objective)), label(str(workload)), span(group["n"]), *cells))
    about = table.iloc[0]
    note = (
        f"What is needed on {about['cluster']}, {about['workflows']} workflows, {about['load']}, relative to HexAGenT "
        "on the same instance [95 % interval over seeds]; then the share of the distance to the best schedule found "
        "that a step closes. No policy can be below the lower bound; the optimum lies between the last two."
    )
    columns = ("", "workload", "seeds", *(STEPS[step] for step in steps))
    return TableText(columns, rows, "lll" + "r" * len(steps), note)


def _cell(row: Mapping[Any, Any]) -> str:
    ratio = text(Interval(row["mean"], row["low"], row["high"], int(row["n"])), digits=2)
    return f"{ratio}; {100 * row['closed']:.0f} %" if row["closed"] == row["closed"] and row["closed"] else ratio


FIGURE = Figure("ladder", "From HexAGenT to the best possible, step by step", read_ladder, draw, rank=7, table=as_table)
