"""How busy the pools are, and how full the KV caches, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hexsched.errors import InputError
from hexsched.registry import suggest
from paper_figs.drawing.layout import legend_beside
from paper_figs.drawing.plot import Plot, drawn_on
from paper_figs.figures.utilisation import MEASURES, SHARES, draw_measure, draw_shares, utilisation_table
from paper_figs.reading.results import one_instance, runs_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def utilisation(data: Any, ax: Axes | None = None, *, measure: str | None = None, instance: str | None = None) -> Axes:
    """How much of the cluster a run uses, over time.

    Parameters
    ----------
    data : Run, Comparison, mapping or list of them
    ax : matplotlib Axes, optional
        Where to draw; a new figure when absent.
    measure : str, optional
        ``prefill``: share of prefill instances busy. ``batch``: mean number of calls being decoded on an instance.
        ``kv``, ``kv_fullest``: share of the KV caches reserved, in the mean and on the fullest instance. When absent,
        one run shows all shares, and several are compared by ``prefill``.
    instance : str, optional
        Of several instances the one with this in its name.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        For data without runs and an unknown measure, and where there are several instances to choose from.
    """
    import pandas as pd

    if measure is not None and measure not in MEASURES:
        raise InputError(f"unknown measure {measure!r}{suggest(measure, MEASURES)}")
    runs = runs_in(data)
    where = one_instance(pd.DataFrame({"instance": [named.instance for named in runs]}), "instance", instance, data)
    shown = [named for named in runs if named.instance == where["instance"].iloc[0]]
    twice = {named.policy: named.run for named in shown}
    if len(twice) < len(shown):
        raise InputError("a policy has several runs here; time is drawn of one run each")
    table = utilisation_table({name: (run.instance, run.schedule) for name, run in twice.items()})
    with drawn_on(ax) as axes:
        if measure is None and len(twice) == 1:
            draw_shares(table[table["measure"].isin(SHARES)], axes)
        else:
            draw_measure(table[table["measure"] == (measure or "prefill")], axes)
        axes.set_xlabel("seconds")
        axes.set_xlim(0, table["seconds"].max())
        legend_beside(axes, *axes.get_legend_handles_labels())
    return axes


PLOT = Plot(
    "utilisation", "how busy the pools and how full the KV caches are", utilisation, takes=("Run", "Comparison")
)
