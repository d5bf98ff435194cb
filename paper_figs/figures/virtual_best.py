"""Each formulation against the virtual best: whatever is fastest on each problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from experiments.formulations.profiles import tried_by_all_able, virtual_best
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import panels
from paper_figs.drawing.solves import solve_label
from paper_figs.drawing.style import COLUMN_WIDTH, PAGE_WIDTH, SMALL
from paper_figs.drawing.tables import TableText
from paper_figs.reading.notes import noted, notes_of
from paper_figs.reading.solves import FACET, by_facet, read_solves
from paper_figs.reading.store import NoDataError, StorePath
from solvers.brackets.choice import AUTO, PENALTY, read_arm

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure


def read_virtual_best(store: StorePath) -> pd.DataFrame:
    """A row a formulation: as ``virtual_best`` of those with their switches as they are, and of ``auto`` beside them.

    Raises
    ------
    NoDataError
        When no problem was given to all, or none was proven.
    """
    every = read_solves(store)
    plain = every[[not read_arm(name).switches for name in every["formulation"]]]
    solves = tried_by_all_able(plain)
    if not (solves["status"] == "optimal").any():
        raise NoDataError("no instance that all formulations were given was proven, so there is no fastest", store)
    return by_facet(noted(solves, *notes_of(every)), _with_auto)


def _with_auto(solves: pd.DataFrame) -> pd.DataFrame:
    """``auto`` is fastest and alone nowhere: it only chooses among the others."""
    found = virtual_best(solves[solves["formulation"] != AUTO])
    if AUTO not in set(solves["formulation"]):
        return found
    chosen = virtual_best(solves).set_index("formulation").loc[[AUTO]].reset_index()
    return pd.concat([found, chosen.assign(fastest=np.nan, alone=np.nan)], ignore_index=True)


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A panel an objective: bars for how often each is fastest, points for what it proves."""
    facets = list(table.groupby(FACET, sort=False))
    names = list(dict.fromkeys(table["formulation"]))
    width = COLUMN_WIDTH if len(facets) == 1 else PAGE_WIDTH
    fig, axes, _ = panels(1, len(facets), 0.6 + 0.19 * len(names), 0, width=width, sharey=True)
    for panel, ((objective, limit), rows) in zip(axes.flat, facets, strict=True):
        own = rows.set_index("formulation").reindex(names)
        place = np.arange(len(names))
        panel.barh(place, 100 * own["fastest"].fillna(0.0), color="#56B4E9", height=0.7, label="fastest")
        panel.plot(100 * own["proven"] / own["solvable"], place, "D", color="black", markersize=3.5, label="proves")
        for k, ratio in enumerate(own["ratio"]):
            panel.text(103, k, "–" if ratio != ratio else f"{ratio:.3g}", fontsize=SMALL, va="center")
        panel.text(103, -1, "× fastest", fontsize=SMALL, va="center")
        panel.set_yticks(place, [solve_label(name) for name in names])
        panel.set_ylim(len(names) - 0.4, -1.4)
        panel.set_xlim(0, 122)
        panel.set_xticks([0, 25, 50, 75, 100])
        panel.grid(axis="y", visible=False)
        panel.set_xlabel(f"of {rows['solvable'].iloc[0]} problems, %: bar fastest, ◆ proves")
        panel.set_title(f"{objective}, {limit:g} s", fontsize=SMALL + 1)
    return fig


def as_table(table: pd.DataFrame) -> TableText:
    """The same as text."""
    rows = [
        (
            solve_label(row["formulation"]),
            row["objective"],
            f"{row['proven']} of {row['solvable']}",
            _percent(row["fastest"]),
            _percent(row["alone"]),
            f"{row['ratio']:.3g}",
        )
        for row in table.to_dict("records")
    ]
    columns = ("formulation", "objective", "proves", "fastest", "alone", "times the fastest")
    note = (
        "Of the problems that something proved, seeds apart: on how many it is fastest, how many nothing else proves, "
        f"and the geometric mean of its time over the fastest, {PENALTY:g} times the limit for what it does not prove."
    )
    return TableText(columns, rows, "llrrrr", note)


def _percent(share: float) -> str:
    return "–" if share != share else f"{100 * share:.0f} %"


FIGURE = Figure(
    "virtual-best",
    "how often each formulation is fastest, and what it proves",
    read_virtual_best,
    draw,
    rank=17,
    table=as_table,
)
