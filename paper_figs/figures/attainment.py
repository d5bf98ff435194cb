"""SLO attainment against SLO scale: the share of workflows with ratio at most s, for every policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from experiments.rates import FASTEST
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import (
    FEW,
    SMALL_LINE,
    legend_beside,
    legend_on_top,
    lines_within,
    panels,
    plain_log_ticks,
    wrapped_title,
)
from paper_figs.drawing.style import COLUMN_WIDTH, PAGE_WIDTH, SMALL, cluster_label, label, lines
from paper_figs.reading.intervals import mean_interval
from paper_figs.reading.notes import noted
from paper_figs.reading.paper_numbers import HEXAGENT, WORKLOADS
from paper_figs.reading.reductions import main_load, rule_of
from paper_figs.reading.selection import in_order, left_out, one_trace
from paper_figs.reading.store import (
    StorePath,
    has_rows,
    ordered,
    read_cell_workflows,
    read_exact_runs,
    read_runs,
    read_workflows,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

COLUMNS = 4
PANEL_HEIGHT = 1.9  # inches
ONE_PANEL = 2.4  # inches: height of a figure that has only one
ROWS_OF_A_PAGE = 5
ROW_HEIGHT = 1.6
POINTS = 200  # of a mean curve
LEVELS = (95, 99)  # per cent, marked
WIDEST, THINNEST = 2.3, 1.0  # points: curves get thinner from the lowest to the uppermost, so that none hides another
LEGEND_WIDTH = 34  # characters of a line in the legend
INDENT = 8  # of them, in front of lines that continue one
USUAL_LINES = 4  # of a legend, for which a figure of one panel has room above it
BESIDE_LINES = 15  # and beside it
SAME = 1e-9  # of attainment: closer curves are one

Array = np.ndarray[Any, Any]


def read_attainment(store: StorePath) -> pd.DataFrame:
    """A row a step of a curve.

    From ``workflows.csv``: instance, policy, scale, attainment, at_once. From a store of a grid the curves are means
    over seeds, at the exact estimator, under the load that most settings have and the largest number of workflows at
    it; then there are also row, row_label, column (cluster, its name in full, workload), load, low, high (95 % interval
    over seeds) and seeds. ``at_once`` is the share of the seeds at which all workflows arrive together.
    """
    if has_rows(store, "runs"):
        return _mean_curves(read_cell_workflows(store), store)
    frame = read_workflows(store)
    return attainment_table(frame.assign(repetition=0))


def attainment_table(workflows: pd.DataFrame) -> pd.DataFrame:
    """Curves of results in hand: steps where each policy ran once, means where one ran repeatedly.

    Parameters
    ----------
    workflows : DataFrame
        A row a workflow: instance, policy, repetition, ratio, and arrival where it is known.

    Returns
    -------
    DataFrame
        As ``read_attainment``; scale from 1 on, attainment between 0 and 1.
    """
    parts = []
    for instance, rows in workflows.groupby("instance", sort=False):
        at_once = _at_once(rows, "repetition")
        repeated = rows.groupby("policy")["repetition"].nunique().max() > 1
        scale = _scales(rows.groupby(["policy", "repetition"])["ratio"]) if repeated else None
        for policy, mine in rows.groupby("policy", sort=False):
            ratios = [np.sort(run["ratio"].to_numpy()) for _, run in mine.groupby("repetition", sort=True)]
            curve = _steps(ratios[0]) if scale is None else _mean_curve(ratios, scale)
            parts.append(curve.assign(instance=instance, policy=policy, at_once=at_once))
    leading = ["instance", "policy", "scale", "attainment"]
    table = pd.concat(parts, ignore_index=True)
    return table[[*leading, *(name for name in table if name not in leading)]]


def _steps(ratios: Array) -> pd.DataFrame:
    return pd.DataFrame({"scale": ratios, "attainment": np.arange(1, len(ratios) + 1) / len(ratios)})


def _scales(ratios: Any) -> Array:
    # the last per cent of the worst policy would squeeze all the rest
    return np.geomspace(1.0, max(1.1 * float(ratios.quantile(0.99).max()), 1.05), POINTS)


def _mean_curve(ratios: Sequence[Array], scale: Array) -> pd.DataFrame:
    """Mean over runs of the share of workflows with ratio at most ``scale``; ``ratios`` are sorted."""
    curves = [np.searchsorted(run, scale, side="right") / len(run) for run in ratios]
    found = [mean_interval(column) for column in np.array(curves).T]
    return pd.DataFrame(
        {
            "scale": scale,
            "attainment": [each.mean for each in found],
            "low": [each.low for each in found],
            "high": [each.high for each in found],
            "seeds": len(curves),
        }
    )


def _at_once(rows: pd.DataFrame, repetition: str) -> float:
    """The share of repetitions at which all arrive together, or as good as that: at the fastest rate of ``load``."""
    if "arrival" not in rows or rows["arrival"].isna().any():
        return 0.0
    arrivals = rows.groupby(["policy", repetition])["arrival"]
    span = arrivals.max() - arrivals.min()
    return float((span * FASTEST <= arrivals.size()).mean())


def _mean_curves(frame: pd.DataFrame, store: StorePath) -> pd.DataFrame:
    frame = frame[frame["load"] == main_load(frame)]
    most = frame.groupby(["cluster", "workload"])["workflows"].transform("max")
    frame = frame[frame["workflows"] == most]
    parts = []
    every = read_runs(store)
    runs = every.drop_duplicates("cluster").set_index("cluster")
    named = {
        name: cluster_label(model, pool)
        for name, model, pool in zip(runs.index, runs["model"], runs["pool"], strict=True)
    }
    for (cluster, workload), rows in frame.groupby(["cluster", "workload"], sort=True):
        scale = _scales(rows.groupby(["policy", "seed"])["ratio"])
        at_once = _at_once(rows, "seed")
        for policy in in_order(rows["policy"]):
            mine = rows[rows["policy"] == policy]
            curve = _mean_curve([np.sort(run["ratio"].to_numpy()) for _, run in mine.groupby("seed", sort=True)], scale)
            named_by = {
                "instance": f"{cluster}, {workload}, {rows['workflows'].iloc[0]} workflows",
                "row": cluster,
                "row_label": named[cluster],
                "column": workload,
                "load": rows["load"].iloc[0],
                "at_once": at_once,
                "policy": policy,
            }
            parts.append(pd.DataFrame({**named_by, **curve}))
    shown = read_exact_runs(store)
    return noted(
        pd.concat(parts, ignore_index=True), left_out(every, frame), one_trace(shown[shown["key"].isin(frame["key"])])
    )


def draw_attainment(table: pd.DataFrame, ax: Axes | None = None, levels: bool = True) -> Axes:
    """One instance's curves on ``ax``.

    Those that are as good as equal are drawn on each other, thinner and thinner, so that each is seen; those whose
    curve is the same share a line of the legend. 95 and 99 % are marked at the right end.

    Parameters
    ----------
    table : DataFrame
        Columns policy, scale, attainment, and low and high where they are means; the rows of one instance.
    ax : matplotlib Axes, optional
        The current one when absent.
    levels : bool
        Whether 95 and 99 % have their names at the right end: in a row of panels the last has.

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
    last = max(last, 1.05)
    styles = lines(policies)
    # dashes over the solid line: it shows between them
    from_below = sorted(policies, key=lambda policy: styles[policy]["linestyle"] != "-")
    widths = np.linspace(WIDEST if len(policies) > 1 else 1.8, THINNEST, max(len(policies), 2))
    for k, policy in enumerate(from_below):
        style = {**styles[policy], "linewidth": widths[k], "zorder": 2 + k / len(policies)}
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
    for level, place in zip(LEVELS, ("top", "bottom"), strict=True):
        axes.axhline(level, color="#777777", linewidth=0.6, zorder=1)
        if not levels:
            continue
        axes.annotate(
            f"{level} %",
            (1.0, level),
            xycoords=("axes fraction", "data"),
            xytext=(2, -1.5 if place == "top" else 1.5),
            textcoords="offset points",
            fontsize=SMALL,
            color="#555555",
            va=place,
        )
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis, 1.0, last)
    axes.set_xlim(1.0, last)
    axes.set_ylim(0, 101)
    axes.set_yticks([0, 20, 40, 60, 80, 100])
    axes.set_xlabel("SLO scale s")
    axes.set_ylabel("attainment, %")
    return axes


def at_once_text(table: pd.DataFrame) -> str:
    """``"all at once"`` where all workflows arrive together, with the load that this did not reach."""
    share = float(table["at_once"].iloc[0]) if "at_once" in table else 0.0
    if share == 0:
        return ""
    rule, number = rule_of(str(table["load"].iloc[0])) if "load" in table else ("", np.nan)
    missed = f" ({number:g} not reached)" if rule == "stress" else ""
    return "all at once" + (f" at {share:.0%} of seeds" if share < 1 else "") + missed


def titled(name: str, note: str) -> str:
    """A panel's title: its name, and under it what there is to know."""
    return "\n".join(text for text in (name, note) if text)


def req_text(policies: Sequence[str], needed: float, largest: float) -> str:
    """An entry of a single panel's legend: Req95 and the policies whose curve is this one."""
    text = " = ".join(map(label, policies))
    value = f"{needed:.2f}" if needed < float("inf") else f"> {largest:.3g}"
    return f"{value}  " + f"\n{' ' * INDENT}".join(lines_within(text, LEGEND_WIDTH - INDENT))


def _same(rows: pd.DataFrame, table: pd.DataFrame, other: str) -> bool:
    theirs = table[table["policy"] == other]
    return len(rows) == len(theirs) and all(
        np.allclose(rows[column], theirs[column], rtol=0, atol=SAME) for column in ("scale", "attainment")
    )


def legend_of_one(table: pd.DataFrame, axes: Axes) -> int:
    """The legend of a panel that stands alone: best policy first, each with its Req95; equal curves share an entry.

    Gives the lines that it is high.
    """
    by_label = {label(policy): policy for policy in table["policy"].unique()}
    drawn = {by_label[name]: line for line in axes.get_lines() if (name := str(line.get_label())) in by_label}
    groups: list[list[str]] = []
    for policy in table["policy"].unique():
        rows = table[table["policy"] == policy]
        group = next((each for each in groups if _same(rows, table, each[0])), None)
        if group is None:
            groups.append([policy])
        else:
            group.append(policy)

    def needed(policy: str) -> float:
        rows = table[table["policy"] == policy]
        met = rows.loc[rows["attainment"] >= 0.95 - SAME, "scale"]
        return float(met.min()) if len(met) else float("inf")

    groups.sort(key=lambda group: needed(group[0]))
    texts = [
        req_text(group, needed(group[0]), float(table.loc[table["policy"] == group[0], "scale"].max()))
        for group in groups
    ]
    # lines of a tuple are drawn on each other, as the curves are
    handles = [tuple(sorted((drawn[policy] for policy in group), key=lambda line: line.zorder)) for group in groups]
    return legend_beside(axes, handles, texts, "Req95", clear=0.06)


def draw(table: pd.DataFrame) -> list[MatplotlibFigure]:
    """One panel an instance, four in a row; or a row a cluster and a column a workload, some rows a page."""
    if "row" not in table:
        return [_draw_instances(table)]
    clusters = list(dict.fromkeys(table["row"]))
    pages = [clusters[k : k + ROWS_OF_A_PAGE] for k in range(0, len(clusters), ROWS_OF_A_PAGE)]
    return [_draw_grid(table[table["row"].isin(page)], page) for page in pages]


def _draw_instances(table: pd.DataFrame) -> MatplotlibFigure:
    instances = list(table["instance"].unique())
    stems = [Path(str(instance)).stem for instance in instances]
    if len(instances) == 1:
        width = PAGE_WIDTH if table["policy"].nunique() > FEW else COLUMN_WIDTH
        fig, axes, _ = panels(1, 1, ONE_PANEL, width=width)
        draw_attainment(table, axes[0, 0])
        wrapped_title(axes[0, 0], titled(label(stems[0]), at_once_text(table)))
        more = legend_of_one(table, axes[0, 0]) - (BESIDE_LINES if width == PAGE_WIDTH else USUAL_LINES)
        if more > 0:
            fig.set_figheight(fig.get_figheight() + more * SMALL_LINE)
        return fig
    columns = min(COLUMNS, len(instances))
    rows = -(-len(instances) // columns)
    entries = table["policy"].nunique()
    fig, axes, across = panels(rows, columns, PANEL_HEIGHT, entries, sharey=True)
    for panel in axes.flat[len(instances) :]:
        panel.set_visible(False)
    for k, (panel, instance) in enumerate(zip(axes.flat, instances, strict=False)):
        last = k % columns == columns - 1 or k == len(instances) - 1
        mine = table[table["instance"] == instance]
        draw_attainment(mine, panel, levels=last)
        wrapped_title(panel, titled(label(Path(str(instance)).stem, stems), at_once_text(mine)))
    for panel in axes[:, 1:].flat:
        panel.set_ylabel("")
    legend_on_top(fig, axes.flat[:1], across)
    return fig


def _draw_grid(table: pd.DataFrame, clusters: list[str]) -> MatplotlibFigure:
    workloads = ordered(list(table["column"]), WORKLOADS)
    fig, axes, across = panels(len(clusters), len(workloads), ROW_HEIGHT, table["policy"].nunique(), sharey=True)
    notes = {at_once_text(rows) for _, rows in table.groupby(["row", "column"])}
    alike = len(notes) == 1  # then the title of the page says it
    for i, cluster in enumerate(clusters):
        for j, workload in enumerate(workloads):
            panel = axes[i, j]
            rows = table[(table["row"] == cluster) & (table["column"] == workload)]
            if rows.empty:
                panel.set_visible(False)
                continue
            draw_attainment(rows, panel, levels=j == len(workloads) - 1)
            named = label(workload, workloads) if i == 0 else ""
            wrapped_title(panel, titled(named, "" if alike else at_once_text(rows)))
            if i < len(clusters) - 1:
                panel.set_xlabel("")
            named = str(rows["row_label"].iloc[0])
            panel.set_ylabel(named.replace(", ", ",\n") if j == 0 else "", fontsize=7.5)
    fig.supylabel("attainment, %", fontsize=8)
    seeds = table["seeds"].max()
    note = next(iter(notes)) if alike else ""
    title = f"load {table['load'].iloc[0]}{note and ': ' + note}; means over {seeds} seed{'s' if seeds > 1 else ''}"
    band = f"; band: 95 % interval of {label(HEXAGENT)}" if seeds > 1 and HEXAGENT in set(table["policy"]) else ""
    legend_on_top(fig, [panel for panel in axes.flat if panel.get_visible()], across, title + band)
    return fig


FIGURE = Figure("attainment", "SLO attainment against SLO scale, a panel an instance", read_attainment, draw, rank=1)
