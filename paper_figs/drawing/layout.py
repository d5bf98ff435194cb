"""What several figures share in how they are laid out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
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


def legend_on_top(fig: MatplotlibFigure, axes: Iterable[Axes], across: int, title: str = "", **options: Any) -> None:
    """One legend for all panels, each label once, in the order in which they are met, under a title."""
    found: dict[str, Any] = {}
    for each in axes:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    lines = textwrap.fill(title, int(CHARACTERS_AN_INCH * fig.get_figwidth()))
    options = {"handlelength": 2.6, "title_fontsize": 7.5, "title": lines or None, **options}
    if len(found) > FEW:
        fits = int(fig.get_figwidth() / (HANDLE + CHARACTER * max(map(len, found))))
        across = max(1, min(across, fits))
        options = {**options, **SMALL_LEGEND}
    fig.legend(list(found.values()), list(found), loc="outside upper center", ncols=across, **options)


def legend_beside(
    axes: Axes, handles: Sequence[Any], labels: Sequence[str], title: str = "", clear: float = 0.02
) -> None:
    """The legend of axes that stand alone: at their right in a wide figure, above them in a narrow one.

    ``clear`` is the share of their width that is left free at their right.
    """
    inches = axes.bbox.width / axes.figure.dpi
    if inches >= BESIDE * 0.775:  # of a figure, axes take about so much
        options: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0 + clear, 1.03)}
    else:
        fits = int(inches / 0.775 / (HANDLE + CHARACTER * max(map(len, labels), default=1)))
        # a title of axes stands above them too
        options = {"loc": "lower left", "bbox_to_anchor": (-0.12, 1.1 if axes.get_title() else 1.02)}
        options["ncols"] = max(1, min(fits, len(labels)))
    options.update(title=title or None, title_fontsize=SMALL, **SMALL_LEGEND)
    legend = axes.legend(handles, labels, **options)
    legend.set_alignment("left")


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
