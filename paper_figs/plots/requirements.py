"""The SLO scale that 95 and 99 % of the workflows need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from paper_figs.drawing.layout import legend_beside
from paper_figs.drawing.plot import Plot, drawn_on
from paper_figs.figures.requirements import draw_requirement, read_requirements, requirement_table
from paper_figs.reading.results import is_store, one_instance, run_rows_in
from paper_figs.reading.store import CELL

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def requirements(data: Any, ax: Axes | None = None, *, instance: str | None = None) -> Axes:
    """Req95 and Req99 of every policy as bars, with 95 % intervals over repeated runs.

    Parameters
    ----------
    data : Run, Comparison, mapping or list of them, DataFrame, or path
        A data frame has columns ``policy``, ``req95`` and ``req99``, a row a run; a path is the folder of a store.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when absent.
    instance : str, optional
        Of several settings the one with this in its name.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        For data without runs, and where there are several settings to choose from.
    """
    table = read_requirements(Path(data)) if is_store(data) else requirement_table(run_rows_in(data))
    names = [", ".join(str(value) for value in key if value != "") for key in table[CELL].itertuples(index=False)]
    table = one_instance(table.assign(setting=names), "setting", instance, data)
    with drawn_on(ax) as axes:
        draw_requirement(table, axes)
        title = ", ".join(str(table[name].iloc[0]) for name in ("cluster", "workload", "load") if table[name].iloc[0])
        if title:
            axes.set_title(title)
        handles, labels = axes.get_legend_handles_labels()
        legend_beside(axes, handles, labels)
    return axes


PLOT = Plot("requirements", "Req95 and Req99 of every policy as bars", requirements, takes=("Run", "Comparison"))
