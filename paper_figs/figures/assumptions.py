"""What the paper does not state, and how far each of its claims depends on it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import legend_on_top, panels
from paper_figs.drawing.style import PAGE_WIDTH
from paper_figs.reading.assumptions import ASSUMPTIONS, NAMES, by_value, read_assumptions, values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

COLUMNS = 3
LINE = 0.125  # inches of a row of a panel
ROOM = 0.62  # inches above and below the rows
GAP = 0.7  # rows between one assumption and the next
CHARACTERS = 34  # of a panel's title in a line
OURS, PAPER = "#0072B2", "#D55E00"


def draw_claim(table: pd.DataFrame, claim: str, ax: Axes | None = None) -> Axes:
    """Our reduction by the value of each assumption: the mean over the other assumptions, and from least to most."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    rows = by_value(table, claim)
    blocks = rows["column"].map({name: k for k, name in enumerate(ASSUMPTIONS)}).to_numpy()
    places = np.arange(len(rows)) + GAP * blocks
    ends = 100 * rows[["least", "most"]].to_numpy()
    axes.hlines(places, ends[:, 0], ends[:, 1], color=OURS, linewidth=1.1, label="from least to most")
    axes.plot(100 * rows["mean"], places, "o", color=OURS, markersize=2.8, label="mean over the other assumptions")
    first = table[table["claim"] == claim].iloc[0]
    axes.axvline(100 * float(first["paper"]), color=PAPER, linewidth=1, linestyle="--", label="the paper's")
    axes.axvline(0, color="black", linewidth=0.6)
    names = [
        f"scale {value}" if c == "scale" else value for c, value in zip(rows["column"], rows["value"], strict=True)
    ]
    axes.set_yticks(places, names, fontsize=6)
    axes.set_ylim(places[-1] + 0.8, -0.8)
    axes.grid(axis="y", visible=False)
    axes.set_title("\n".join(textwrap.wrap(str(first["text"]), CHARACTERS)), fontsize=6.5)
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A panel a claim; rows are the values of each assumption."""
    claims = list(dict.fromkeys(table["claim"]))
    down = -(-len(claims) // COLUMNS)
    shown = sum(len(values(table, column)) for column in ASSUMPTIONS)
    height = ROOM + LINE * (shown + GAP * len(ASSUMPTIONS))
    sets = len(table.drop_duplicates(ASSUMPTIONS))
    seeds = int(table["n"].max())
    title = (
        f"Reduction of the SLO scale needed, HexAGenT against baselines, under {sets} sets of assumptions; from top to "
        f"bottom: {', '.join(NAMES.values())}; {seeds} seeds"
    )
    fig, axes, across = panels(down, COLUMNS, height, 3, title, width=PAGE_WIDTH, sharey=True)
    for panel in axes.flat[len(claims) :]:
        panel.set_axis_off()
    for panel, claim in zip(axes.flat, claims, strict=False):
        draw_claim(table, claim, panel)
    for panel in axes[-1]:
        panel.set_xlabel("reduction, %")
    legend_on_top(fig, axes.flat[:1], across, title, handlelength=1.4)
    return fig


FIGURE = Figure("assumptions", "The paper's claims under what it does not state", read_assumptions, draw, rank=5)
