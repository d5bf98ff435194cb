"""SLO attainment against SLO scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from paper_figs.drawing.plot import Plot, drawn_on
from paper_figs.figures.attainment import (
    at_once_text,
    attainment_table,
    draw_attainment,
    legend_of_one,
    read_attainment,
    titled,
)
from paper_figs.reading.results import is_store, one_instance, workflows_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def attainment(data: Any, ax: Axes | None = None, *, instance: str | None = None) -> Axes:
    """The share of workflows whose latency is at most s times their standalone horizon, for every s and policy.

    The legend has the best policy first, each with its Req95, the scale that 95 % of the workflows meet. Several runs
    of one policy, such as seeds, become a mean curve.

    Parameters
    ----------
    data : Run, Comparison, mapping or list of them, DataFrame, or path
        A data frame has columns ``policy`` and ``ratio``, a row a workflow; a path is the folder of a store, or of what
        ``hexsched compare -o`` wrote.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when absent.
    instance : str, optional
        Of several instances the one with this in its name.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        For data without runs, and where there are several instances to choose from.
    """
    table = read_attainment(Path(data)) if is_store(data) else attainment_table(workflows_in(data))
    table = one_instance(table, "instance", instance, data)
    with drawn_on(ax) as axes:
        draw_attainment(table, axes)
        axes.set_title(titled(str(table["instance"].iloc[0]), at_once_text(table)))
        legend_of_one(table, axes)
    return axes


PLOT = Plot(
    "attainment",
    "SLO attainment against SLO scale, a line a policy",
    attainment,
    takes=("Run", "Comparison"),
    tells_most_of=("Comparison",),
)
