"""Formulations of the offline problem: performance profiles, and up to what size optimality is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from experiments.formulations.profiles import performance_profile, proven_by_size, tried_by_all_able
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import dodged
from paper_figs.drawing.layout import plain_log_ticks
from paper_figs.drawing.solves import draw_facets, share_axis, solve_label, styles
from paper_figs.drawing.tables import TableText
from paper_figs.reading.notes import noted, notes_of
from paper_figs.reading.solves import by_facet, read_solves, shown
from paper_figs.reading.store import NoDataError, StorePath

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure


def read_profiles(store: StorePath) -> pd.DataFrame:
    """A row a step of a curve: objective, time_limit, problems, formulation, tau, rho.

    Raises
    ------
    NoDataError
        When there is no problem that all formulations were given.
    """
    chosen = shown(read_solves(store))
    solves = noted(tried_by_all_able(chosen), *notes_of(chosen))
    if solves.empty:
        raise NoDataError("no instance was given to all formulations, so their times cannot be compared", store)
    return by_facet(solves, performance_profile)


def read_sizes(store: StorePath) -> pd.DataFrame:
    """A row a formulation and size: as ``proven_by_size``, with objective, time_limit and problems."""
    return by_facet(shown(read_solves(store)), proven_by_size)


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
    for name, style in styles(table):
        rows = table[table["formulation"] == name]
        del style["marker"], style["markersize"]
        axes.step(
            [*rows["tau"], last],
            [*(100 * rows["rho"]), 100 * rows["rho"].iloc[-1]],
            where="post",
            label=solve_label(name),
            **style,
        )
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis, 1.0, last)
    axes.set_xlim(1.0, last)
    share_axis(axes)
    axes.set_xlabel("τ, times the fastest")
    axes.set_ylabel("proven within τ, %")
    return axes


def draw_sizes(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The share proven optimal within the limit against the number of calls, one objective.

    Parameters
    ----------
    table : DataFrame
        Columns formulation, calls, share, low, high.
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
    for k, (name, style) in enumerate(styles(table)):
        rows = table[table["formulation"] == name].sort_values("calls")
        place, share = dodged(rows["calls"], k, count, wide), 100 * rows["share"]
        bars = 100 * np.vstack((rows["share"] - rows["low"], rows["high"] - rows["share"]))
        axes.plot(place, share, markerfacecolor="none", clip_on=False, label=solve_label(name), **style)
        axes.errorbar(
            place, share, yerr=np.maximum(bars, 0), fmt="none", color=style["color"], elinewidth=0.4, alpha=0.5
        )
    if wide:
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, sizes[0], sizes[-1])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    share_axis(axes)
    axes.set_xlabel(f"calls ({'log axis; ' if wide else ''}one size side by side)")
    axes.set_ylabel("proven optimal, %")
    return axes


def draw_profiles(table: pd.DataFrame) -> MatplotlibFigure:
    """One panel an objective."""
    return draw_facets(table, draw_profile)


def draw_proven_sizes(table: pd.DataFrame) -> MatplotlibFigure:
    """One panel an objective."""
    return draw_facets(table, draw_sizes)


def sizes_table(table: pd.DataFrame) -> TableText:
    """Calls up to which every instance is proven, and half of them, by objective."""
    aims = list(dict.fromkeys(table["objective"]))
    largest = {aim: _largest(rows) for aim, rows in table.groupby("objective", sort=False)}
    rows = [
        (solve_label(name), *(largest[aim].get(name, "–") for aim in aims))
        for name in dict.fromkeys(table["formulation"])
    ]
    limits = ", ".join(f"{limit:g} s" for limit in sorted(set(table["time_limit"])))
    note = f"Calls up to which all instances / half of them / one are proven optimal, within {limits}."
    return TableText(("formulation", *aims), rows, "l" + "r" * len(aims), note)


def _largest(rows: pd.DataFrame) -> dict[str, str]:
    found = {}
    for name, own in rows.groupby("formulation"):
        sizes = [own.loc[own["share"] >= share, "calls"].max() for share in (1.0, 0.5, 1e-9)]
        found[str(name)] = " / ".join("–" if size != size else f"{size:g}" for size in sizes)
    return found


PROFILES = Figure(
    "formulation-profiles",
    "performance profiles of the formulations (Dolan and Moré), a panel an objective",
    read_profiles,
    draw_profiles,
    rank=13,
)
SIZES = Figure(
    "proven-sizes",
    "share proven optimal within the limit against the number of calls, with 95 % intervals over instances",
    read_sizes,
    draw_proven_sizes,
    rank=14,
    table=sizes_table,
)

FIGURE = (PROFILES, SIZES)
