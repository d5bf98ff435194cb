"""How busy the pools are and how full the KV caches, over time, in one contended run under two policies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from experiments.store import read_instance_of, read_schedule_of
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import legend_on_top, panels
from paper_figs.drawing.style import COLOURS, COLUMN_WIDTH, label, lines
from paper_figs.reading.contended import read_contended_pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

    from hexsched.model import Instance, Schedule

BINS = 150
HEIGHT = 1.15
MEASURES = {
    "prefill": "prefill\nbusy, %",
    "batch": "calls in\na batch",
    "kv": "KV reserved, %",
    "kv_fullest": "KV reserved,\nfullest, %",
}
SHARES = {
    "prefill": "prefill instances busy",
    "kv": "KV reserved, mean",
    "kv_fullest": "KV reserved, fullest instance",
}

Array = np.ndarray[Any, Any]


def read_utilisation(store: Path) -> pd.DataFrame:
    """A row a policy, measure and bin of time: title, policy, measure, seconds (middle of the bin), value.

    ``prefill`` is the share of prefill instances busy, ``batch`` the mean number of calls being decoded on an instance,
    ``kv`` the mean share of a KV cache that is reserved and ``kv_fullest`` that of the fullest one; means over the bin.
    """
    pair = read_contended_pair(store)
    instance = read_instance_of(store, str(pair.runs["key"].iloc[0]))
    runs = {row["policy"]: (instance, read_schedule_of(store, row["key"])) for row in pair.runs.to_dict("records")}
    return utilisation_table(runs, pair.title)


def utilisation_table(runs: Mapping[str, tuple[Instance, Schedule]], title: str = "") -> pd.DataFrame:
    """``read_utilisation`` of schedules in hand, by policy, all on the same bins of time."""
    parts: list[pd.DataFrame] = []
    last = max(call.decode_end for _, schedule in runs.values() for call in schedule.calls)
    edges = np.linspace(0.0, last, BINS + 1)
    for policy, (instance, schedule) in runs.items():
        pools = len(instance.prefill), len(instance.decode)
        for measure, values in {
            **pool_measures(schedule, pools, edges),
            **kv_measures(instance, schedule, edges),
        }.items():
            middle = (edges[1:] + edges[:-1]) / 2
            parts.append(
                pd.DataFrame({"title": title, "policy": policy, "measure": measure, "seconds": middle, "value": values})
            )
    return pd.concat(parts, ignore_index=True)


def pool_measures(schedule: Schedule, pools: tuple[int, int], edges: Array) -> dict[str, Array]:
    """``prefill`` and ``batch`` in each bin between ``edges`` (seconds); ``pools`` are their sizes."""
    calls = schedule.calls
    one = np.ones(len(calls))
    begun = np.array([call.prefill_start for call in calls])
    prefilled = np.array([call.prefill_end for call in calls])
    joined = np.array([call.decode_start for call in calls])
    ended = np.array([call.decode_end for call in calls])
    return {
        "prefill": occupancy(begun, prefilled, one, edges) / pools[0],
        "batch": occupancy(joined, ended, one, edges) / pools[1],
    }


def kv_measures(instance: Instance, schedule: Schedule, edges: Array) -> dict[str, Array]:
    """``kv`` and ``kv_fullest`` in each bin between ``edges`` (seconds)."""
    room = {(w.workflow_id, c.call_id): c.prompt_tokens + c.output_tokens for w in instance.workflows for c in w.calls}
    calls = schedule.calls
    needs = np.array([room[call.workflow_id, call.call_id] for call in calls], dtype=float)
    on = np.array([call.decode_instance for call in calls])
    admitted = np.array([call.admitted for call in calls])
    ended = np.array([call.decode_end for call in calls])
    shares = [
        occupancy(admitted[on == machine.id], ended[on == machine.id], needs[on == machine.id], edges)
        / machine.kv_capacity_tokens
        for machine in instance.decode
    ]
    return {"kv": np.mean(shares, axis=0), "kv_fullest": np.max(shares, axis=0)}


def occupancy(start: Array, end: Array, weight: Array, edges: Array) -> Array:
    """Mean over each bin of the total weight of the intervals [start, end] under way.

    The integral of the total up to any time is piecewise linear; its differences at the edges are exact.
    """

    def until(times: Array, moments: Array) -> Array:
        order = np.argsort(moments, kind="stable")
        sorted_moments, weights = moments[order], weight[order]
        total = np.concatenate(([0.0], np.cumsum(weights)))
        moment = np.concatenate(([0.0], np.cumsum(weights * sorted_moments)))
        k = np.searchsorted(sorted_moments, times, side="right")
        return total[k] * times - moment[k]

    if not len(start):
        return np.zeros(len(edges) - 1)
    covered = until(edges, start) - until(edges, end)
    return np.maximum(np.diff(covered), 0.0) / np.diff(edges)


def draw_measure(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One measure over time, a line a policy."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    measure = str(table["measure"].iloc[0])
    scale = 1.0 if measure == "batch" else 100.0
    for policy, style in lines(list(dict.fromkeys(table["policy"]))).items():
        rows = table[table["policy"] == policy]
        axes.plot(rows["seconds"], scale * rows["value"], label=label(policy), **{**style, "linewidth": 1.0})
    axes.set_ylabel(MEASURES[measure])
    axes.set_ylim(bottom=0)
    return axes


def draw_shares(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The measures of one policy that are shares, a line each, on one axis from 0 to 100 %."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    for k, measure in enumerate(dict.fromkeys(table["measure"])):
        rows = table[table["measure"] == measure]
        style: dict[str, Any] = {"color": COLOURS[k], "linestyle": ("-", "--", ":")[k % 3], "linewidth": 1.2}
        axes.plot(rows["seconds"], 100 * rows["value"], label=SHARES[measure], **style)
    axes.set_ylim(0, 101)
    axes.set_ylabel("%")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """The measures above each other, in the width of a column."""
    shown = [measure for measure in MEASURES if measure in set(table["measure"])]
    fig, axes, across = panels(len(shown), 1, HEIGHT, table["policy"].nunique(), width=COLUMN_WIDTH, sharex=True)
    for panel, measure in zip(axes.flat, shown, strict=True):
        draw_measure(table[table["measure"] == measure], panel)
    axes[-1, 0].set_xlabel("seconds")
    axes[-1, 0].set_xlim(0, table["seconds"].max())
    fig.align_ylabels()
    legend_on_top(fig, axes.flat, across, str(table["title"].iloc[0]))
    return fig


FIGURE = Figure("utilisation", "Pools and KV caches over time in one contended run", read_utilisation, draw, rank=16)
