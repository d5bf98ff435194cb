"""The SLO scale that 95 and 99 % of the workflows need: bars by policy, and HexAGenT's reductions as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import CUT, mark_cut, with_cut
from paper_figs.drawing.layout import error_bars, legend_on_top, panels, wrapped_title
from paper_figs.drawing.style import PAGE_WIDTH, SMALL, cluster_label, label, lines, percent, seeds_text
from paper_figs.drawing.tables import TableText
from paper_figs.reading.intervals import Interval, mean_interval
from paper_figs.reading.loads import load_text
from paper_figs.reading.notes import noted
from paper_figs.reading.paper_numbers import BASELINES, HEXAGENT, WORKLOADS
from paper_figs.reading.reductions import HEADLINES, main_load, reductions
from paper_figs.reading.selection import Selection, in_order, left_out, one_trace
from paper_figs.reading.store import CELL, NoDataError, StorePath, ordered, read_exact_runs, read_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

ROWS_OF_A_PAGE = 5
ROW_HEIGHT = 1.5
BAR = 0.8  # share of a group that bars take
TALLEST = 1.5  # of the tallest bar: where intervals are cut off
LINE_HEIGHT = 0.155
LINES_OF_A_PAGE = 56
STRONGEST = "strongest"
FULL_COLOUR = 0.5  # reductions beyond it are no darker
MOST_COLUMNS = 12  # of a page; more are split by metric
CHARACTERS_A_PAGE = 145  # of the size in which settings and columns are named, across a page
TURNED = 35  # degrees that names of many columns are turned by
UNSURE = "#777777"  # numbers whose interval holds 0


def read_requirements(store: StorePath) -> pd.DataFrame:
    """A row a setting, policy and metric, at exact estimates.

    ``CELL``, model, pool, policy, metric, mean, low, high, n; the reduction of the policy under study against that
    policy with its interval over seeds; whether that policy is the strongest, and of which (``strongest_of``); and
    study, the policy under study.
    """
    every, runs = read_runs(store), read_exact_runs(store)
    selected = Selection.of(store)
    table = requirement_table(runs, selected.study, selected.rivals)
    return noted(table, left_out(every, _drawn(runs)), one_trace(runs))


def requirement_table(runs: pd.DataFrame, study: str = HEXAGENT, rivals: Sequence[str] = BASELINES) -> pd.DataFrame:
    """``read_requirements`` of runs in hand; without the policy under study among them there are no reductions.

    Parameters
    ----------
    runs : DataFrame
        ``CELL``, model, pool, policy, seed and the headline metrics, a row a run.
    study : str
    rivals : sequence of str
        As for ``reductions``.
    """
    found = reductions(runs, study=study, rivals=rivals)
    against = {tuple(key): rows for key, rows in found.groupby([*CELL, "metric", "baseline"], sort=True)}
    rows = []
    for key, cell in runs.groupby([*CELL, "model", "pool"], sort=True):
        named = dict(zip([*CELL, "model", "pool"], key, strict=True))
        for metric in HEADLINES:
            for policy in in_order(cell["policy"]):
                values = mean_interval(cell.loc[cell["policy"] == policy, metric].tolist()).within(1.0)
                pairs = against.get((*key[: len(CELL)], metric, policy))
                less = mean_interval([]) if pairs is None else mean_interval(pairs["reduction"].tolist())
                strongest = pairs is not None and bool(pairs["strongest"].iloc[0])
                met = {"reached": cell["reached"].mean() if "reached" in cell else 1.0}
                rows.append(
                    {**named, **met, "metric": metric, "policy": policy, **_columns(values, less), STRONGEST: strongest}
                )
    return pd.DataFrame(rows).assign(
        study=study, strongest_of="the paper's baselines" if tuple(rivals) == BASELINES else "the others"
    )


def _drawn(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows under the load that most settings have, with the largest number of workflows at it."""
    frame = frame[frame["load"] == main_load(frame)]
    return frame[frame["workflows"] == frame.groupby(["cluster", "workload"])["workflows"].transform("max")]


def _columns(values: Interval, less: Interval) -> dict[str, object]:
    return {
        "mean": values.mean,
        "low": values.low,
        "high": values.high,
        "n": values.n,
        "reduction": less.mean,
        "reduction_low": less.low,
        "reduction_high": less.high,
        "reduction_n": less.n,
    }


def draw_requirement(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Req95 and Req99 of one setting as bars; above the axes, the change against the strongest of the others.

    Parameters
    ----------
    table : DataFrame
        Rows of one setting of ``read_requirements``.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    policies = list(dict.fromkeys(table["policy"]))
    styles = lines(policies)
    width = BAR / len(policies)
    for k, policy in enumerate(policies):
        rows = table[table["policy"] == policy].set_index("metric").reindex(HEADLINES)
        place = np.arange(len(HEADLINES)) + (k - (len(policies) - 1) / 2) * width
        axes.bar(
            place,
            rows["mean"],
            0.9 * width,
            color=styles[policy]["color"],
            yerr=error_bars(rows),
            error_kw={"linewidth": 0.7, "ecolor": "#555555"},
            label=label(policy),
        )
    # one wide interval would make all bars small
    top = 1.04 * min(float(np.nanmax(table[["mean", "high"]].to_numpy())), TALLEST * float(table["mean"].max()))
    for k, metric in enumerate(HEADLINES):
        rows = table[(table["metric"] == metric) & table[STRONGEST]]
        if len(rows):
            row = rows.iloc[0]
            text = percent(-row["reduction"], -row["reduction_high"], -row["reduction_low"])
            # above the axes, where no interval runs through it
            above = axes.get_xaxis_transform()
            axes.text(k, 1.02, text, ha="center", va="bottom", fontsize=SMALL, transform=above)
    axes.set_xticks(range(len(HEADLINES)), [label(metric) for metric in HEADLINES])
    axes.set_ylim(0, top)
    for k, policy in enumerate(policies):
        rows = table[table["policy"] == policy].set_index("metric").reindex(HEADLINES)
        place = np.arange(len(HEADLINES)) + (k - (len(policies) - 1) / 2) * width
        mark_cut(axes, place, rows["low"].to_numpy(), rows["high"].to_numpy(), "#555555")
    axes.grid(axis="x", visible=False)
    axes.set_axisbelow(True)
    axes.set_ylabel("SLO scale needed")
    return axes


def draw(table: pd.DataFrame) -> list[MatplotlibFigure]:
    """Rows are clusters, columns workloads, under the load most settings have and the largest number of workflows."""
    table = _drawn(table)
    clusters = list(dict.fromkeys(table["cluster"]))
    workloads = ordered(list(table["workload"]), WORKLOADS)
    pages = []
    for first in range(0, len(clusters), ROWS_OF_A_PAGE):
        page = clusters[first : first + ROWS_OF_A_PAGE]
        rows = table[table["cluster"].isin(page)]
        title = _title(rows)
        fig, axes, across = panels(len(page), len(workloads), ROW_HEIGHT, rows["policy"].nunique(), f"{title}; {CUT}")
        for i, cluster in enumerate(page):
            for j, workload in enumerate(workloads):
                panel, cell = axes[i, j], rows[(rows["cluster"] == cluster) & (rows["workload"] == workload)]
                if cell.empty:
                    panel.set_visible(False)
                    continue
                draw_requirement(cell, panel)
                wrapped_title(panel, label(workload, workloads) if i == 0 else "", pad=13)
                named = cluster_label(str(cell["model"].iloc[0]), str(cell["pool"].iloc[0]))
                panel.set_ylabel(named.replace(", ", ",\n") if j == 0 else "", fontsize=7.5)
        fig.supylabel("SLO scale needed", fontsize=8)
        shown = [panel for panel in axes.flat if panel.get_visible()]
        legend_on_top(fig, shown, across, with_cut(title, shown), handlelength=1.0)
        pages.append(fig)
    return pages


def _title(rows: pd.DataFrame) -> str:
    counts = " or ".join(map(str, sorted(set(rows["workflows"]))))
    parts = [f"{load_text(rows, label)}, {counts} workflows", seeds_text(rows["n"])]
    if rows[STRONGEST].any():
        parts.append(f"above: {label(rows['study'].iloc[0])} against the strongest of {rows['strongest_of'].iloc[0]}")
    return "; ".join(parts)


def read_reductions(store: StorePath) -> pd.DataFrame:
    """A row a setting, metric and baseline, with one for the ``strongest``.

    ``CELL``, model, pool, metric, policy (under study), baseline, reduction, low, high, n, the mean requirements of
    both, and which baseline is the strongest.
    """
    selected = Selection.of(store)
    every, runs = read_runs(store), read_exact_runs(store)
    found = reductions(runs, study=selected.study, rivals=selected.rivals)
    if found.empty:
        raise NoDataError(
            f"no seeds at which both {selected.study} and another policy ran with exact estimates; "
            "--policies POLICY,baselines puts another under study",
            store,
        )
    rows = []
    for key, cell in found.groupby([*CELL, "model", "pool", "metric"], sort=True):
        named = dict(zip([*CELL, "model", "pool", "metric"], key, strict=True))
        leading = cell.loc[cell["strongest"], "baseline"]
        best = str(leading.iloc[0]) if len(leading) else ""
        for baseline in [*in_order(cell["baseline"]), *([STRONGEST] if best else [])]:
            pairs = cell[cell["baseline"] == (best if baseline == STRONGEST else baseline)]
            less = mean_interval(pairs["reduction"].tolist())
            values = {"reduction": less.mean, "low": less.low, "high": less.high, "n": less.n}
            needs = {"baseline_mean": pairs["value"].mean(), "policy_mean": pairs["needed"].mean()}
            named |= {"policy": selected.study, "baseline": baseline}
            rows.append({**named, **values, **needs, "strongest_baseline": best})
    met = runs.groupby(CELL)["reached"].mean().reset_index()
    return noted(
        pd.DataFrame(rows).merge(met, on=CELL, how="left"),
        left_out(every[["policy", "estimator"]], runs),
        one_trace(runs),
    )


def draw_reductions(table: pd.DataFrame) -> list[MatplotlibFigure]:
    """A line a setting, a column a baseline and metric, coloured by the reduction: blue where less is needed."""
    place = {name: k for k, name in enumerate(ordered(table["workload"], WORKLOADS))}
    table = table.assign(place=table["workload"].map(place)).sort_values(
        ["model", "pool", "place", "workflows", "load"], kind="stable"
    )
    cells = list(dict.fromkeys(zip(*(table[column] for column in CELL), strict=True)))
    crowded = len(HEADLINES) * table["baseline"].nunique() > MOST_COLUMNS
    pages = [(metric,) for metric in HEADLINES] if crowded else [HEADLINES]
    return [
        _reduction_page(table, cells[first : first + LINES_OF_A_PAGE], metrics)
        for first in range(0, len(cells), LINES_OF_A_PAGE)
        for metrics in pages
    ]


def _reduction_page(table: pd.DataFrame, cells: list[tuple[object, ...]], metrics: Sequence[str]) -> MatplotlibFigure:
    from matplotlib import pyplot as plt
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import PercentFormatter

    names = set(table["baseline"])
    baselines = [*in_order(names - {STRONGEST}), *([STRONGEST] if STRONGEST in names else [])]
    columns = [(metric, baseline) for metric in metrics for baseline in baselines]
    by_cell = {tuple(row[c] for c in [*CELL, "metric", "baseline"]): row for row in table.to_dict("records")}
    short = {**{name: label(name).replace("Workflow-", "Wf-") for name in baselines}, STRONGEST: "strongest"}
    longest = max(map(len, short.values()))
    named = {tuple(row[c] for c in CELL): row for row in table.to_dict("records")}
    settings = [_setting(named[cell], set(table["workload"])) for cell in cells]
    room = CHARACTERS_A_PAGE - max(map(len, settings))
    turned = (longest + 1) * len(columns) > room
    lift = 9 + (longest * 3.3 * np.sin(np.radians(TURNED)) if turned else 0)  # points
    fig, axes = plt.subplots(figsize=(PAGE_WIDTH, 1.0 + lift / 72 + LINE_HEIGHT * len(cells)), layout="constrained")
    norm, colours = Normalize(-FULL_COLOUR, FULL_COLOUR), plt.get_cmap("RdBu")
    for i, cell in enumerate(cells):
        for j, column in enumerate(columns):
            row = by_cell.get((*cell, *column))
            if row is None:
                continue
            sure = row["low"] > 0 or row["high"] < 0
            shade = colours(norm(row["reduction"])) if sure else "white"
            axes.add_patch(plt.Rectangle((j, i), 1, 1, facecolor=shade, edgecolor="#DDDDDD", linewidth=0.5))
            text = percent(row["reduction"], row["low"], row["high"]).removesuffix(" %")
            dark = sure and abs(norm(row["reduction"]) - 0.5) > 0.35
            ink = "white" if dark else "black" if sure else UNSURE
            axes.text(j + 0.5, i + 0.53, text, ha="center", va="center", fontsize=6, color=ink)
    axes.set_yticks(np.arange(len(cells)) + 0.5, settings, fontsize=6)
    axes.set_xticks(np.arange(len(columns)) + 0.5, [short[b] for _, b in columns], fontsize=6)
    axes.xaxis.tick_top()
    if turned:
        plt.setp(axes.get_xticklabels(), rotation=TURNED, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0, pad=2)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(cells), 0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    study = label(str(table["policy"].iloc[0]))
    for k, metric in enumerate(metrics):
        axes.annotate(
            f"{label(metric)}: % less than",
            ((k + 0.5) * len(baselines), 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, lift + 4),  # above the names of the columns, however high the lines are
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7,
            weight="bold",
        )
        axes.axvline(k * len(baselines), color="black", linewidth=0.8 if k else 0)
    bar = fig.colorbar(ScalarMappable(norm, colours), ax=axes, location="bottom", shrink=0.45, aspect=40, pad=0.02)
    bar.set_label(
        f"less needed by {study}; without colour where the\n95 % interval over seeds holds 0, or there is none",
        fontsize=SMALL,
    )
    bar.ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)
    return fig


def _setting(row: Mapping[Any, Any], workloads: Iterable[str] = ()) -> str:
    load = load_text(pd.DataFrame([row])).removeprefix("load ")
    place = cluster_label(str(row["model"]), str(row["pool"]))
    return f"{place}, {label(str(row['workload']), workloads)}, {row['workflows']}, {load}"


def reductions_table(table: pd.DataFrame) -> TableText:
    """The cells as a table: a row a setting and metric, a column a baseline."""
    names = set(table["baseline"])
    baselines = [*in_order(names - {STRONGEST}), *([STRONGEST] if STRONGEST in names else [])]
    rows = []
    for _, cell in table.groupby([*CELL, "metric"], sort=True):
        by = {row["baseline"]: row for row in cell.to_dict("records")}
        each = [
            percent(by[name]["reduction"], by[name]["low"], by[name]["high"]) if name in by else "–"
            for name in baselines
        ]
        rows.append(
            (_setting(cell.iloc[0].to_dict(), set(table["workload"])), label(str(cell["metric"].iloc[0])), *each)
        )
    note = f"less needed by {label(str(table['policy'].iloc[0]))} than by each; 95 % intervals over seeds"
    return TableText(("setting", "", *map(label, baselines)), rows, "ll" + "r" * len(baselines), note)


REQUIREMENTS = Figure(
    "requirements",
    "Req95 and Req99 by policy, with the reduction against the strongest",
    read_requirements,
    draw,
    rank=2,
)
REDUCTIONS = Figure(
    "reductions",
    "How much less HexAGenT needs than each other policy and the strongest, cell by cell",
    read_reductions,
    draw_reductions,
    rank=3,
    table=reductions_table,
)

FIGURE = (REQUIREMENTS, REDUCTIONS)
