"""What every instance did, call by call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.registry import suggest
from hexsched.simulator import Run
from paper_figs.drawing.layout import legend_beside
from paper_figs.drawing.plot import Plot, drawn_on
from paper_figs.drawing.style import label
from paper_figs.figures.gantt import AROUND, INCH, choose, draw_gantt, gantt_legend, in_window, rows_tall
from paper_figs.reading.timeline import calls_of, calls_of_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEGEND = 0.3  # inches
SPARE = 0.03  # of the time that chosen workflows take, on either side


def gantt(
    run: Run | Schedule,
    workflows: str | Sequence[str] | None = None,
    ax: Axes | None = None,
    *,
    window: tuple[float, float] | None = None,
    instance: Instance | None = None,
) -> Axes:
    """Every call on its instances, with waits, transfers, arrival and completion of chosen workflows.

    Parameters
    ----------
    run : Run or Schedule
        A schedule alone does not know when calls were released and workflows arrived; with its instance it does.
    workflows : str or sequence of str, optional
        Ids of those in colour; the four with the largest ratio in the busiest part of the run when absent.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when absent.
    window : pair of float, optional
        First and last second; when absent the time of the chosen workflows, or the busiest part of the run.
    instance : Instance, optional
        Of the schedule.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        For an unknown workflow, and a window in which no call is under way.
    """
    if isinstance(run, Run):
        calls = calls_of_run(run)
    elif isinstance(run, Schedule):
        calls = calls_of(run, instance)
    else:
        raise InputError(f"cannot plot a {type(run).__name__} here; expected a run or a schedule")
    busiest, chosen = choose(calls)
    if workflows is not None:
        chosen = [workflows] if isinstance(workflows, str) else [str(name) for name in workflows]
        for name in chosen:
            if name not in set(calls["workflow_id"]):
                raise InputError(
                    f"no workflow is called {name!r}{suggest(name, sorted(set(calls['workflow_id']))[:9])}"
                )
        mine = calls[calls["workflow_id"].isin(chosen)]
        begun = float(mine["arrival"].fillna(mine["prefill_start"]).min())
        spare = SPARE * (float(mine["completed"].max()) - begun)
        busiest = (max(begun - spare, 0.0), float(mine["completed"].max()) + spare)
    table = in_window(calls, window or busiest, chosen)
    if table.empty:
        first, last = window or busiest
        raise InputError(f"no call is under way between {first:g} and {last:g} s; the last ends at {ends(calls):g} s")
    with drawn_on(ax, height=AROUND + LEGEND + INCH * rows_tall(table)) as axes:
        draw_gantt(table, axes)
        axes.set_title(label(run.policy))
        legend = gantt_legend(table)
        legend_beside(axes, list(legend.values()), list(legend), above=True)
    return axes


def ends(calls: object) -> float:
    """When the last call is complete, seconds."""
    return float(calls["decode_end"].max())  # type: ignore[index]


PLOT = Plot(
    "gantt",
    "every call on its instances over time, and what chosen workflows wait for",
    gantt,
    takes=("Run", "Schedule"),
    tells_most_of=("Run", "Schedule"),
)
