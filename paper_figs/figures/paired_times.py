"""Formulations, solvers and switches in pairs, on the same problems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from experiments.formulations.paired import compare
from experiments.formulations.profiles import tried_by_all, virtual_best
from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import mark_cut
from paper_figs.drawing.layout import panels, plain_log_ticks
from paper_figs.drawing.solves import solve_label
from paper_figs.drawing.style import COLUMN_WIDTH, SMALL
from paper_figs.drawing.tables import TableText
from paper_figs.reading.notes import noted, notes_of
from paper_figs.reading.solves import read_solves
from paper_figs.reading.store import NoDataError, StorePath
from solvers.brackets.choice import AUTO, read_arm

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

AGAINST = {"fastest": "#0072B2", "solver": "#009E73", "switch": "#D55E00"}  # what stands on the other side
WIDEST = 1e3  # ratio that is shown


def read_paired(store: StorePath) -> pd.DataFrame:
    """A row a pair: against, and as ``paired.compare``, over all objectives.

    Every formulation against the one that is nearest to the virtual best; one with another solver, and one with a
    switch changed, against the same without.

    Raises
    ------
    NoDataError
        When there are no two to compare.
    """
    solves = read_solves(store)
    if solves["time_limit"].nunique() > 1:
        raise NoDataError("solves of several time limits, so what was cut off cannot be compared", store)
    arms = {name: read_arm(name) for name in dict.fromkeys(solves["formulation"])}
    plain = [name for name, arm in arms.items() if not arm.switches and not arm.solver and name != AUTO]
    pairs: list[tuple[str, tuple[str, str]]] = []
    alike = tried_by_all(solves[solves["formulation"].isin(plain)])
    if len(plain) > 1 and (alike["status"] == "optimal").any():
        table = virtual_best(alike)
        fastest = str(table["formulation"].iloc[int(table["ratio"].to_numpy().argmin())])
        pairs += [
            ("fastest", (name, fastest)) for name in (*plain, *([AUTO] if AUTO in arms else [])) if name != fastest
        ]
    for name, arm in arms.items():
        for against, other in (("switch", arm._replace(switches=())), ("solver", arm._replace(solver=None))):
            if str(other) != name and str(other) in arms and (against == "switch" or not arm.switches):
                pairs.append((against, (name, str(other))))
    if not pairs:
        raise NoDataError("no two formulations, solvers or settings of a switch to compare", store)
    table = compare(solves, [pair for _, pair in pairs])
    table.insert(0, "against", [against for against, _ in pairs])
    return noted(table, *notes_of(solves))


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A row a pair: median ratio of times with its interval; beside it faster and slower, and the corrected p-value."""
    fig, axes, _ = panels(1, 1, 0.8 + 0.17 * len(table), 0, width=COLUMN_WIDTH)
    (panel,) = axes.flat
    panel.set_xscale("log")
    place = np.arange(len(table)) + 0.8 * (table["against"] != table["against"].shift()).cumsum().to_numpy()
    ends = table[["low", "high", "ratio"]].to_numpy()
    finite = ends[np.isfinite(ends) & (ends > 0)]
    most = float(np.clip(1.3 * np.maximum(finite, 1 / finite).max(initial=2.0), 4.0, WIDEST))
    panel.set_xlim(1 / most, most)
    for at, row, (low, high, ratio) in zip(place, table.to_dict("records"), ends, strict=True):
        colour = AGAINST[row["against"]]
        panel.plot(np.clip([low, high], 1 / most, most), [at, at], color=colour, linewidth=1.0)
        mark_cut(panel, np.array([at]), np.array([low]), np.array([high]), colour, along="x")
        panel.plot(np.clip(ratio, 1 / most, most), at, "o", color=colour, markersize=3.5, clip_on=False)
        panel.text(1.05, at, _result(row), fontsize=SMALL - 0.5, va="center", transform=panel.get_yaxis_transform())
    for against, rows in table.groupby("against", sort=False):
        first = place[rows.index[0]] - 0.8
        says = {"fastest": f"against {solve_label(str(rows['other'].iloc[0]))}"}.get(str(against), f"another {against}")
        panel.text(1 / most, first, says, fontsize=SMALL, va="center", color=AGAINST[str(against)])
    panel.text(
        1.05,
        place[0] - 0.8,
        "faster–slower, p",
        fontsize=SMALL - 0.5,
        va="center",
        transform=panel.get_yaxis_transform(),
    )
    panel.axvline(1.0, color="black", linewidth=0.6)
    plain_log_ticks(panel.xaxis, 1 / most, most)
    panel.set_yticks(place, [solve_label(name) for name in table["one"]], fontsize=SMALL)
    panel.set_ylim(place[-1] + 0.6, place[0] - 1.3)
    panel.grid(axis="y", visible=False)
    panel.set_xlabel("times as long: median, 95 % interval; arrow: beyond")
    return fig


def as_table(table: pd.DataFrame) -> TableText:
    """The same as text."""
    rows = [
        (
            solve_label(row["one"]),
            solve_label(row["other"]),
            row["problems"],
            row["faster"],
            row["slower"],
            f"{_times(row['ratio'])} [{_times(row['low'])}, {_times(row['high'])}]",
            _p(row["p_holm"]),
        )
        for row in table.to_dict("records")
    ]
    columns = ("", "against", "problems", "faster", "slower", "median ratio of times [95 %]", "p")
    note = (
        "Problems (instance and objective, the median over seeds) that one of the two proves; where the other does "
        "not, it is slower, and the ratio 0 or ∞. Sign test, two-sided, p corrected by Holm's method."
    )
    return TableText(columns, rows, "llrrrrr", note)


def _result(row: Mapping[Any, Any]) -> str:
    return f"{row['faster']}–{row['slower']}, {_p(row['p_holm'])}"


def _p(value: object) -> str:
    p = float(str(value))
    return "–" if math.isnan(p) else "<0.001" if p < 1e-3 else f"{p:.2g}"


def _times(value: object) -> str:
    ratio = float(str(value))
    return "–" if math.isnan(ratio) else "∞" if math.isinf(ratio) else f"{ratio:.2g}"


FIGURE = Figure(
    "paired-times",
    "formulations, solvers and switches in pairs: median ratio of times and sign test",
    read_paired,
    draw,
    rank=20,
    table=as_table,
)
