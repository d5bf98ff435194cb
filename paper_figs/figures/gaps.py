"""How far each policy is from the best possible, with the bracket that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import panels
from paper_figs.drawing.style import COLUMN_WIDTH, PAGE_WIDTH, label, lines
from paper_figs.reading.intervals import mean_interval
from paper_figs.reading.selection import in_order
from paper_figs.reading.store import GAP_CASE, NoDataError, StorePath, read_stored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

GRID = "gap"
UPPER = "best schedule found"
COLUMNS = 3
LEAST = 1.0  # per cent: the shortest axis


def read_gap_rows(store: StorePath) -> pd.DataFrame:
    """A row an instance, objective and policy as stored, with ``over_lower`` = value / LB - 1 and ``over_upper`` =
    value / UB - 1: the policy's distance from the optimum is between the two. NaN where the bound is 0.
    """
    found = read_stored(store, "gaps", GRID)
    return found.assign(
        over_lower=_over(found["value"], found["lower_bound"]), over_upper=_over(found["value"], found["upper_bound"])
    ).sort_values(["objective", *GAP_CASE, "policy"], kind="stable", ignore_index=True)


def _over(value: pd.Series, base: pd.Series) -> pd.Series:
    return (value / base.where(base > 0) - 1.0).where(value > base, other=np.where(value <= base, 0.0, np.nan))


def read_gaps(store: StorePath) -> pd.DataFrame:
    """Rows ``instance`` (one each, as ``read_gap_rows``) and rows ``mean`` over instances, by objective and policy.

    The mean rows' low and high are the 95 % interval of ``over_lower`` over instances, n their number.
    """
    rows = read_gap_rows(store)
    if rows["over_lower"].isna().all():
        raise NoDataError("no gap in this store: every lower bound is 0", store)
    means = []
    for (objective, policy), group in rows.groupby(["objective", "policy"], sort=True):
        known = group.dropna(subset=["over_lower", "over_upper"])
        found = mean_interval(known["over_lower"].tolist())
        values = {"over_lower": found.mean, "low": found.low, "high": found.high, "n": found.n}
        means.append(
            {
                "row": "mean",
                "objective": objective,
                "policy": policy,
                **values,
                "over_upper": known["over_upper"].mean(),
            }
        )
    # the schedule that closes the bracket is no policy, but its distance from LB is what is not known
    for objective, group in rows.groupby("objective", sort=True):
        once = group.drop_duplicates(GAP_CASE)
        width = _over(once["upper_bound"], once["lower_bound"]).dropna()
        found = mean_interval(width.tolist())
        values = {"over_lower": found.mean, "low": found.low, "high": found.high, "n": found.n, "over_upper": 0.0}
        means.append({"row": "mean", "objective": objective, "policy": UPPER, **values})
    return pd.concat([pd.DataFrame(means), rows.assign(row="instance")], ignore_index=True)


def draw_gap(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Bars from the distance to the upper bound to that to the lower one: the gap is in between, in the mean over
    instances; rings are single instances' upper ends. The rows of one objective.
    """
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    means = table[table["row"] == "mean"].set_index("policy").to_dict("index")
    policies = [*in_order(str(name) for name in means if name != UPPER), UPPER]
    styles = lines(policies[:-1])
    for k, policy in enumerate(policies):
        row = means[policy]
        colour = "#999999" if policy == UPPER else styles[policy]["color"]
        left, right = 100 * float(row["over_upper"]), 100 * float(row["over_lower"])
        axes.barh(k, right - left, 0.5, left=left, color=colour, alpha=0.75, linewidth=0)
        axes.plot([left, left], [k - 0.3, k + 0.3], color=colour, linewidth=1.6)
        if not np.isnan(row["low"]):
            low, high = max(100 * float(row["low"]), 0.0), 100 * float(row["high"])
            axes.plot([low, high], [k, k], color="black", linewidth=0.8)
        each = table[(table["row"] == "instance") & (table["policy"] == policy)]
        axes.plot(
            100 * each["over_lower"],
            np.full(len(each), k + 0.38),
            "o",
            markersize=1.8,
            markerfacecolor="none",
            color=colour,
            markeredgewidth=0.6,
        )
    axes.set_yticks(range(len(policies)), [label(name) for name in policies])
    axes.set_ylim(len(policies) - 0.4, -0.6)
    axes.set_xlim(0, max(axes.get_xlim()[1], LEAST))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("above the optimum, %")
    return axes


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A panel an objective, three in a row."""
    objectives = sorted(set(table["objective"]))
    columns = min(COLUMNS, len(objectives))
    rows = -(-len(objectives) // columns)
    policies = table.loc[table["row"] == "mean", "policy"].nunique()
    width = PAGE_WIDTH if columns > 1 else COLUMN_WIDTH
    fig, axes, _ = panels(rows, columns, 0.6 + 0.22 * policies, sharey=True, width=width)
    for panel in axes.flat[len(objectives) :]:
        panel.set_visible(False)
    for panel, objective in zip(axes.flat, objectives, strict=False):
        draw_gap(table[table["objective"] == objective], panel)
        panel.set_title(objective)
    return fig


FIGURE = Figure("gaps", "How far each policy is from the optimum, between certified bounds", read_gaps, draw, rank=11)
