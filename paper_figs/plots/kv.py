"""KV cache reserved on each decode instance over time, against what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.simulator import Run
from paper_figs.drawing.plot import Plot, drawn_on
from paper_figs.drawing.style import COLOURS, SMALL
from paper_figs.reading.timeline import highest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 400
ROW, AROUND = 0.3, 0.7  # inches of an instance, and of title and axis
GAP = 0.25  # of a row, between rows
ALMOST = 0.95  # of a cache: as good as full


def kv_table(instance: Instance, schedule: Schedule) -> pd.DataFrame:
    """A row a decode instance and bin of time: machine, gpu, capacity, seconds (its start), reserved (tokens).

    Reserved is the most within the bin. A call has room for prompt and output from its admission to its completion
    (model M13).
    """
    room = {(w.workflow_id, c.call_id): c.prompt_tokens + c.output_tokens for w in instance.workflows for c in w.calls}
    calls = schedule.to_frame()
    need = np.array([room[key] for key in zip(calls["workflow_id"], calls["call_id"], strict=True)], dtype=float)
    edges = np.linspace(0.0, float(calls["decode_end"].max()), BINS + 1)
    parts = []
    for machine in instance.decode:
        on = (calls["decode_instance"] == machine.id).to_numpy()
        reserved = highest(calls["admitted"].to_numpy()[on], calls["decode_end"].to_numpy()[on], need[on], edges)
        named = {"machine": machine.id, "gpu": machine.gpu, "capacity": machine.kv_capacity_tokens}
        parts.append(pd.DataFrame({**named, "seconds": edges[:-1], "reserved": reserved}))
    return pd.concat(parts, ignore_index=True)


def kv(run: Run | Schedule, ax: Axes | None = None, *, instance: Instance | None = None) -> Axes:
    """KV cache reserved over time, a row a decode instance; the line above is all that it has.

    Where the cache is as good as full, calls wait for admission: there the area is dark.

    Parameters
    ----------
    run : Run or Schedule
    ax : matplotlib Axes, optional
        Where to draw; a new figure when absent.
    instance : Instance, optional
        Of the schedule, which it needs.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        For a schedule without its instance, and for anything else.
    """
    if isinstance(run, Run):
        instance, schedule = run.instance, run.schedule
    elif isinstance(run, Schedule) and instance is not None:
        schedule = run
    else:
        told = "a schedule without instance=..." if isinstance(run, Schedule) else f"a {type(run).__name__}"
        raise InputError(f"cannot plot {told} here; expected a run, or a schedule with its instance")
    table = kv_table(instance, schedule)
    machines = list(dict.fromkeys(table["machine"]))
    with drawn_on(ax, height=AROUND + ROW * len(machines)) as axes:
        names = []
        for k, machine in enumerate(machines):
            rows = table[table["machine"] == machine]
            capacity = float(rows["capacity"].iloc[0])
            floor = len(machines) - 1 - k
            share = rows["reserved"].to_numpy() / capacity
            level = floor + (1 - GAP) * share
            for colour, part in ((COLOURS[4], share >= 0), (COLOURS[0], share >= ALMOST)):
                axes.fill_between(
                    rows["seconds"], floor, np.where(part, level, floor), step="post", color=colour, linewidth=0
                )
            axes.axhline(floor + 1 - GAP, color="#555555", linewidth=0.6)
            axes.axhline(floor, color="#BBBBBB", linewidth=0.6)
            names.append(f"{machine}, {capacity / 1000:,.0f} k; most {100 * share.max():.0f} %")
        axes.set_yticks([len(machines) - 1 - k + (1 - GAP) / 2 for k in range(len(machines))], names, fontsize=SMALL)
        axes.set_ylim(-0.1, len(machines))
        axes.set_xlim(0, float(table["seconds"].max()))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("seconds")
        axes.set_title(f"KV tokens reserved; line: capacity; dark: {100 * ALMOST:.0f} % or more")
    return axes


PLOT = Plot("kv", "KV cache reserved on each decode instance over time", kv, takes=("Run",))
