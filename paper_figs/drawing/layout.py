"""What several figures share in how they are laid out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paper_figs.drawing.style import COLUMN_WIDTH, PAGE_WIDTH, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

LEGEND_ENTRY = 1.35  # inches that an entry takes
LEGEND_LINE = 0.16
FEW = 5  # entries; with more a legend is set smaller
SMALL_ENTRY = 1.05
SMALL_LINE = 0.13
TITLE_LINE = 0.13
CHARACTER = 0.052  # inches of a character in a small legend
HANDLE = 0.42  # inches of its line and the space around it
AXES_SHARE = 0.775  # of a new figure's width that its axes have
BESIDE = 4.5  # inches: axes of a figure as wide as this have room for a legend at their right
CHARACTERS_AN_INCH = 15  # of a title
MOST_TICKS = 6
# from fine to coarse; the first with few enough is taken
TICKS = (
    *(tuple(round(1 + step * k, 2) for k in range(round(9 / step))) for step in (0.05, 0.1, 0.2, 0.5, 1.0)),
    (1.0, 2.0, 3.0, 5.0, 7.0),
    (1.0, 2.0, 5.0),
    (1.0,),
)
SMALL_LEGEND = {
    "fontsize": SMALL,
    "handlelength": 2.2,
    "columnspacing": 1.0,
    "handletextpad": 0.5,
    "labelspacing": 0.25,
}
BEYOND = 0.5  # of the range of the means: how far axes go beyond them at least, however wide an interval is
USUAL = 1.5  # times half the usual interval: the same where the means hardly differ


def width_for(columns: int) -> float:
    """Up to two panels beside each other fit a column of the paper; more take the page."""
    return COLUMN_WIDTH if columns <= 2 else PAGE_WIDTH


def panels(
    rows: int, columns: int, height: float, legend_entries: int = 0, title: str = "", **options: Any
) -> tuple[MatplotlibFigure, np.ndarray[Any, Any], int]:
    """A grid of panels.

    Parameters
    ----------
    rows, columns : int
    height : float
        Of one row, inches.
    legend_entries : int
        For which room is left at the top.
    title : str
        The legend's, for whose lines room is left too.
    **options
        For ``plt.subplots``.

    Returns
    -------
    figure, (rows, columns) array of Axes, columns of the legend
    """
    from matplotlib import pyplot as plt

    width = float(options.pop("width", width_for(columns)))
    entry, line = (LEGEND_ENTRY, LEGEND_LINE) if legend_entries <= FEW else (SMALL_ENTRY, SMALL_LINE)
    across = max(1, min(legend_entries, int(width / entry)))
    legend = 0.15 + line * -(-legend_entries // across) if legend_entries else 0.0
    legend += TITLE_LINE * len(textwrap.wrap(title, int(CHARACTERS_AN_INCH * width)))
    size = (width, legend + height * rows)
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)
    return fig, axes, across


def wrapped_title(axes: Axes, text: str, **options: Any) -> None:
    """A panel's title in lines as wide as its share of the figure, so that none runs over its neighbour's."""
    spec = axes.get_subplotspec()
    across = axes.figure.figure.get_figwidth() / (spec.get_gridspec().ncols if spec else 1)
    width = max(int(CHARACTERS_AN_INCH * 0.9 * across), 8)
    axes.set_title("\n".join(line for each in text.split("\n") for line in textwrap.wrap(each, width)), **options)


def legend_on_top(
    fig: MatplotlibFigure,
    axes: Iterable[Axes],
    across: int,
    title: str = "",
    shown: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """One legend for all panels, each label once, in the order in which they are met, under a title.

    With ``shown``, artists by label, it has these in place of what the panels name.
    """
    found: dict[str, Any] = dict(shown or {})
    for each in () if shown else axes:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    lines = textwrap.fill(title, int(CHARACTERS_AN_INCH * fig.get_figwidth()))
    options = {"handlelength": 2.6, "title_fontsize": 7.5, "title": lines or None, **options}
    if len(found) > FEW:
        across = min(across, columns_within(fig.get_figwidth(), list(found)))
        options = {**options, **SMALL_LEGEND}
    fig.legend(list(found.values()), list(found), loc="outside upper center", ncols=across, **options)


def legend_beside(
    axes: Axes,
    handles: Sequence[Any],
    labels: Sequence[str],
    title: str = "",
    *,
    clear: float = 0.02,
    above: bool = False,
) -> None:
    """The legend of axes that stand alone: at their right in a wide figure, above them and their title in a narrow one.

    It is within the axes where others are beside them and the figure has no layout that would make room.

    Parameters
    ----------
    axes : matplotlib Axes
    handles, labels : sequences of artists and str
    title : str
    clear : float
        Share of the width of the axes that is left free at their right.
    above : bool
        Above them however wide they are.
    """
    from matplotlib.transforms import ScaledTranslation

    figure = axes.figure.figure  # of a subfigure that which it is in
    inches = axes.bbox.width / figure.dpi
    if figure.get_layout_engine() is None and len(figure.axes) > 1:
        options: dict[str, Any] = {"loc": "best", "frameon": True}
    elif inches >= BESIDE * AXES_SHARE and not above:
        options = {"loc": "upper left", "bbox_to_anchor": (1.0 + clear, 1.03)}
    else:
        columns = columns_within(inches / AXES_SHARE, labels)
        options = {"loc": "lower left", "bbox_to_anchor": (-0.12, 1.0), "ncols": columns}
        titles = axes.get_title()
        points = float(axes.title.get_fontsize()) * 1.25 * (titles.count("\n") + 1) + 5 if titles else 2.0
        up = ScaledTranslation(0, points / 72, figure.dpi_scale_trans)
        options["bbox_transform"] = axes.transAxes + up
    options.update(title=title or None, title_fontsize=SMALL, **SMALL_LEGEND)
    legend = axes.legend(handles, labels, **options)
    legend.set_alignment("left")


def columns_within(inches: float, labels: Sequence[str]) -> int:
    """The most columns of a small legend that fit; it is filled column by column."""
    lengths = [max(map(len, label.split("\n"))) for label in labels]
    for columns in range(len(labels), 1, -1):
        tall = -(-len(labels) // columns)
        longest = [max(lengths[k : k + tall]) for k in range(0, len(labels), tall)]
        if sum(HANDLE + CHARACTER * length for length in longest) <= inches:
            return columns
    return 1


def error_bars(rows: pd.DataFrame, scale: float = 1.0) -> np.ndarray[Any, Any]:
    """Distances from mean to low and to high, (2, n); 0 where there is no interval."""
    mean = rows["mean"].to_numpy(dtype=float)
    low, high = rows["low"].to_numpy(dtype=float), rows["high"].to_numpy(dtype=float)
    return scale * np.nan_to_num(np.vstack((mean - low, high - mean)))


def limits_of_means(rows: pd.DataFrame, scale: float = 1.0) -> tuple[float, float]:
    """Ends of an axis that shows 0, every mean and usual intervals; one that is far wider than the others is cut."""
    mean, lows, highs = (scale * rows[name].to_numpy(dtype=float) for name in ("mean", "low", "high"))
    least, most = min(float(np.nanmin(mean)), 0.0), max(float(np.nanmax(mean)), 0.0)
    half = highs - lows
    half = half[~np.isnan(half)] / 2
    reach = max(BEYOND * (most - least), USUAL * float(np.median(half)) if len(half) else 0.0, 1e-9)
    low = max(float(np.nanmin([*mean, *lows])), least - reach)
    high = min(float(np.nanmax([*mean, *highs])), most + reach)
    low, high = min(low, 0.0), max(high, 0.0)
    pad = 0.06 * max(high - low, 1e-9)
    return low - pad, high + pad


def plain_log_ticks(axis: Any, least: float, most: float) -> None:
    """Ticks of a logarithmic axis as plain numbers, few enough to be read."""
    powers = range(int(np.floor(np.log10(least))) - 1, int(np.ceil(np.log10(most))) + 1)
    for steps in TICKS:
        ticks = [s * 10.0**p for p in powers for s in steps if least <= s * 10.0**p <= most]
        if len(ticks) <= MOST_TICKS:
            break
    axis.set_ticks(ticks, [f"{t:g}" for t in ticks])
    axis.set_ticks([], minor=True)
