"""One contended run under two policies: what every instance did, and what chosen workflows waited for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from experiments.store import read_instance_of, read_schedule_of
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import columns_within, legend_on_top, panels
from paper_figs.drawing.style import COLOURS, PAGE_WIDTH, SMALL, label
from paper_figs.reading.contended import read_contended_pair
from paper_figs.reading.store import StorePath, read_stored
from paper_figs.reading.timeline import calls_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

CALLS_SHOWN = 250  # about as many as can be told apart in print
MOST_TIMES = 4  # times as many, for a window that has a slow workflow from end to end
HIGHLIGHTED = 4  # workflows in colour
GREY = "#D4D4D4"
LANE = 0.8  # of a row
DECODE_ROW = 2.0  # times as tall as one of prefill: it serves many calls at once
LANES_SHOWN = 6  # calls above each other in a row of decode; with more, the batch is drawn as an area
FLOW_LANE = 0.5  # rows of prefill that a call of a chosen workflow takes
FLOW_LANES = 8  # above each other; more share the height
INCH = 0.105  # height of a row of prefill
AROUND = 0.55  # inches of title and axis
THIN = 0.01  # of a window: prefills shorter than this in the median get no edges, which would cover them
PREFILL, DECODE = 1.0, 0.45  # opacity of a chosen workflow's stages

Array = np.ndarray[Any, Any]


def read_gantt(store: StorePath) -> pd.DataFrame:
    """A row a call and policy in the window: title, policy, req95, what ``calls_of`` has, rank, first, last.

    Long runs are cut to a window, ``first`` to ``last`` (seconds). ``rank`` numbers, from 1, the workflows that the
    first policy serves worst of those that are in it from end to end; 0 for the others.
    """
    pair = read_contended_pair(store)
    folder = Path(store)
    instance = read_instance_of(folder, str(pair.runs["key"].iloc[0]))
    stored = read_stored(store, "workflows", "paper")
    parts = []
    for row in pair.runs.to_dict("records"):
        mine = stored[stored["key"] == row["key"]].set_index("workflow_id")
        calls = calls_of(read_schedule_of(folder, row["key"]), instance, mine["arrival"].to_dict())
        parts.append(
            calls.assign(ratio=calls["workflow_id"].map(mine["ratio"]), policy=row["policy"], req95=row["req95"])
        )
    window, chosen = choose(parts[0])
    table = pd.concat([in_window(calls, window, chosen) for calls in parts], ignore_index=True)
    table.insert(0, "title", pair.title)
    return table


def choose(calls: pd.DataFrame) -> tuple[tuple[float, float], list[str]]:
    """A window of a run in which calls can be told apart, and the slowest workflows that are in it from end to end.

    The window is about the workflow of the largest ratio that fits into one.

    Parameters
    ----------
    calls : DataFrame
        As ``calls_of``, with a ratio where it is known; latency stands for it where it is not.

    Returns
    -------
    (first, last second), workflow ids
    """
    flows = calls.drop_duplicates("workflow_id")
    begun = calls.groupby("workflow_id")["prefill_start"].min()
    flows = flows.assign(arrival=flows["arrival"].fillna(flows["workflow_id"].map(begun)))
    flows = flows.assign(latency=flows["completed"] - flows["arrival"])
    if "ratio" not in flows:
        flows = flows.assign(ratio=flows["latency"])
    flows = flows.sort_values(["ratio", "workflow_id"], ascending=[False, True])
    end = float(calls["decode_end"].max())
    length = end * min(1.0, CALLS_SHOWN / len(calls))
    # rather a longer window than none of the slowest in it
    length = min(max(length, float(flows["latency"].head(HIGHLIGHTED).min())), MOST_TIMES * length, end)
    fits = flows[flows["latency"] <= length]
    about = (fits if len(fits) else flows).iloc[0]
    first = min(max(float(about["arrival"] + about["completed"] - length) / 2, 0.0), end - length)
    inside = flows[(flows["arrival"] >= first) & (flows["completed"] <= first + length)]
    if inside.empty:  # each takes longer than the window
        inside = flows[flows["workflow_id"] == about["workflow_id"]]
    return (first, first + length), [str(name) for name in inside["workflow_id"].head(HIGHLIGHTED)]


def in_window(calls: pd.DataFrame, window: tuple[float, float], chosen: Sequence[str]) -> pd.DataFrame:
    """The calls that are under way between two times (seconds), with ``rank`` by their place in ``chosen``."""
    first, last = window
    ranks = {name: k + 1 for k, name in enumerate(chosen)}
    begun = calls["released"].fillna(calls["prefill_start"])
    shown = calls[(calls["decode_end"] > first) & (begun < last)]
    rank = shown["workflow_id"].map(ranks).fillna(0).astype(int)
    return shown.assign(rank=rank, first=first, last=last).reset_index(drop=True)


def lanes_of(start: Array, end: Array) -> tuple[Array, int]:
    """A lane for each interval, so that those of one lane do not meet, and the number of lanes; in order of start."""
    free: list[float] = []
    lanes = np.zeros(len(start), dtype=int)
    for k in np.argsort(start, kind="stable"):
        lane = next((i for i, until in enumerate(free) if until <= start[k]), len(free))
        free[lane : lane + 1] = [float(end[k])]
        lanes[k] = lane
    return lanes, len(free)


def flow_height(rows: pd.DataFrame) -> float:
    """Rows of prefill that a chosen workflow takes."""
    begun = rows["released"].fillna(rows["prefill_start"]).to_numpy()
    lanes = lanes_of(begun, rows["decode_end"].to_numpy())[1] if len(rows) else 1
    return max(1.0, FLOW_LANE * min(lanes, FLOW_LANES)) + 0.4


def draw_gantt(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One policy's calls: a row a chosen workflow, a row an instance of prefill, a taller one an instance of decode.

    A chosen workflow shows how each of its calls waits, is prefilled, waits again, is transferred and decoded, with the
    workflow's arrival and completion. Where many calls are decoded at once, the batch is an area, and only the calls of
    chosen workflows are boxes on it.

    Parameters
    ----------
    table : DataFrame
        Rows of one policy of ``read_gantt``.
    ax : matplotlib Axes, optional
        The current one when absent.

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    first, last = float(table["first"].iloc[0]), float(table["last"].iloc[0])
    ticks: list[tuple[float, str, str]] = []
    y = 0.0
    for rank in range(1, int(table["rank"].max()) + 1):
        rows = table[table["rank"] == rank]
        if rows.empty:
            continue
        height = flow_height(rows)
        colour = COLOURS[(rank - 1) % len(COLOURS)]
        _draw_flow(axes, rows, y + 0.2, height - 0.4, colour)
        ratio = f" ({rows['ratio'].iloc[0]:.1f})" if "ratio" in rows and rows["ratio"].notna().all() else ""
        ticks.append((y + height / 2, f"{rows['workflow_id'].iloc[0]}{ratio}", colour))
        y += height
    if y:
        axes.axhline(y, color="black", linewidth=0.8)
    for machine in sorted(set(table["prefill_instance"]), key=natural):
        _draw_prefills(axes, table[table["prefill_instance"] == machine], y + (1 - LANE) / 2, last - first)
        ticks.append((y + 0.5, machine, "black"))
        y += 1.0
    axes.axhline(y, color="black", linewidth=0.8)
    decodes = sorted(set(table["decode_instance"]), key=natural)
    batches = {machine: table[table["decode_instance"] == machine] for machine in decodes}
    most = max(_largest_batch(rows, first, last) for rows in batches.values())
    for machine, rows in batches.items():
        _draw_decodes(axes, rows, y + DECODE_ROW * (1 - LANE) / 2, most, first, last)
        ticks.append((y + DECODE_ROW / 2, machine, "black"))
        y += DECODE_ROW
    axes.set_xlim(first, last)
    axes.set_ylim(y, 0.0)
    axes.set_yticks([place for place, _, _ in ticks], [name for _, name, _ in ticks], fontsize=SMALL)
    for text, (_, _, colour) in zip(axes.get_yticklabels(), ticks, strict=True):
        text.set_color(colour)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("seconds")
    return axes


def _boxes(axes: Axes, start: Any, end: Any, low: Any, high: Any, **options: Any) -> None:
    from matplotlib.collections import PolyCollection

    corners = [[(s, a), (e, a), (e, b), (s, b)] for s, e, a, b in zip(start, end, low, high, strict=True)]
    if corners:
        axes.add_collection(PolyCollection(corners, **options))


def _draw_flow(axes: Axes, rows: pd.DataFrame, top: float, height: float, colour: str) -> None:
    begun = rows["released"].fillna(rows["prefill_start"]).to_numpy()
    lanes, count = lanes_of(begun, rows["decode_end"].to_numpy())
    tall = height / count
    low = top + lanes * tall
    middle, high = low + tall / 2, low + 0.85 * tall
    for start, end in (("released", "prefill_start"), ("prefill_end", "admitted")):
        waits = rows[rows[end] > rows[start]].index
        held = rows.index.isin(waits)
        axes.hlines(middle[held], rows[start][held], rows[end][held], colors=colour, linewidths=0.7, linestyles=":")
    edges: dict[str, Any] = {"edgecolors": colour, "linewidths": 0.4}  # keeps a thin box in its colour
    _boxes(axes, rows["prefill_start"], rows["prefill_end"], low, high, facecolors=colour, zorder=3, **edges)
    thin = 0.3 * tall
    _boxes(
        axes, rows["admitted"], rows["decode_start"], middle - thin / 2, middle + thin / 2, facecolors="black", zorder=3
    )
    _boxes(axes, rows["decode_start"], rows["decode_end"], low, high, facecolors=colour, alpha=DECODE, zorder=3)
    marks: dict[str, Any] = {"linestyle": "none", "color": colour, "markersize": 4.5, "zorder": 4}
    for column, marker in (("arrival", ">"), ("completed", "s")):
        at = float(rows[column].iloc[0])
        if rows["first"].iloc[0] <= at <= rows["last"].iloc[0]:  # whole at the ends of the window too
            axes.plot([at], [top + height / 2], marker=marker, markeredgecolor="black", clip_on=False, **marks)


def _draw_prefills(axes: Axes, rows: pd.DataFrame, low: float, length: float) -> None:
    others, chosen = rows[rows["rank"] == 0], rows[rows["rank"] > 0]
    wide = len(others) and float((others["prefill_end"] - others["prefill_start"]).median()) > THIN * length
    edge: dict[str, Any] = {"edgecolors": "white" if wide else GREY, "linewidths": 0.3 if wide else 0.0}
    for part, options in ((others, {"facecolors": GREY, **edge}), (chosen, _colours(chosen))):
        count = len(part)
        _boxes(axes, part["prefill_start"], part["prefill_end"], [low] * count, [low + LANE] * count, **options)


def _draw_decodes(axes: Axes, rows: pd.DataFrame, low: float, most: int, first: float, last: float) -> None:
    tall = LANE * DECODE_ROW
    boxed = rows if most <= LANES_SHOWN else rows[rows["rank"] > 0]
    if most > LANES_SHOWN:
        times, calls = batch_steps(rows, first, last)
        axes.fill_between(times, low + tall - calls / most * tall, low + tall, step="post", color=GREY, linewidth=0)
    boxed = boxed.sort_values(["decode_start", "workflow_id", "call_id"], kind="stable")
    lanes, count = lanes_of(boxed["decode_start"].to_numpy(), boxed["decode_end"].to_numpy())
    each = tall / max(count, min(most, LANES_SHOWN), 1)
    bottom = low + tall - lanes * each
    for of_chosen in (False, True):
        part = ((boxed["rank"] > 0) == of_chosen).to_numpy()
        options = _colours(boxed[part]) if of_chosen else {"facecolors": GREY, "edgecolors": "white", "linewidths": 0.3}
        _boxes(
            axes, boxed["decode_start"][part], boxed["decode_end"][part], bottom[part] - each, bottom[part], **options
        )


def _colours(rows: pd.DataFrame) -> dict[str, Any]:
    colours = [COLOURS[(rank - 1) % len(COLOURS)] for rank in rows["rank"]]
    return {"facecolors": colours, "edgecolors": colours, "linewidths": 0.4, "zorder": 3}


def batch_steps(rows: pd.DataFrame, first: float, last: float) -> tuple[Array, Array]:
    """Times (seconds) from ``first`` to ``last`` and the calls being decoded from each of them on."""
    start, end = rows["decode_start"].to_numpy(), rows["decode_end"].to_numpy()
    times = np.unique(np.clip(np.concatenate(([first, last], start, end)), first, last))
    calls = np.searchsorted(np.sort(start), times, side="right") - np.searchsorted(np.sort(end), times, side="right")
    return times, calls


def _largest_batch(rows: pd.DataFrame, first: float, last: float) -> int:
    return int(batch_steps(rows, first, last)[1].max())


def natural(name: str) -> tuple[object, ...]:
    """So that p10 comes after p9."""
    head = name.rstrip("0123456789")
    return head, int(name[len(head) :] or -1)


def rows_tall(table: pd.DataFrame) -> float:
    """Rows of prefill that ``draw_gantt`` takes, for one policy."""
    flows = sum(flow_height(rows) for rank, rows in table.groupby("rank") if rank)
    return float(flows + table["prefill_instance"].nunique() + DECODE_ROW * table["decode_instance"].nunique())


def gantt_legend(table: pd.DataFrame) -> dict[str, Any]:
    """What boxes, lines and marks mean: artists by their words."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    batches = [_largest_batch(rows, rows["first"].iloc[0], rows["last"].iloc[0]) for _, rows in _by_machine(table)]
    most = max(batches)
    chosen = COLOURS[0]
    found: dict[str, Any] = {
        "prefill": Patch(facecolor=chosen),
        "decode": Patch(facecolor=chosen, alpha=DECODE),
        "transfer": Line2D([], [], color="black", linewidth=1.8),
        "waits": Line2D([], [], color=chosen, linewidth=0.9, linestyle=":"),
    }
    for name, marker, column in (("arrives", ">", "arrival"), ("is complete", "s", "completed")):
        if table[column].notna().any():
            mark: dict[str, Any] = {"color": chosen, "marker": marker, "markersize": 4.5, "markeredgecolor": "black"}
            found[name] = Line2D([], [], linestyle="none", **mark)
    others = f"others; decode: batch, full height {most}" if most > LANES_SHOWN else "other workflows"
    found[others] = Patch(facecolor=GREY)
    return found if (table["rank"] > 0).any() else {name: found[name] for name in list(found)[-1:]}


def _by_machine(table: pd.DataFrame) -> Any:
    keys = ["policy", "decode_instance"] if "policy" in table else ["decode_instance"]
    return table.groupby(keys)


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """The two policies above each other, on the same seconds."""
    policies = list(dict.fromkeys(table["policy"]))
    parts = [table[table["policy"] == policy] for policy in policies]
    legend = gantt_legend(table)
    height = AROUND + INCH * max(rows_tall(rows) for rows in parts)
    fig, axes, _ = panels(2, 1, height, 4, width=PAGE_WIDTH, sharex=True)
    for panel, policy, rows in zip(axes.flat, policies, parts, strict=True):
        draw_gantt(rows, panel)
        panel.set_title(f"{label(policy)}: Req95 {rows['req95'].iloc[0]:.2f}")
    axes[0, 0].set_xlabel("")
    title = f"{table['title'].iloc[0]}; in colour the slowest that {label(policies[0])} serves within it, with L / H"
    legend_on_top(fig, axes.flat, columns_within(PAGE_WIDTH, list(legend)), title, shown=legend, handlelength=1.4)
    return fig


FIGURE = Figure("gantt", "One contended run under two policies, call by call", read_gantt, draw, rank=15)
