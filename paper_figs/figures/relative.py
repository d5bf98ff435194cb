"""What policies beyond the paper's need relative to HexAGenT, workload by workload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.intervals import CUT, mark_cut, with_cut
from paper_figs.drawing.layout import error_bars, legend_on_top, panels, plain_log_ticks
from paper_figs.drawing.style import PAGE_WIDTH, label, lines, seeds_text
from paper_figs.drawing.tables import TableText
from paper_figs.reading.intervals import Interval, text
from paper_figs.reading.paper_numbers import BASELINES
from paper_figs.reading.reductions import HEADLINES
from paper_figs.reading.relative import (
    CONTENDED,
    EACH,
    MEASURES,
    NEEDS,
    TOGETHER,
    TOLERANCE,
    read_relative,
)
from paper_figs.reading.selection import VARIANT, in_order
from paper_figs.reading.store import EXACT, NoDataError, StorePath

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

LINE = 0.19  # inches of a workload
ROOM = 0.7  # inches above and below them
SPREAD = 0.6  # of a workload's row, over which its marks lie
TICKS = 4  # of a narrow panel
BEYOND = 1.1  # how far axes go beyond what they show, as a factor
EACH_LABELS = {EACH: "all of these", CONTENDED: "all that reach the load"}
DIGITS = 3  # of ratios: a goal is 2 %


def read_policies(store: StorePath) -> pd.DataFrame:
    """``read_relative`` on generated workloads, where there is a policy beside the paper's and HexAGenT's variants."""
    found = read_relative(store, files=False)
    variants = found["policy"].str.fullmatch(VARIANT)
    if not (~found["policy"].isin(BASELINES) & ~variants).any():
        raise NoDataError("no policy beside the paper's; make runs of some with 'hexsched grid run held-out'", store)
    return found.reset_index(drop=True)


def case_label(row: Mapping[Any, Any], among: pd.Series | None = None) -> str:
    """A workload, and how well output lengths were known where that is not exactly."""
    name = EACH_LABELS.get(row["workload"]) or label(row["workload"], () if among is None else set(among))
    return name if row["estimator"] == EXACT else f"{name}, {row['estimator']}"


def draw_relative(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Workloads from top to bottom, what each policy needs there, a colour a policy; rows of a load and measure."""
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    policies = in_order(table["policy"])
    cases = list(dict.fromkeys(case_label(row) for row in _sorted(table).to_dict("records")))
    named = table.assign(case=[case_label(row) for row in table.to_dict("records")])
    drawn = []
    for k, (policy, style) in enumerate(lines(policies).items()):
        rows = named[named["policy"] == policy].set_index("case").reindex(cases)
        places = np.arange(len(cases)) + SPREAD * ((k + 0.5) / len(policies) - 0.5)
        looks = {"color": style["color"], "fmt": "o", "markersize": 2.5, "elinewidth": 0.8}
        axes.errorbar(rows["mean"], places, xerr=error_bars(rows), label=label(policy), **looks)
        axes.plot(rows["worst"], places, "|", color=style["color"], markersize=4, markeredgewidth=0.8)
        drawn.append((places, rows, style["color"]))
    axes.axvline(1, color="black", linewidth=0.7)
    axes.set_xscale("log")
    shown = table[["mean", "worst"]].to_numpy(dtype=float)
    axes.set_xlim(min(float(np.nanmin(shown)), 0.95) / BEYOND, max(float(np.nanmax(shown)), 1.05) * BEYOND)
    plain_log_ticks(axes.xaxis, *axes.get_xlim(), room=TICKS)
    for places, rows, colour in drawn:
        mark_cut(axes, places, rows["low"].to_numpy(), rows["high"].to_numpy(), colour, along="x")
    axes.set_yticks(range(len(cases)), cases)
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    return axes


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    """Workloads in the order of families and files, all together last; exact estimates first."""
    from hexsched.workloads.families import FAMILIES

    names = {name: k for k, name in enumerate(FAMILIES)}
    rank = [
        (
            row["estimator"] != EXACT,
            row["estimator"],
            row["workload"] in TOGETHER,
            names.get(row["workload"], len(names)),
        )
        for row in table.to_dict("records")
    ]
    order = sorted(range(len(table)), key=lambda k: (rank[k], table["workload"].iloc[k]))
    return table.iloc[order]


def draw(table: pd.DataFrame) -> list[MatplotlibFigure]:
    """A page a load, a panel a measure."""
    pages = []
    for load, rows in table.groupby("load", sort=True):
        settings = int(rows["settings"].max())
        reached = rows.loc[(rows["workload"] == EACH) & (rows["estimator"] == EXACT), "reached"]
        title = f"SLO scale needed, HexAGenT = 1; {settings} settings, {load}"
        if len(reached) and reached.iloc[0] < 1:
            title += f" ({100 * (1 - reached.iloc[0]):.0f} % of the runs all at once, where it is not reached)"
        title += f"; | : the setting that is worst for a policy; {seeds_text(rows['n'])}"
        cases = len(rows[["workload", "estimator"]].drop_duplicates())
        entries = rows["policy"].nunique()
        fig, axes, across = panels(
            1, len(NEEDS), ROOM + LINE * cases, entries, f"{title}; {CUT}", width=PAGE_WIDTH, sharey=True
        )
        for panel, measure in zip(axes.flat, NEEDS, strict=True):
            draw_relative(rows[rows["measure"] == measure], panel)
            panel.set_title(label(measure))
        legend_on_top(fig, axes.flat[:1], across, with_cut(title, axes.flat))
        pages.append(fig)
    return pages


def as_table(table: pd.DataFrame) -> TableText:
    """All measures, a row a policy, load and workload."""
    rows = []
    loads = sorted(set(table["load"]))
    keys = ["load", "estimator", "workload"]
    for policy in in_order(table["policy"]):
        mine = _sorted(table[table["policy"] == policy])
        for _, group in mine.groupby(keys, sort=False):
            first = group.iloc[0].to_dict()
            by = group.set_index("measure").to_dict("index")
            case = [label(policy), case_label(first, table["workload"]), *([first["load"]] if len(loads) > 1 else [])]
            worst = " / ".join(f"{by[name]['worst']:.2f}" for name in HEADLINES)
            over = " / ".join(f"{by[name]['over']} ({by[name]['surely']})" for name in HEADLINES)
            each = [ratio_text(by[name]) if name in by else "–" for name in MEASURES]
            rows.append((*case, f"{first['settings']} × {first['n']}", *each, worst, over))
    columns = (
        *("policy", "workload"),
        *(["load"] if len(loads) > 1 else []),
        "settings × seeds",
        *(label(name) for name in NEEDS),
        "decision cost",
        "worst setting, Req95 / Req99",
        "settings over 2 %, Req95 / Req99",
    )
    note = (
        "Relative to HexAGenT on the same instance and with the same estimates: geometric means over settings [95 % "
        "interval over seeds]; of the cost of decisions, wall clock, the median over settings. The worst setting has "
        f"the largest mean over seeds. In brackets: in how many of those beyond {TOLERANCE:g} the interval is, too."
    )
    if len(loads) == 1:
        note = f"Load {loads[0]}. {note}"
    return TableText(columns, rows, "l" * (len(columns) - len(MEASURES) - 3) + "r" * (len(MEASURES) + 3), note)


def ratio_text(row: Mapping[Any, Any]) -> str:
    """``"0.912 [0.905, 0.919]"`` of a row of ``read_relative``."""
    return text(Interval(row["mean"], row["low"], row["high"], row["n"]), digits=DIGITS)


FIGURE = Figure(
    "relative",
    "What policies need relative to HexAGenT, by workload",
    read_policies,
    draw,
    rank=6,
    table=as_table,
)
