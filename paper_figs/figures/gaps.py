"""How far each policy is from the best possible, with the bracket that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.layout import ROW_LETTERS, legend_on_top, panels, shortened
from paper_figs.drawing.setting import objective_label, setting_text
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
BAR = 0.5  # height, of a row
UPPER_COLOUR = "#999999"


def read_gap_rows(store: StorePath) -> pd.DataFrame:
    """The rows of ``gap_rows`` as stored."""
    return gap_rows(read_stored(store, "gaps", GRID))


def gap_rows(found: pd.DataFrame) -> pd.DataFrame:
    """A row an instance, objective and policy, with its distances from both bounds; the optimum is between the two.

    ``over_lower`` is value / LB - 1 and ``over_upper`` value / UB - 1; NaN where the bound is 0.

    Parameters
    ----------
    found : DataFrame
        ``GAP_CASE``, objective, policy, value, lower_bound, upper_bound.
    """
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
    return gap_table(rows)


def gap_table(rows: pd.DataFrame) -> pd.DataFrame:
    """As ``read_gaps``, from the rows of ``gap_rows``."""
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
    """Bars from the distance to the upper bound to that to the lower one: that to the optimum is in between.

    Distances are means over instances; the black line is the 95 % interval of a bar's right end, and rings are the
    right ends of single instances. ``gap_legend`` says so beside it.

    Parameters
    ----------
    table : DataFrame
        The rows of one objective of ``read_gaps``.
    ax : matplotlib Axes, optional
        The current one when absent.

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib import pyplot as plt

    axes = plt.gca() if ax is None else ax
    means = table[table["row"] == "mean"].set_index("policy").to_dict("index")
    policies = [*in_order(str(name) for name in means if name != UPPER), UPPER]
    styles = lines(policies[:-1])
    instances = table[table["row"] == "instance"]
    several = len(instances.drop_duplicates(GAP_CASE)) > 1
    # the interval of few instances would make all bars small
    last = max(1.1 * 100 * float(table["over_lower"].max()), LEAST)
    for k, policy in enumerate(policies):
        row = means[policy]
        colour = UPPER_COLOUR if policy == UPPER else styles[policy]["color"]
        left, right = 100 * float(row["over_upper"]), 100 * float(row["over_lower"])
        axes.barh(k, right - left, BAR, left=left, color=colour, alpha=0.75, linewidth=0)
        axes.plot([left, left], [k - 0.3, k + 0.3], color=colour, linewidth=1.6, solid_capstyle="butt")
        if not several:
            continue
        if not np.isnan(row["low"]):
            low, high = max(100 * float(row["low"]), 0.0), 100 * float(row["high"])
            axes.plot([low, min(high, last)], [k, k], color="black", linewidth=0.8)
            if high > last:  # it goes on
                axes.plot([last], [k], marker=">", markersize=3, color="black", clip_on=False)
        each = instances[instances["policy"] == policy]
        if each.empty:
            continue
        axes.plot(
            100 * each["over_lower"],
            np.full(len(each), k + 0.38),
            "o",
            markersize=2.2,
            markerfacecolor="none",
            color=colour,
            markeredgewidth=0.6,
            clip_on=False,
        )
    axes.set_yticks(range(len(policies)), [shortened(label(name), ROW_LETTERS) for name in policies])
    axes.set_ylim(len(policies) - 0.4, -0.6)
    axes.set_xlim(0, last)
    axes.grid(axis="y", visible=False)
    axes.set_axisbelow(True)
    axes.set_xlabel("above the optimum, %")
    return axes


def gap_legend(several: bool) -> dict[str, Any]:
    """What bars, lines and rings mean: artists by their words; ``several`` instances have lines and rings."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    found: dict[str, Any] = {
        "certain: above the best schedule found": Line2D(
            [], [], color="#555555", marker="|", markersize=7, markeredgewidth=1.6, linestyle="none"
        ),
        "bar: the distance to the optimum is in here": Patch(facecolor="#555555", alpha=0.75),
    }
    if several:
        found["95 % interval of the bar's right end"] = Line2D([], [], color="black", linewidth=0.8)
        found["an instance: above its lower bound"] = Line2D(
            [],
            [],
            color="#555555",
            marker="o",
            markersize=2.2,
            markerfacecolor="none",
            markeredgewidth=0.6,
            linestyle="none",
        )
    return found


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """A panel an objective, three in a row."""
    objectives = sorted(set(table["objective"]))
    columns = min(COLUMNS, len(objectives))
    rows = -(-len(objectives) // columns)
    policies = table.loc[table["row"] == "mean", "policy"].nunique()
    width = PAGE_WIDTH if columns > 1 else COLUMN_WIDTH
    instances = table[table["row"] == "instance"]
    legend = gap_legend(len(instances.drop_duplicates(GAP_CASE)) > 1)
    fig, axes, _ = panels(rows, columns, 0.6 + 0.22 * policies, len(legend) + 1, sharey=True, width=width)
    for panel in axes.flat[len(objectives) :]:
        panel.set_visible(False)
    for panel, objective in zip(axes.flat, objectives, strict=False):
        mine = table[table["objective"] == objective]
        draw_gap(mine, panel)
        count = len(mine[mine["row"] == "instance"].drop_duplicates(GAP_CASE))
        panel.set_title(f"{objective_label(objective)}, {count} instance{'s' if count > 1 else ''}")
    title = setting_text(instances)
    legend_on_top(fig, axes.flat[:1], 2 if width == PAGE_WIDTH else 1, title, shown=legend, handlelength=1.4)
    return fig


FIGURE = Figure("gaps", "How far each policy is from the optimum, between certified bounds", read_gaps, draw, rank=11)
