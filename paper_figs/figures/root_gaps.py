"""How good the first bound of a formulation is, and what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from experiments.formulations.profiles import SOLVED, summary
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.solves import draw_facets, share_axis, solve_label, styles
from paper_figs.drawing.tables import TableText
from paper_figs.reading.notes import noted, notes_of
from paper_figs.reading.solves import by_facet, read_solves, shown, without_auto
from paper_figs.reading.store import NoDataError, StorePath

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure


def read_root_gaps(store: StorePath) -> pd.DataFrame:
    """A row a formulation: as ``summary``; root gaps are of the first bound that the solver proved, where all tell one.

    For a MILP without a target that is the linear relaxation after the solver's cuts at the root.

    Raises
    ------
    NoDataError
        When on no problem all solvers told one.
    """
    solves = without_auto(shown(read_solves(store)))
    table = by_facet(noted(_with_gaps(solves), *notes_of(solves)), lambda rows: summary(_told_by_all(rows)))
    table = noted(table[table["root_bounds"] > 0].reset_index(drop=True), *notes_of(table))
    if table.empty:
        raise NoDataError("on no problem did all solvers tell a first bound", store)
    return table


def _told_by_all(rows: pd.DataFrame) -> pd.DataFrame:
    """First bounds only where all formulations tell one, else each would be judged by the problems that it can do."""
    told = rows[rows["root_bound"].notna()]
    count = told.groupby(SOLVED)["formulation"].nunique()
    of_row = count.reindex(pd.MultiIndex.from_frame(rows[SOLVED])).fillna(0).to_numpy()
    return rows.assign(root_bound=rows["root_bound"].where(of_row == told["formulation"].nunique()))


def _with_gaps(solves: pd.DataFrame) -> pd.DataFrame:
    """With the columns that a comparison has and a grid does not."""
    if "gap" in solves:
        return solves
    bound, value = solves["lower_bound"].clip(lower=0.0), solves["value"]
    return solves.assign(gap=((value - bound) / value).where(value > 0, 0.0), cpu_seconds=float("nan"))


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A panel an objective: a point a formulation, its root gap against what it proves."""

    def draw_one(rows: pd.DataFrame, axes: Axes) -> Axes:
        for name, style in styles(rows):
            own = rows[rows["formulation"] == name].iloc[0]
            axes.plot(
                100 * own["root_gap"],
                100 * own["solved"] / own["rows"],
                style["marker"],
                color=style["color"],
                markerfacecolor="none",
                markersize=6,
                clip_on=False,
                label=solve_label(name),
            )
        axes.set_xlim(0, max(100 * float(table["root_gap"].max()) * 1.05, 1.0))
        share_axis(axes)
        axes.set_xlabel("mean root gap, %")
        axes.set_ylabel("proven optimal, %")
        return axes

    return draw_facets(table, draw_one)


def as_table(table: pd.DataFrame) -> TableText:
    """Root gap, final gap and size of the models."""
    rows = [
        (
            solve_label(row["formulation"]),
            row["objective"],
            f"{row['solved']} of {row['rows']}",
            f"{100 * row['root_gap']:.1f} %",
            row["root_bounds"],
            f"{100 * row['gap']:.1f} %",
            f"{row['variables']:,.0f}",
            f"{row['constraints']:,.0f}",
        )
        for row in table.to_dict("records")
    ]
    columns = ("formulation", "objective", "proven", "root gap", "over", "final gap", "variables", "constraints")
    note = (
        "Root gap: how far the first bound that the solver proved is below the best value that anything found, mean "
        "over so many solves, those of problems on which all tell one. Final gap: mean over all, 100 % where there is "
        "no schedule. Sizes are medians, of the last model."
    )
    return TableText(columns, rows, "llrrrrrr", note)


FIGURE = Figure(
    "root-gaps",
    "the first bound of each formulation against what it proves",
    read_root_gaps,
    draw,
    rank=18,
    table=as_table,
)
