"""One contended run under two policies: what every instance did, call by call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd

from experiments.store import read_schedule_of
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import legend_on_top, panels
from paper_figs.drawing.style import COLOURS, PAGE_WIDTH, SMALL, label
from paper_figs.reading.contended import read_contended_pair
from paper_figs.reading.store import read_stored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

CALLS_SHOWN = 250  # about as many as can be told apart in print
HIGHLIGHTED = 4  # workflows in colour
ORDINALS = ("", "2nd ", "3rd ", "4th ")
GREY = "#D4D4D4"
LANE = 0.8  # of an instance's row
DECODE_ROW = 2.0  # times as tall as one of prefill: it serves many calls at once


def read_gantt(store: Path) -> pd.DataFrame:
    """A row a call and stage: title, policy, req95, machine, stage, workflow_id, start, end, lane, lanes, rank.

    ``rank`` numbers, from 1, the workflows that the baseline serves worst of those active in the middle of the window
    and shown in it; 0 for the others. Long runs are cut to a window around the time at which most workflows are under
    way.
    """
    pair = read_contended_pair(store)
    frames = []
    for row in pair.runs.to_dict("records"):
        calls = pd.DataFrame([msgspec.structs.asdict(c) for c in read_schedule_of(store, row["key"]).calls])
        for stage, machine, start, end in (
            ("prefill", "prefill_instance", "prefill_start", "prefill_end"),
            ("decode", "decode_instance", "decode_start", "decode_end"),
        ):
            part = calls[["workflow_id", "call_id"]].assign(
                machine=calls[machine],
                stage=stage,
                start=calls[start],
                end=calls[end],
                policy=row["policy"],
                req95=row["req95"],
            )
            frames.append(part)
    table = pd.concat(frames, ignore_index=True)
    workflows = read_stored(store, "workflows", "paper")
    workflows = workflows[workflows["key"] == pair.runs["key"].iloc[0]]
    first, last, middle = _window(table, workflows)
    ended = workflows["arrival"] + workflows["latency"]
    shown = _in_lanes(table[(table["end"] > first) & (table["start"] < last)])
    active = workflows[(workflows["arrival"] <= middle) & (ended >= middle)]
    # some wait all the time: what has no box cannot be coloured
    active = active[active["workflow_id"].isin(shown["workflow_id"])]
    worst = active.sort_values(["ratio", "workflow_id"], ascending=[False, True])["workflow_id"].head(HIGHLIGHTED)
    ranks = {name: k + 1 for k, name in enumerate(worst)}
    shown[["start", "end"]] = shown[["start", "end"]].clip(first, last)
    shown["rank"] = shown["workflow_id"].map(ranks).fillna(0).astype(int)
    shown.insert(0, "title", pair.title)
    return shown.reset_index(drop=True)


def _window(table: pd.DataFrame, workflows: pd.DataFrame) -> tuple[float, float, float]:
    """First and last second shown, and the time within at which most workflows are under way with the first policy."""
    times = np.sort(workflows["arrival"].to_numpy())
    ended = np.sort((workflows["arrival"] + workflows["latency"]).to_numpy())
    under_way = np.searchsorted(times, times, side="right") - np.searchsorted(ended, times, side="right")
    middle = float(times[int(np.argmax(under_way))]) if len(times) else 0.0
    end = float(table["end"].max())
    calls = len(table) / (2 * table["policy"].nunique())
    length = end * min(1.0, CALLS_SHOWN / calls)
    first = min(max(middle - length / 3, 0.0), end - length)
    return first, first + length, middle


def _in_lanes(table: pd.DataFrame) -> pd.DataFrame:
    """With ``lane`` and ``lanes``: calls that an instance serves at once stand above each other."""
    parts = []
    for _, rows in table.groupby(["policy", "stage", "machine"], sort=False):
        rows = rows.sort_values(["start", "workflow_id", "call_id"], kind="stable")
        free: list[float] = []
        lanes = []
        for start, end in zip(rows["start"], rows["end"], strict=True):
            lane = next((k for k, until in enumerate(free) if until <= start), len(free))
            free[lane : lane + 1] = [end]
            lanes.append(lane)
        parts.append(rows.assign(lane=lanes, lanes=len(free)))
    return pd.concat(parts, ignore_index=True)


def draw_gantt(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One policy's calls, a row an instance, prefill above decode."""
    from matplotlib import pyplot as plt
    from matplotlib.collections import PolyCollection

    axes = plt.gca() if ax is None else ax
    machines = [
        name
        for stage in ("prefill", "decode")
        for name in sorted(set(table.loc[table["stage"] == stage, "machine"]), key=natural)
    ]
    prefills = set(table.loc[table["stage"] == "prefill", "machine"])
    tall = [1.0 if name in prefills else DECODE_ROW for name in machines]
    ends = np.cumsum(tall)
    place = dict(zip(machines, ends - np.array(tall) / 2, strict=True))
    heights = dict(zip(machines, LANE * np.array(tall), strict=True))
    for rank in range(HIGHLIGHTED + 1):
        rows = table[table["rank"] == rank]
        row_height = rows["machine"].map(heights).astype(float)
        height = row_height / rows["lanes"]
        low = rows["machine"].map(place).astype(float) - row_height / 2 + rows["lane"] * height
        boxes = [
            [(s, y), (e, y), (e, y + h), (s, y + h)]
            for s, e, y, h in zip(rows["start"], rows["end"], low, height, strict=True)
        ]
        colour = GREY if rank == 0 else COLOURS[(rank - 1) % len(COLOURS)]
        name = "other workflows" if rank == 0 else f"{ORDINALS[rank - 1]}slowest"
        edge = "white" if rank == 0 else colour  # keeps a thin box in its colour
        axes.add_collection(
            PolyCollection(
                boxes,
                facecolors=colour,
                edgecolors=edge,
                linewidths=0.15 if rank == 0 else 0.5,
                label=name,
                zorder=2 + (rank > 0),
            )
        )
    axes.set_xlim(table["start"].min(), table["end"].max())
    axes.set_ylim(ends[-1], 0.0)
    axes.set_yticks([place[name] for name in machines], machines, fontsize=SMALL)
    axes.axhline(float(len(prefills)), color="black", linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("seconds")
    return axes


def natural(name: str) -> tuple[object, ...]:
    """So that p10 comes after p9."""
    head = name.rstrip("0123456789")
    return head, int(name[len(head) :] or -1)


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """The two policies above each other, on the same seconds."""
    policies = list(dict.fromkeys(table["policy"]))
    rows_tall = sum(DECODE_ROW if stage == "decode" else 1.0 for stage in table.drop_duplicates("machine")["stage"])
    fig, axes, across = panels(2, 1, 0.5 + 0.11 * rows_tall, HIGHLIGHTED + 1, width=PAGE_WIDTH, sharex=True)
    for panel, policy in zip(axes.flat, policies, strict=True):
        rows = table[table["policy"] == policy]
        draw_gantt(rows, panel)
        panel.set_title(f"{label(policy)}: Req95 {rows['req95'].iloc[0]:.2f}")
    axes[0, 0].set_xlabel("")
    axes[0, 0].set_xlim(table["start"].min(), table["end"].max())
    title = f"{table['title'].iloc[0]}; in colour what {label(policies[0])} serves slowest"
    legend_on_top(fig, axes.flat, across, title, handlelength=1.0)
    return fig


FIGURE = Figure("gantt", "One contended run under two policies, call by call", read_gantt, draw, rank=15)
