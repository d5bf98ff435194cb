"""How the bracket around the optimum closes with time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexsched.errors import InputError
from paper_figs.drawing.layout import legend_beside
from paper_figs.drawing.plot import Plot, drawn_on
from paper_figs.drawing.setting import objective_label
from paper_figs.figures.convergence import convergence_table, draw_convergence, read_convergence
from paper_figs.reading.reports import one_objective, series_in
from paper_figs.reading.results import is_store

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def convergence(data: Any, ax: Axes | None = None, *, objective: str | None = None) -> Axes:
    """Lower bound and best schedule over time: the optimum is between the two.

    One report is drawn in the unit of its objective; several are divided by the best schedule each has at the end.

    Parameters
    ----------
    data : GapReport, SolveResult, list or mapping of them, or path
        What ``gap()`` or ``solve()`` gave back; a path is the folder of a store.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when absent.
    objective : str, optional
        Of several objectives this one, such as ``"req(0.95)"``.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        For data without reports or schedules, and where there are several objectives to choose from.
    """
    if is_store(data):
        table, alone = read_convergence(Path(data)), False
    else:
        steps = series_in(data)
        alone = steps["key"].nunique() == 1
        table = convergence_table(steps, relative=not alone)
        if table.empty:
            raise InputError("no schedule was found, so there is nothing to draw over time")
    table = one_objective(table, objective)
    with drawn_on(ax) as axes:
        draw_convergence(table, axes)
        what = objective_label(str(table["objective"].iloc[0]))
        if alone:
            axes.set_ylabel(what)
        else:
            axes.set_title(f"{what}, {table['key'].nunique()} instances")
        legend_beside(axes, *axes.get_legend_handles_labels())
    return axes


PLOT = Plot(
    "convergence",
    "lower and upper bound over time",
    convergence,
    takes=("GapReport", "SolveResult"),
    tells_most_of=("SolveResult",),
)
