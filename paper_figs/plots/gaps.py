"""How far policies are from the best possible."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexsched.errors import InputError
from paper_figs.drawing.layout import legend_beside
from paper_figs.drawing.plot import Plot, drawn_on
from paper_figs.drawing.setting import objective_label, setting_text
from paper_figs.figures.gaps import draw_gap, gap_legend, gap_rows, gap_table, read_gaps
from paper_figs.reading.reports import gaps_in, one_objective
from paper_figs.reading.results import is_store
from paper_figs.reading.store import GAP_CASE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.24  # inches of a policy
AROUND = 1.2  # inches of legend, title, axis and its name


def gaps(data: Any, ax: Axes | None = None, *, objective: str | None = None) -> Axes:
    """How much more than the optimum each policy needs, between what is certain and what is possible.

    A bar goes from the distance to the best schedule found, which is certain, to that to the proven lower bound; the
    distance to the optimum is in between. For several reports these are means, and each has a ring.

    Parameters
    ----------
    data : GapReport, list or mapping of them, or path
        What ``gap()`` gave back; the keys of a mapping are names of instances. A path is the folder of a store.
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
        For data without reports or with lower bounds of 0, and where there are several objectives to choose from.
    """
    table = read_gaps(Path(data)) if is_store(data) else gap_table(gap_rows(gaps_in(data)))
    table = one_objective(table, objective)
    if table["over_lower"].isna().all():
        raise InputError("every lower bound is 0: how far the policies are from the optimum is not known")
    instances = table[table["row"] == "instance"]
    count = len(instances.drop_duplicates(GAP_CASE))
    with drawn_on(ax, height=AROUND + ROW * table["policy"].nunique()) as axes:
        draw_gap(table, axes)
        first = instances.iloc[0]
        what = objective_label(str(first["objective"]))
        if count == 1:
            what += f": optimum from {first['lower_bound']:.3f} to {first['upper_bound']:.3f}"
        rows = instances if is_store(data) else instances.drop(columns="seed")
        axes.set_title("\n".join(text for text in (setting_text(rows), what) if text))
        legend = gap_legend(count > 1)
        legend_beside(axes, list(legend.values()), list(legend), above=True)
    return axes


PLOT = Plot(
    "gaps",
    "how far each policy is from the optimum, between certified bounds",
    gaps,
    takes=("GapReport",),
    tells_most_of=("GapReport",),
)
