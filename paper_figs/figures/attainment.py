"""SLO attainment against SLO scale: the share of workflows with ratio at most s, for every policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import legend_on_top, panels, plain_log_ticks
from paper_figs.drawing.style import cluster_label, label, lines
from paper_figs.reading.intervals import mean_interval
from paper_figs.reading.paper_numbers import BASELINES, HEXAGENT, WORKLOADS
from paper_figs.reading.reductions import main_load
from paper_figs.reading.store import NoDataError, has_rows, ordered, read_cell_workflows, read_runs, read_workflows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

COLUMNS = 4
PANEL_HEIGHT = 1.9  # inches
ROWS_OF_A_PAGE = 5
ROW_HEIGHT = 1.6
POINTS = 200  # of a mean curve


def read_attainment(store: Path) -> pd.DataFrame:
    """A row a step of a curve.

    From ``workflows.csv``: instance, policy, scale, attainment. From a store of a grid the curves are means over seeds,
    at the exact estimator, under the load that most settings have and the largest number of workflows at it; then
    there are also row, row_label, column (cluster, its name in full, workload), load, low, high (95 % interval over
    seeds) and seeds.
    """
    if has_rows(store, "runs"):
        return _mean_curves(read_cell_workflows(store), store)
    return _single_runs(read_workflows(store))


def _single_runs(frame: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for (instance, policy), rows in frame.groupby(["instance", "policy"], sort=False):
        scale = np.sort(rows["ratio"].to_numpy())
        share = np.arange(1, len(scale) + 1) / len(scale)
        parts.append(pd.DataFrame({"instance": instance, "policy": policy, "scale": scale, "attainment": share}))
    return pd.concat(parts, ignore_index=True)


def _mean_curves(frame: pd.DataFrame, store: Path) -> pd.DataFrame:
    frame = frame[(frame["estimator"] == "exact") & frame["policy"].isin([*BASELINES, HEXAGENT])]
    if frame.empty:
        raise NoDataError("no runs of HexAGenT or its baselines with exact estimates", store)
    frame = frame[frame["load"] == main_load(frame)]
    parts = []
    runs = read_runs(store).drop_duplicates("cluster").set_index("cluster")
    named = {
        name: cluster_label(model, pool)
        for name, model, pool in zip(runs.index, runs["model"], runs["pool"], strict=True)
    }
    for (cluster, workload), cell in frame.groupby(["cluster", "workload"], sort=True):
        rows = cell[cell["workflows"] == cell["workflows"].max()]
        # the last per cent of the worst policy would squeeze all the rest
        last = 1.1 * float(rows.groupby(["policy", "seed"])["ratio"].quantile(0.99).max())
        scale = np.geomspace(1.0, max(last, 1.05), POINTS)
        for policy in ordered(list(rows["policy"]), BASELINES):
            curves = [
                np.searchsorted(np.sort(run["ratio"].to_numpy()), scale, side="right") / len(run)
                for _, run in rows[rows["policy"] == policy].groupby("seed", sort=True)
            ]
            found = [mean_interval(column) for column in np.array(curves).T]
            parts.append(
                pd.DataFrame(
                    {
                        "instance": f"{cluster}, {workload}, {rows['workflows'].iloc[0]} workflows",
                        "row": cluster,
                        "row_label": named[cluster],
                        "column": workload,
                        "load": rows["load"].iloc[0],
                        "policy": policy,
                        "scale": scale,
                        "attainment": [each.mean for each in found],
                        "low": [each.low for each in found],
                        "high": [each.high for each in found],
                        "seeds": len(curves),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def draw_attainment(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One instance's curves on ``ax``.

    Parameters
    ----------
    table : DataFrame
        Columns policy, scale, attainment, and low and high where they are means; the rows of one instance.
    ax : matplotlib Axes, optional
        The current one when absent.

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    policies = list(table["policy"].unique())
    means = "low" in table
    # the last per cent of the worst policy would squeeze all the rest
    last = (
        float(table["scale"].max())
        if means
        else 1.1 * float(table.loc[table["attainment"] >= 0.99].groupby("policy")["scale"].min().max())
    )
    for policy, style in lines(policies).items():
        rows = table[table["policy"] == policy]
        scale, share = rows["scale"].to_numpy(), rows["attainment"].to_numpy()
        if not means:
            scale = np.concatenate(([1.0], scale, [max(last, rows["scale"].max())]))
            share = np.concatenate(([0.0], share, [1.0]))
        axes.step(scale, 100 * share, where="post", label=label(policy), **style)
        # the bands of all would hide each other; the table has them
        if means and policy == HEXAGENT and rows["low"].notna().all():
            low, high = rows["low"].clip(lower=0), rows["high"].clip(upper=1)
            axes.fill_between(scale, 100 * low, 100 * high, step="post", color=style["color"], alpha=0.2, linewidth=0)
    axes.axhline(95, color="#999999", linewidth=0.6, zorder=1)
    axes.axhline(99, color="#999999", linewidth=0.6, zorder=1)
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis, 1.0, last)
    axes.set_xlim(1.0, last)
    axes.set_ylim(0, 101)
    axes.set_yticks([0, 20, 40, 60, 80, 95])
    axes.set_xlabel("SLO scale s")
    axes.set_ylabel("attainment, %")
    return axes


def draw(table: pd.DataFrame) -> list[MatplotlibFigure]:
    """One panel an instance, four in a row; or a row a cluster and a column a workload, some rows a page."""
    if "row" not in table:
        return [_draw_instances(table)]
    clusters = list(dict.fromkeys(table["row"]))
    pages = [clusters[k : k + ROWS_OF_A_PAGE] for k in range(0, len(clusters), ROWS_OF_A_PAGE)]
    return [_draw_grid(table[table["row"].isin(page)], page) for page in pages]


def _draw_instances(table: pd.DataFrame) -> MatplotlibFigure:
    instances = list(table["instance"].unique())
    columns = min(COLUMNS, len(instances))
    rows = -(-len(instances) // columns)
    entries = table["policy"].nunique()
    fig, axes, across = panels(rows, columns, PANEL_HEIGHT, entries, sharey=True)
    for panel in axes.flat[len(instances) :]:
        panel.set_visible(False)
    for panel, instance in zip(axes.flat, instances, strict=False):
        draw_attainment(table[table["instance"] == instance], panel)
        panel.set_title(label(Path(str(instance)).stem))
    for panel in axes[:, 1:].flat:
        panel.set_ylabel("")
    legend_on_top(fig, axes.flat[:1], across)
    return fig


def _draw_grid(table: pd.DataFrame, clusters: list[str]) -> MatplotlibFigure:
    workloads = ordered(list(table["column"]), WORKLOADS)
    fig, axes, across = panels(len(clusters), len(workloads), ROW_HEIGHT, table["policy"].nunique(), sharey=True)
    for i, cluster in enumerate(clusters):
        for j, workload in enumerate(workloads):
            panel = axes[i, j]
            rows = table[(table["row"] == cluster) & (table["column"] == workload)]
            if rows.empty:
                panel.set_visible(False)
                continue
            draw_attainment(rows, panel)
            panel.set_title(label(workload) if i == 0 else "")
            if i < len(clusters) - 1:
                panel.set_xlabel("")
            named = str(rows["row_label"].iloc[0])
            panel.set_ylabel(named.replace(", ", ",\n") if j == 0 else "", fontsize=7.5)
    fig.supylabel("attainment, %", fontsize=8)
    seeds = table["seeds"].max()
    title = f"load {table['load'].iloc[0]}; means over {seeds} seed{'s' if seeds > 1 else ''}"
    band = "; band: 95 % interval" if seeds > 1 else ""
    legend_on_top(fig, [panel for panel in axes.flat if panel.get_visible()], across, title + band)
    return fig


FIGURE = Figure("attainment", "SLO attainment against SLO scale, a panel an instance", read_attainment, draw, rank=1)
