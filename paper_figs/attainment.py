"""SLO attainment against SLO scale: the share of workflows with ratio at most s, for every policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.figure import Figure
from paper_figs.store import read_workflows
from paper_figs.style import COLUMN_WIDTH, PAGE_WIDTH, label, lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

COLUMNS = 4
PANEL_HEIGHT = 1.9  # inches
LEGEND_ENTRY = 1.35


def attainment_table(store: Path) -> pd.DataFrame:
    """A row a step of a curve: instance, policy, scale, attainment."""
    frame = read_workflows(store)
    parts = []
    for (instance, policy), rows in frame.groupby(["instance", "policy"], sort=False):
        scale = np.sort(rows["ratio"].to_numpy())
        share = np.arange(1, len(scale) + 1) / len(scale)
        parts.append(pd.DataFrame({"instance": instance, "policy": policy, "scale": scale, "attainment": share}))
    return pd.concat(parts, ignore_index=True)


def draw_attainment(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One instance's curves on ``ax``.

    Parameters
    ----------
    table : DataFrame
        Columns policy, scale, attainment; the rows of one instance.
    ax : matplotlib Axes, optional
        The current one when absent.

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    policies = list(table["policy"].unique())
    # the last per cent of the worst policy would squeeze all the rest
    last = 1.1 * float(table.loc[table["attainment"] >= 0.99].groupby("policy")["scale"].min().max())
    for policy, style in lines(policies).items():
        rows = table[table["policy"] == policy]
        scale = np.concatenate(([1.0], rows["scale"].to_numpy(), [max(last, rows["scale"].max())]))
        share = np.concatenate(([0.0], rows["attainment"].to_numpy(), [1.0]))
        axes.step(scale, 100 * share, where="post", label=label(policy), **style)
    axes.axhline(95, color="#999999", linewidth=0.6, zorder=1)
    axes.axhline(99, color="#999999", linewidth=0.6, zorder=1)
    axes.set_xscale("log")
    ticks = [s for s in (1, 1.5, 2, 3, 5, 7, 10, 20, 30, 50, 100, 200, 500, 1000) if s <= last]
    if len(ticks) > 6:
        ticks = [s for s in ticks if s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)]
    axes.set_xticks(ticks, [f"{s:g}" for s in ticks])
    axes.minorticks_off()
    axes.set_xlim(1.0, last)
    axes.set_ylim(0, 101)
    axes.set_yticks([0, 20, 40, 60, 80, 95])
    axes.set_xlabel("SLO scale s")
    axes.set_ylabel("attainment, %")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """One panel an instance, four in a row."""
    from matplotlib import pyplot as plt

    instances = list(table["instance"].unique())
    columns = min(COLUMNS, len(instances))
    rows = -(-len(instances) // columns)
    entries = table["policy"].nunique()
    columns_of_legend = max(1, min(entries, int((PAGE_WIDTH if columns > 2 else COLUMN_WIDTH) / LEGEND_ENTRY)))
    legend = 0.15 + 0.16 * -(-entries // columns_of_legend)
    size = (PAGE_WIDTH if columns > 2 else COLUMN_WIDTH, legend + PANEL_HEIGHT * rows)
    fig, panels = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", sharey=True)
    for panel in panels.flat[len(instances) :]:
        panel.set_visible(False)
    for panel, instance in zip(panels.flat, instances, strict=False):
        draw_attainment(table[table["instance"] == instance], panel)
        panel.set_title(label(Path(str(instance)).stem))
    for panel in panels[:, 1:].flat:
        panel.set_ylabel("")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=columns_of_legend, handlelength=2.6)
    return fig


FIGURE = Figure("attainment", "SLO attainment against SLO scale, a panel an instance", attainment_table, draw)
