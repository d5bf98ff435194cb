"""How formulations look, and their figures with a panel an objective."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from paper_figs.drawing.layout import legend_on_top, panels
from paper_figs.drawing.style import COLOURS, COLUMN_WIDTH, PAGE_WIDTH, SMALL, pairs
from paper_figs.reading.solves import FACET
from solvers.brackets.choice import AUTO, read_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

MOST_COLUMNS = 3
PANEL_HEIGHT = 2.0  # inches
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
WIDTHS = (2.6, 2.0, 1.6, 1.3, 1.0)  # points
NAMES = {
    "cpsat": "CP-SAT",
    "choco": "Choco",
    "benders": "Benders",
    "milp_disjunctive": "disjunctive",
    "milp_time_indexed": "time-indexed: pulse",
    "milp_step": "time-indexed: step",
    "milp_on_off": "time-indexed: on/off",
    "milp_linear_ordering": "linear ordering",
    "milp_positional": "positional",
    "milp_event": "event-based",
    "column_generation": "column generation",
    "milp_placement": "placement",
    AUTO: "auto",
}


def solve_label(text: str) -> str:
    """How an arm is written: ``milp_step/SCIP:disaggregated=on`` as "time-indexed: step, SCIP, disaggregated on"."""
    arm = read_arm(text)
    switches = [f"{name} {'on' if on else 'off'}" for name, on in arm.switches]
    return ", ".join([NAMES.get(arm.formulation, arm.formulation), *([arm.solver] if arm.solver else []), *switches])


def styles(table: pd.DataFrame) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each formulation with its look; those of hexsched have their own whatever else is drawn, others what is left.

    With the one solver or switch that is drawn of it, a formulation keeps its look. No two of as many as there are
    colours have the same colour; ``auto``, which only chooses, is black, and the last.
    """
    present = list(dict.fromkeys(table["formulation"]))
    plain = {name: re.split("[/:]", name)[0] for name in present}
    of = {name: one if list(plain.values()).count(one) == 1 else name for name, one in plain.items()}
    looks = [(colour, dash) for dash, colour in pairs()]
    looks[0] = COLOURS[0], "-"
    own = {name: k for k, name in enumerate(name for name in NAMES if name != AUTO)} | {AUTO: len(looks)}
    looks.append(("black", ":"))
    free = iter(sorted(set(range(len(looks) - 1)) - {own[one] for one in of.values() if one in own}))
    place = {name: own[one] if one in own else next(free) for name, one in of.items()}
    for name, k in sorted(place.items(), key=lambda item: item[1]):
        # where curves meet, one is seen beneath the other and markers lie inside each other
        yield (
            name,
            {
                "color": looks[k][0],
                "linestyle": looks[k][1],
                "linewidth": WIDTHS[min(k, len(WIDTHS) - 1)],
                "marker": MARKERS[k % len(MARKERS)],
                "markersize": max(7.0 - k, 3.0),
            },
        )


def draw_facets(
    table: pd.DataFrame, draw_one: Callable[[pd.DataFrame, Axes], Axes], shared: bool = True
) -> MatplotlibFigure:
    """A panel an objective, under one legend; ``shared`` is whether they have one vertical axis."""
    facets = list(table.groupby(FACET, sort=False))
    columns = min(MOST_COLUMNS, len(facets))
    lines = -(-len(facets) // columns)
    entries = table["formulation"].nunique()
    width = COLUMN_WIDTH if columns == 1 else PAGE_WIDTH
    fig, axes, across = panels(lines, columns, PANEL_HEIGHT, entries, width=width, sharey=shared)
    for panel, ((objective, limit), rows) in zip(axes.flat, facets, strict=False):
        draw_one(rows, panel)
        panel.set_title(f"{objective}, {limit:g} s, {rows['problems'].iloc[0]} instances", fontsize=SMALL + 1)
    for panel in axes.flat[len(facets) :]:
        panel.set_visible(False)
    for panel in axes[:, 1:].flat:
        panel.set_ylabel("")
    legend_on_top(fig, list(axes.flat[: len(facets)]), across)
    return fig


def share_axis(axes: Axes) -> None:
    """From 0 to 100 %."""
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
