"""Formulations of the offline problem: performance profiles, and up to what size optimality is proven."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from experiments.formulations.profiles import performance_profile, proven_by_size, tried_by_all
from experiments.formulations.rows import FORMULATIONS_CSV, as_frame, read_rows
from experiments.store import read_table
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import dodged
from paper_figs.drawing.layout import legend_on_top, panels, plain_log_ticks
from paper_figs.drawing.style import COLUMN_WIDTH, PAGE_WIDTH, SMALL, pairs
from paper_figs.reading.store import NoDataError, StorePath, has_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

FACET = ["objective", "time_limit"]  # a panel each: what they are about must not be mixed
MOST_COLUMNS = 3
PANEL_HEIGHT = 2.0  # inches
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
WIDTHS = (2.6, 2.0, 1.6, 1.3, 1.0)  # points
NAMES = {
    "cpsat": "CP-SAT",
    "benders": "logic-based Benders",
    "milp_disjunctive": "disjunctive MILP",
    "milp_time_indexed": "time-indexed MILP",
    "milp_step": "time-indexed MILP, steps",
    "milp_on_off": "time-indexed MILP, on/off",
    "milp_linear_ordering": "linear-ordering MILP",
    "milp_positional": "positional MILP",
    "milp_event": "event-based MILP",
    "milp_placement": "placement MILP",
}


def read_solves(store: StorePath) -> pd.DataFrame:
    """A row a solve, from ``hexsched compare-formulations`` or else from a grid of solves.

    Raises
    ------
    NoDataError
        When the store has neither.
    """
    folder = Path(store)
    if (folder / FORMULATIONS_CSV).is_file():
        return as_frame(read_rows(folder))
    if not has_rows(store, "solves"):
        raise NoDataError(
            f"no solves here; make them with 'hexsched compare-formulations -o {store}' or "
            f"'hexsched grid run formulations --store {store}'",
            store,
        )
    seconds = read_table(folder, "timings").set_index("key")["solve_seconds"]
    frame = read_table(folder, "solves")
    # a grid names instances of the library alone, so their names tell them apart
    return frame.assign(sha256=frame["instance"], seconds=frame["key"].map(seconds))


def read_profiles(store: StorePath) -> pd.DataFrame:
    """A row a step of a curve: objective, time_limit, problems, formulation, tau, rho.

    Raises
    ------
    NoDataError
        When there is no problem that all formulations were given.
    """
    solves = tried_by_all(read_solves(store))
    if solves.empty:
        raise NoDataError("no instance was given to all formulations, so their times cannot be compared", store)
    return _by_facet(solves, performance_profile)


def read_sizes(store: StorePath) -> pd.DataFrame:
    """A row a formulation and size: objective, time_limit, problems, formulation, calls, rows, solved, share."""
    return _by_facet(read_solves(store), proven_by_size)


def draw_profile(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The share proven within tau times the time of the fastest formulation (Dolan and Moré 2002), one objective.

    Parameters
    ----------
    table : DataFrame
        Columns formulation, tau, rho.
    ax : matplotlib Axes, optional
        The current one when absent.

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    last = max(float(table["tau"].max()), 1.5) * 1.1
    for name, style in _styles(table):
        rows = table[table["formulation"] == name]
        del style["marker"], style["markersize"]
        axes.step(
            [*rows["tau"], last],
            [*(100 * rows["rho"]), 100 * rows["rho"].iloc[-1]],
            where="post",
            label=NAMES.get(name, name),
            **style,
        )
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis, 1.0, last)
    axes.set_xlim(1.0, last)
    _share_axis(axes)
    axes.set_xlabel("τ, times the fastest")
    axes.set_ylabel("proven within τ, %")
    return axes


def draw_sizes(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The share proven optimal within the limit against the number of calls, one objective.

    Parameters
    ----------
    table : DataFrame
        Columns formulation, calls, share.
    ax : matplotlib Axes, optional
        The current one when absent.

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    axes = plt.gca() if ax is None else ax
    sizes = sorted(table["calls"].unique())
    wide = sizes[-1] >= 4 * sizes[0]
    count = table["formulation"].nunique()
    for k, (name, style) in enumerate(_styles(table)):
        rows = table[table["formulation"] == name].sort_values("calls")
        axes.plot(
            dodged(rows["calls"], k, count, wide),
            100 * rows["share"],
            markerfacecolor="none",
            clip_on=False,
            label=NAMES.get(name, name),
            **style,
        )
    if wide:
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, sizes[0], sizes[-1])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _share_axis(axes)
    axes.set_xlabel(f"calls ({'log axis; ' if wide else ''}one size side by side)")
    axes.set_ylabel("proven optimal, %")
    return axes


def draw_profiles(table: pd.DataFrame) -> MatplotlibFigure:
    """One panel an objective."""
    return _draw(table, draw_profile)


def draw_proven_sizes(table: pd.DataFrame) -> MatplotlibFigure:
    """One panel an objective."""
    return _draw(table, draw_sizes)


def _by_facet(frame: pd.DataFrame, of: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    parts = []
    for (objective, limit), rows in frame.groupby(FACET, sort=False):
        problems = rows["sha256"].nunique()
        facet = pd.DataFrame({"objective": [objective], "time_limit": [limit], "problems": [problems]})
        parts.append(facet.merge(of(rows), how="cross"))
    return pd.concat(parts, ignore_index=True)


def _draw(table: pd.DataFrame, draw_one: Callable[[pd.DataFrame, Axes], Axes]) -> MatplotlibFigure:
    facets = list(table.groupby(FACET, sort=False))
    columns = min(MOST_COLUMNS, len(facets))
    lines = -(-len(facets) // columns)
    entries = table["formulation"].nunique()
    width = COLUMN_WIDTH if columns == 1 else PAGE_WIDTH
    fig, axes, across = panels(lines, columns, PANEL_HEIGHT, entries, width=width, sharey=True)
    for panel, ((objective, limit), rows) in zip(axes.flat, facets, strict=False):
        draw_one(rows, panel)
        panel.set_title(f"{objective}, {limit:g} s, {rows['problems'].iloc[0]} instances", fontsize=SMALL + 1)
    for panel in axes.flat[len(facets) :]:
        panel.set_visible(False)
    for panel in axes[:, 1:].flat:
        panel.set_ylabel("")
    legend_on_top(fig, list(axes.flat[: len(facets)]), across)
    return fig


def _share_axis(axes: Axes) -> None:
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])


def _styles(table: pd.DataFrame) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each formulation with its look, which does not depend on which others are drawn."""
    looks = [{"color": colour, "linestyle": dash} for dash, colour in pairs()]
    looks[0]["linestyle"] = "-"
    present = list(dict.fromkeys(table["formulation"]))
    order = [*NAMES, *(name for name in present if name not in NAMES)]
    for name in present:
        k = order.index(name)
        # where curves meet, one is seen beneath the other and markers lie inside each other
        yield (
            name,
            {
                **looks[k % len(looks)],
                "linewidth": WIDTHS[min(k, len(WIDTHS) - 1)],
                "marker": MARKERS[k % len(MARKERS)],
                "markersize": max(7.0 - k, 3.0),
            },
        )


PROFILES = Figure(
    "formulation-profiles",
    "performance profiles of the formulations (Dolan and Moré), a panel an objective",
    read_profiles,
    draw_profiles,
    rank=13,
)
SIZES = Figure(
    "proven-sizes",
    "share proven optimal within the limit against the number of calls",
    read_sizes,
    draw_proven_sizes,
    rank=14,
)

FIGURE = (PROFILES, SIZES)
