"""Req95, Req99 and HexAGenT's reduction along one axis: the load, the number of workflows, the number of instances."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import dodged
from paper_figs.drawing.layout import error_bars, legend_on_top, panels, plain_log_ticks, wrapped_title
from paper_figs.drawing.style import COLUMN_WIDTH, PAGE_WIDTH, label, lines, seeds_text
from paper_figs.drawing.tables import TableText
from paper_figs.reading.intervals import mean_interval
from paper_figs.reading.notes import noted
from paper_figs.reading.paper_numbers import WORKLOADS
from paper_figs.reading.reductions import HEADLINES, reductions, rule_of
from paper_figs.reading.selection import Selection, in_order, left_out, one_trace
from paper_figs.reading.store import CELL, NoDataError, StorePath, fill, ordered, read_exact_runs, read_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

ROW_HEIGHT = 1.45
POINTS = 2  # the least that make a line
TIMES = 2  # the largest cluster over the smallest: those of about the same size differ in their GPUs
REDUCTION = "reduction"
DECADES = 8.0  # largest over least value of x from which on the axis is logarithmic
MOST_TICKS = 5
MARKERS = {"req95": ("o", "#0072B2", "-"), "req99": ("s", "#E69F00", "--")}


def sweep_table(runs: pd.DataFrame, page: Sequence[str], x: str, selected: Selection) -> pd.DataFrame:
    """A row a page, workload, x, metric and policy, and one for the reduction against the strongest baseline.

    Parameters
    ----------
    runs : DataFrame
        As ``read_exact_runs`` gives it, with columns ``page`` and ``x``.
    page : sequence of str
        Columns that are the same all over a page.
    x : str
        The column that varies.
    selected : Selection
        Says which policy is under study, and of which others the strongest is the measure.

    Returns
    -------
    DataFrame
        ``page``, workload, ``x``, metric, series (a policy, or ``reduction``), study, mean, low, high, n, reached
        (share of the runs at the load asked for). What shares page, workload and x is averaged at each seed; a
        workload with one value of x is left out.
    """
    if runs.empty:
        return pd.DataFrame()
    study = selected.study
    less = reductions(runs, study=study, rivals=selected.rivals)
    extra = [column for column in dict.fromkeys([*page, x]) if column not in less]
    less = less[less["strongest"].astype(bool)].join(runs.drop_duplicates(CELL).set_index(CELL)[extra], on=CELL)
    rows = []
    for key, group in runs.groupby([*page, "workload"], sort=True):
        if group[x].nunique() < POINTS:
            continue
        named = dict(zip([*page, "workload"], key, strict=True))
        inside = less[(less[[*page, "workload"]] == pd.Series(named)).all(axis="columns")]
        for metric in HEADLINES:
            for (at, policy), values in group.groupby([x, "policy"], sort=True):
                reached = {"reached": values["reached"].mean()}
                mean = _means(values, metric, least=1.0)
                rows.append({**named, "x": at, "metric": metric, "series": policy, **mean, **reached})
            for at, values in inside[inside["metric"] == metric].groupby(x, sort=True):
                rows.append({**named, "x": at, "metric": metric, "series": REDUCTION, **_means(values, REDUCTION)})
    return pd.DataFrame(rows).assign(study=study)


def _unreached(rows: pd.DataFrame) -> str:
    """At which places, of which workloads, workflows arrived at once since the load was not reached."""
    if "reached" not in rows or (missed := rows[rows["reached"] < 1]).empty:
        return ""
    parts = [
        f"{label(str(workload), set(rows['workload']))} at {', '.join(f'{x:g}' for x in sorted(set(group['x'])))}"
        for workload, group in missed.groupby("workload", sort=True)
    ]
    return f"; all at once where the load was not reached: {', '.join(parts)}"


def _means(rows: pd.DataFrame, column: str, least: float = -math.inf) -> dict[str, float]:
    found = mean_interval(rows.groupby("seed")[column].mean().tolist()).within(least)
    return {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n}


def draw_requirements(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Means with intervals against x, a line a policy; the rows of one page, workload and metric."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    policies = in_order(name for name in table["series"] if name != REDUCTION)
    wide = is_wide(table["x"])
    for k, (policy, style) in enumerate(lines(policies).items()):
        rows = table[table["series"] == policy].sort_values("x")
        place = dodged(rows["x"], k, len(policies), wide)
        axes.errorbar(place, rows["mean"], yerr=error_bars(rows), label=label(policy), elinewidth=0.8, **style)
    axes.set_yscale("log")
    plain_log_ticks(axes.yaxis, *axes.get_ylim())
    return axes


def draw_reduction(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The reduction of the policy under study against the strongest; the rows of one page and workload."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    for k, metric in enumerate(HEADLINES):
        rows = table[(table["series"] == REDUCTION) & (table["metric"] == metric)].sort_values("x")
        marker, colour, dash = MARKERS[metric]
        options: dict[str, Any] = {
            "marker": marker,
            "markersize": 3,
            "color": colour,
            "linestyle": dash,
            "linewidth": 1.2,
        }
        axes.errorbar(
            dodged(rows["x"], k, len(HEADLINES), is_wide(table["x"])),
            100 * rows["mean"],
            yerr=error_bars(rows, 100),
            label=f"reduction, {label(metric)}",
            elinewidth=0.8,
            **options,
        )
    axes.axhline(0, color="black", linewidth=0.6)
    return axes


def is_wide(x: pd.Series) -> bool:
    """Whether an axis with these values is logarithmic."""
    return bool(x.min() > 0 and x.max() / x.min() >= DECADES)


def draw_pages(
    table: pd.DataFrame, page: Sequence[str], title: Callable[..., str], xlabel: Callable[..., str]
) -> list[MatplotlibFigure]:
    """A page each: rows Req95, Req99 and the reduction, columns the workloads."""
    figures = []
    for key, rows in table.groupby(list(page), sort=True):
        workloads = ordered(list(rows["workload"]), WORKLOADS)
        policies = [name for name in dict.fromkeys(rows["series"]) if name != REDUCTION]
        entries = len(policies) + len(HEADLINES)
        width = PAGE_WIDTH if len(workloads) > 1 else COLUMN_WIDTH
        said = f"{title(*key)}; {seeds_text(rows['n'])}{_unreached(rows)}"
        fig, axes, across = panels(3, len(workloads), ROW_HEIGHT, entries, said, sharex="col", width=width)
        for j, workload in enumerate(workloads):
            cell = rows[rows["workload"] == workload]
            for i, metric in enumerate(HEADLINES):
                draw_requirements(cell[cell["metric"] == metric], axes[i, j])
                axes[i, j].set_ylabel(f"{label(metric)}\n(log axis)" if j == 0 else "")
            draw_reduction(cell, axes[2, j])
            axes[2, j].set_ylabel("% less than\nthe strongest" if j == 0 else "")
            wrapped_title(axes[0, j], label(workload, workloads))
            values = sorted(set(cell["x"]))
            if is_wide(cell["x"]):
                axes[2, j].set_xscale("log")
                axes[2, j].xaxis.set_ticks([], minor=True)
            shown = values[:: -(-len(values) // MOST_TICKS)]
            axes[2, j].set_xticks(shown, [f"{value:g}" for value in shown])
        fig.supxlabel(f"{xlabel(*key)}{' (log axis)' if is_wide(rows['x']) else ''}", fontsize=8)
        legend_on_top(fig, [axes[0, 0], axes[2, 0]], across, said)
        figures.append(fig)
    return figures


def read_load_sweep(store: StorePath) -> pd.DataFrame:
    """``sweep_table`` along the number of a load rule; a page a rule, cluster and number of workflows."""
    runs = read_exact_runs(store, "load")
    rules = [rule_of(load) for load in runs["load"]]
    runs = runs.assign(rule=[rule for rule, _ in rules], x=[number for _, number in rules])
    runs = runs[[not math.isnan(number) for _, number in rules]]
    return _swept(runs, LOAD_PAGE, "x", "no setting under two values of the same load rule", "load", store)


def read_workflow_sweep(store: StorePath) -> pd.DataFrame:
    """``sweep_table`` along the number of workflows; a page a cluster and load."""
    runs = read_exact_runs(store, "scale")
    return _swept(runs, WORKFLOW_PAGE, "workflows", "no setting with two numbers of workflows", "scale", store)


def read_instance_sweep(store: StorePath) -> pd.DataFrame:
    """``sweep_table`` along the number of instances; a page a model, kind of pool, number of workflows and load."""
    runs = read_exact_runs(store, "scale")
    if not {"prefill_instances", "decode_instances"} <= set(runs):
        raise NoDataError("the runs in this store do not say how many instances a cluster has", store)
    runs = runs.assign(instances=runs["prefill_instances"] + runs["decode_instances"])
    sizes = runs.groupby([*INSTANCE_PAGE, "workload"])["instances"]
    least, largest = sizes.transform("min"), sizes.transform("max")
    runs = runs[largest >= TIMES * least]
    return _swept(runs, INSTANCE_PAGE, "instances", "no setting on clusters of different sizes", "scale", store)


def _swept(
    runs: pd.DataFrame, page: Sequence[str], x: str, otherwise: str, grid: str, store: StorePath
) -> pd.DataFrame:
    table = sweep_table(runs, page, x, Selection.of(store))
    if table.empty:
        raise NoDataError(f"{otherwise}; make some with {fill(grid, store)}", store)
    every = read_runs(store)
    return noted(table, left_out(every[["policy", "estimator"]], runs), one_trace(runs))


LOAD_PAGE = ("rule", "cluster", "workflows")
WORKFLOW_PAGE = ("cluster", "load")
INSTANCE_PAGE = ("model", "workflows", "load")
# what grows, how it is read, and what is the same all over a page
SWEEPS = {
    "load": (read_load_sweep, LOAD_PAGE),
    "number of workflows": (read_workflow_sweep, WORKFLOW_PAGE),
    "number of instances": (read_instance_sweep, INSTANCE_PAGE),
}
RULES = {
    "stress": "load: Req95 that the strongest baseline is to have",
    "saturation": "load: share of the saturation rate",
    "rate": "load: workflows a second",
    "closed-loop": "load: workflows under way",
}

UNREACHED = "all at once"  # how a place is marked that the load rule does not reach


def table_of(page: Sequence[str]) -> Callable[[pd.DataFrame], TableText]:
    """Makes of a sweep, with such pages, its reductions as text: a row a place, a column a workload."""
    return lambda table: as_table(table, page)


def as_table(table: pd.DataFrame, page: Sequence[str]) -> TableText:
    """The reduction against the strongest, Req95 / Req99; a row a page and x, a column a workload, then their mean."""
    less = table[table["series"] == REDUCTION]
    needs = table[table["series"] != REDUCTION]
    reached = needs.groupby([*page, "workload", "x"])["reached"].min() if "reached" in needs else pd.Series(dtype=float)
    workloads = ordered(list(less["workload"]), WORKLOADS)
    varied = [name for name in page if table[name].nunique() > 1]
    rows: list[tuple[object, ...]] = []
    for (*key, x), group in less.groupby([*page, "x"], sort=True):
        where = dict(zip(page, key, strict=True))
        cells = []
        for workload in workloads:
            mine = group[group["workload"] == workload].set_index("metric")
            missed = float(reached.get((*key, workload, x), 1.0)) < 1
            cells.append(_both(mine) + (f" ({UNREACHED})" if missed and len(mine) else ""))
        means = group.groupby("metric")["mean"].mean()
        mean = " / ".join(f"{100 * means[metric]:.1f}" for metric in HEADLINES)
        seeds = {int(n) for n in group["n"]}
        rows.append((*(where[name] for name in varied), f"{x:g}", *cells, mean, "/".join(map(str, sorted(seeds)))))
    same = [f"{name} {table[name].iloc[0]}" for name in page if name not in varied and len(table)]
    note = (
        f"By how many per cent {label(str(table['study'].iloc[0]))} needs less than the strongest baseline, Req95 / "
        f"Req99, mean ± half of the 95 % interval over seeds; the mean over workloads has none; {', '.join(same)}."
    )
    if len(reached) and reached.min() < 1:
        note += f" {UNREACHED.capitalize()}: in some runs at least, since the load asked for is not reached."
    columns = (*varied, "", *(label(name, workloads) for name in workloads), "mean", "seeds")
    return TableText(columns, rows, "l" * len(varied) + "r" * (len(workloads) + 3), note)


def _both(rows: pd.DataFrame) -> str:
    by = rows.to_dict("index")
    if any(metric not in by for metric in HEADLINES):
        return "–"
    return " / ".join(_with_half(by[metric]) for metric in HEADLINES)


def _with_half(row: Mapping[Any, Any]) -> str:
    """``"4.7 ± 0.6"``, per cent."""
    half = "" if math.isnan(row["low"]) else f" ± {50 * (row['high'] - row['low']):.1f}"
    return f"{round(100 * row['mean'], 1) + 0.0:.1f}{half}"  # no minus in front of a 0


LOAD = Figure(
    "load",
    "Req95, Req99 and the reduction as the load grows",
    read_load_sweep,
    lambda table: draw_pages(
        table,
        LOAD_PAGE,
        lambda rule, cluster, workflows: f"{cluster}, {workflows} workflows",
        lambda rule, cluster, workflows: RULES.get(str(rule), str(rule)),
    ),
    rank=7,
    table=table_of(LOAD_PAGE),
)
WORKFLOWS = Figure(
    "scaling-workflows",
    "Req95, Req99 and the reduction as there are more workflows",
    read_workflow_sweep,
    lambda table: draw_pages(
        table, WORKFLOW_PAGE, lambda cluster, load: f"{cluster}, load {load}", lambda cluster, load: "workflows"
    ),
    rank=8,
    table=table_of(WORKFLOW_PAGE),
)
INSTANCES = Figure(
    "scaling-instances",
    "Req95, Req99 and the reduction as there are more instances",
    read_instance_sweep,
    lambda table: draw_pages(
        table,
        INSTANCE_PAGE,
        lambda model, workflows, load: f"{label(model)}, {workflows} workflows, load {load}",
        lambda model, workflows, load: "instances",
    ),
    rank=9,
    table=table_of(INSTANCE_PAGE),
)

FIGURE = (LOAD, WORKFLOWS, INSTANCES)
