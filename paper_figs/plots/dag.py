"""The DAG of a workflow with its critical path, all of it or as far as it was revealed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hexsched.errors import InputError
from hexsched.model import Instance, Workflow
from hexsched.registry import suggest
from hexsched.simulator import Run
from paper_figs.drawing.layout import legend_beside
from paper_figs.drawing.plot import Plot, drawn_on
from paper_figs.drawing.style import COLOURS, SMALL, label
from paper_figs.reading.timeline import calls_of_run, depths, longest_path, standalone_seconds

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PATH = "#D55E00"
PATH_SO_FAR = "#0072B2"
NAMED = 40  # calls; with more they have no names
LEAST, MOST = 25.0, 190.0  # points squared of the lightest and the heaviest call
STATES = {"done": "#9FBFA8", "running": "#F2CF7A", "waiting": "#F4F4F4", "hidden": "white"}
WORDS = {"done": "complete", "running": "running", "waiting": "revealed, waiting", "hidden": "not revealed yet"}
KINDS_NAMED = 8


def dag(data: Any, workflow_id: str | None = None, ax: Axes | None = None, *, at: float | None = None) -> Axes:
    """A workflow's calls from left to right by depth, larger the longer they take, and its critical path.

    On a cluster a call weighs its delay and its best time alone, so that the critical path is as long as the standalone
    horizon; without one it weighs its output tokens. ``at`` shows what a scheduler knows at that time: which calls are
    revealed, and the critical path through these, against that of all.

    Parameters
    ----------
    data : Workflow, Workload, Instance or Run
    workflow_id : str, optional
        Of several workflows this one. When absent it is the one with the largest ratio of a run, of those under way
        at the time if one is given, and the first of those with the most calls of a workload or instance.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when absent.
    at : float, optional
        A time of the run, seconds.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        For an unknown workflow, a time without a run, and data that holds no workflow.
    """
    from matplotlib.collections import PathCollection

    run = data if isinstance(data, Run) else None
    instance = run.instance if run is not None else data if isinstance(data, Instance) else None
    if at is not None and run is None:
        raise InputError(f"what is revealed at a time is known of a run, not of a {type(data).__name__}")
    workflow = _workflow(data, workflow_id, at)
    calls = workflow.calls
    if instance is None:
        weight = [float(call.output_tokens) for call in calls]
    else:
        best = standalone_seconds(instance, calls)
        weight = [call.delay + seconds for call, seconds in zip(calls, best, strict=True)]
    path = longest_path(workflow, weight)
    long = sum(weight[k] for k in path)
    with drawn_on(ax) as axes:
        x, y = _places(workflow)
        states = None
        title = f"{workflow.workflow_id}: {len(calls)} call{'s' if len(calls) > 1 else ''}"
        if run is not None and at is not None:
            states = _states(calls_of_run(run), workflow, at)
            revealed = [state != "hidden" for state in states]
            so_far = longest_path(workflow, weight, revealed)
            known = sum(weight[k] for k in so_far)
            title += f", {sum(revealed)} revealed at {at:g} s\ncritical path {known:.2f} of {long:.2f} s"
            _draw_edges(axes, workflow, x, y, so_far, PATH_SO_FAR, "critical path of what is revealed", 3.4)
        else:
            title += (
                f"; critical path {long:.2f} s"
                if instance is not None
                else f"; critical path {long:,.0f} output tokens"
            )
        _draw_edges(axes, workflow, x, y, path, PATH, "critical path", 1.5)
        _draw_calls(axes, workflow, x, y, weight, path, states)
        axes.set_title(title)
        axes.set_xlabel("depth, calls")
        axes.set_xticks(range(int(x.max()) + 1) if x.max() < 12 else axes.get_xticks())
        axes.set_xlim(-0.5, x.max() + 0.5)
        axes.set_ylim(y.min() - 0.8, y.max() + 0.8)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False)
        legend_beside(axes, *axes.get_legend_handles_labels(), above=True)
        legend = axes.get_legend()
        for handle in legend.legend_handles if legend is not None else ():
            if isinstance(handle, PathCollection):
                handle.set_sizes([LEAST])
    return axes


def _workflow(data: Any, workflow_id: str | None, at: float | None) -> Workflow:
    if isinstance(data, Workflow):
        if workflow_id not in (None, data.workflow_id):
            raise InputError(f"this is workflow {data.workflow_id!r}, not {workflow_id!r}")
        return data
    if isinstance(data, Run):
        workflows = data.instance.workflows
        under_way = np.ones(len(workflows), dtype=bool)
        if at is not None:
            under_way = (data.arrival <= at) & (at <= data.completed)
        usual = int(np.argmax(np.where(under_way, data.ratio, 0.0)))
    else:
        workflows = data.workflows if isinstance(data, Instance) else tuple(data) if _is_several(data) else ()
        if not workflows or not all(isinstance(one, Workflow) for one in workflows):
            raise InputError(
                f"cannot plot a {type(data).__name__} here; expected a workflow, a workload, an instance or a run"
            )
        usual = max(range(len(workflows)), key=lambda k: (len(workflows[k].calls), -k))
    if workflow_id is None:
        return workflows[usual]
    by_id = {workflow.workflow_id: workflow for workflow in workflows}
    if workflow_id not in by_id:
        raise InputError(f"no workflow is called {workflow_id!r}{suggest(workflow_id, list(by_id)[:9])}")
    return by_id[workflow_id]


def _is_several(data: Any) -> bool:
    return isinstance(data, tuple | list)


def _places(workflow: Workflow) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Depth and height of each call: those of one depth about the middle, in the order of their parents' heights."""
    depth = np.array(depths(workflow), dtype=float)
    height = np.zeros(len(depth))
    place = {call.call_id: k for k, call in enumerate(workflow.calls)}
    for level in range(int(depth.max()) + 1):
        here = np.flatnonzero(depth == level)
        above = [
            float(np.mean([height[place[name]] for name in workflow.calls[k].parents])) if level else 0.0 for k in here
        ]
        order = sorted(range(len(here)), key=lambda i: (-above[i], here[i]))
        for rank, i in enumerate(order):
            height[here[i]] = (len(here) - 1) / 2 - rank
    return depth, height


def _states(calls: pd.DataFrame, workflow: Workflow, at: float) -> list[str]:
    mine = calls[calls["workflow_id"] == workflow.workflow_id].set_index("call_id")
    found = []
    for call in workflow.calls:
        row = mine.loc[call.call_id]
        if row["decode_end"] <= at:
            found.append("done")
        elif row["prefill_start"] <= at:
            found.append("running")
        else:
            found.append("waiting" if row["released"] <= at else "hidden")
    return found


def _draw_edges(
    axes: Axes, workflow: Workflow, x: Any, y: Any, path: list[int], colour: str, name: str, width: float
) -> None:
    from matplotlib.collections import LineCollection

    place = {call.call_id: k for k, call in enumerate(workflow.calls)}
    chain = {(path[i], path[i + 1]) for i in range(len(path) - 1)}
    edges = [(place[parent], k) for k, call in enumerate(workflow.calls) for parent in call.parents]
    looks: tuple[tuple[bool, dict[str, Any]], ...] = (
        (False, {"colors": "#BBBBBB", "linewidths": 0.7, "zorder": 1}),
        (True, {"colors": colour, "linewidths": width, "zorder": 2, "label": name}),
    )
    for chosen, options in looks:
        lines = [[(x[a], y[a]), (x[b], y[b])] for a, b in edges if ((a, b) in chain) == chosen]
        axes.add_collection(LineCollection(lines, **options))


def _draw_calls(
    axes: Axes, workflow: Workflow, x: Any, y: Any, weight: list[float], path: list[int], states: list[str] | None
) -> None:
    sizes = LEAST + (MOST - LEAST) * np.array(weight) / max(max(weight), 1e-12)
    on_path = np.zeros(len(sizes), dtype=bool)
    on_path[path] = True
    if states is None:
        kinds = list(dict.fromkeys(call.kind for call in workflow.calls))
        group = [call.kind for call in workflow.calls]
        palette = [colour for colour in COLOURS if colour != PATH]
        colours = {kind: palette[(k + 4) % len(palette)] for k, kind in enumerate(kinds)}
        words = {kind: label(kind) or "call" for kind in kinds}
        if len(kinds) > KINDS_NAMED:
            words = dict.fromkeys(kinds, "")
    else:
        group, colours, words = states, STATES, WORDS
    for name in dict.fromkeys(group):
        mine = np.array([one == name for one in group])
        axes.scatter(
            x[mine],
            y[mine],
            s=sizes[mine],
            color=colours[name],
            edgecolors=[PATH if chosen else "#555555" for chosen in on_path[mine]],
            linewidths=[1.4 if chosen else 0.6 for chosen in on_path[mine]],
            linestyles=":" if name == "hidden" and states is not None else "-",
            label=words[name] or None,
            zorder=3,
        )
    if len(workflow.calls) <= NAMED:
        below = -math.sqrt(MOST) / 2 - 1
        for k, call in enumerate(workflow.calls):
            axes.annotate(
                call.call_id,
                (x[k], y[k]),
                xytext=(0, below),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=SMALL - 1,
                color="#333333",
            )


PLOT = Plot(
    "dag",
    "a workflow's calls by depth and its critical path, or what was revealed of it at a time",
    dag,
    takes=("Workflow", "Workload", "Instance", "Run"),
    tells_most_of=("Workflow", "Workload", "Instance"),
)
