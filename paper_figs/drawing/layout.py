"""What several figures share in how they are laid out."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
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
ROW_LETTERS = 30  # of a name at its row, in a column of the paper
HANDLE = 0.42  # inches of its line and the space around it
AXES_SHARE = 0.775  # of a new figure's width that its axes have
BESIDE = 4.5  # inches: axes of a figure as wide as this have room for a legend at their right
CHARACTERS_AN_INCH = 15  # of a title
MOST_TICKS = 6
WIDEST_GAP = 0.4  # of a logarithmic axis, without a tick
WIDEST_END = 0.25  # and beyond the last
# from fine to coarse; the first with few enough is taken
TICKS = (
    *(tuple(round(1 + step * k, 2) for k in range(round(9 / step))) for step in (0.05, 0.1, 0.2, 0.5, 1.0)),
    (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0),
    (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 7.0),
    (1.0, 2.0, 3.0, 5.0, 7.0),
    (1.0, 2.0, 5.0),
    (1.0,),
)
EVEN_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # of ticks around 1, where those of whole powers lie on one side of it
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
    width = fig.get_figwidth()
    lines = textwrap.fill(title, int(CHARACTERS_AN_INCH * width))
    options = {"handlelength": 2.6, "title_fontsize": 7.5, "title": lines or None, **options}
    names = broken(found, width)
    planned = -(-len(found) // max(across, 1))
    across = min(across, columns_within(width, names))
    if len(found) > FEW:
        options = {**options, **SMALL_LEGEND}
    fig.legend(list(found.values()), names, loc="outside upper center", ncols=across, **options)
    # names that are longer than ``panels`` left room for take it from no panel
    more = legend_lines(names, across) - planned
    if more > 0:
        fig.set_figheight(fig.get_figheight() + more * (SMALL_LINE if len(found) > FEW else LEGEND_LINE))


def legend_beside(
    axes: Axes,
    handles: Sequence[Any],
    labels: Sequence[str],
    title: str = "",
    *,
    clear: float = 0.02,
    above: bool = False,
) -> int:
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

    Returns
    -------
    int
        Lines that it is high, without its title.
    """
    from matplotlib.transforms import ScaledTranslation

    figure = axes.figure.figure  # of a subfigure that which it is in
    inches = axes.bbox.width / figure.dpi
    columns = 1
    if figure.get_layout_engine() is None and len(figure.axes) > 1:
        options: dict[str, Any] = {"loc": "best", "frameon": True}
    elif inches >= BESIDE * AXES_SHARE and not above:
        options = {"loc": "upper left", "bbox_to_anchor": (1.0 + clear, 1.03)}
    else:
        labels = broken(labels, inches / AXES_SHARE)
        columns = columns_within(inches / AXES_SHARE, labels)
        options = {"loc": "lower left", "bbox_to_anchor": (-0.12, 1.0), "ncols": columns}
        titles = axes.get_title()
        points = float(axes.title.get_fontsize()) * 1.25 * (titles.count("\n") + 1) + 5 if titles else 2.0
        up = ScaledTranslation(0, points / 72, figure.dpi_scale_trans)
        options["bbox_transform"] = axes.transAxes + up
    options.update(title=title or None, title_fontsize=SMALL, **SMALL_LEGEND)
    legend = axes.legend(handles, labels, **options)
    legend.set_alignment("left")
    return legend_lines(labels, columns)


def broken(labels: Iterable[str], inches: float) -> list[str]:
    """Names of a legend in lines that fit a figure ``inches`` wide."""
    width = max(int((inches - HANDLE) / CHARACTER), 8)
    return ["\n".join(line for each in name.split("\n") for line in lines_within(each, width)) for name in labels]


def lines_within(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` letters, broken after spaces and commas and before "@", elsewhere where it must be."""
    found = [""]
    for part in re.split(r"(?<=[,\s])(?=\S)|(?=@)", text):
        if found[-1] and len((found[-1] + part).rstrip()) > width:
            found.append("")
        whole = found.pop() + part
        while len(whole.rstrip()) > width:
            found.append(whole[:width])
            whole = whole[width:]
        found.append(whole)
    return [line.rstrip() for line in found]


def shortened(text: str, width: int) -> str:
    """The text in at most ``width`` letters, an ellipsis where its middle was."""
    kept = max(width - 1, 2)
    return text if len(text) <= width else f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def _columns(values: Sequence[int], columns: int) -> list[list[int]]:
    """As a legend fills its columns: the first have one more where they are not even."""
    least, more = divmod(len(values), columns)
    ends = np.cumsum([0] + [least + (k < more) for k in range(columns)])
    return [list(values[a:b]) for a, b in pairwise(ends)]


def columns_within(inches: float, labels: Sequence[str]) -> int:
    """The most columns of a small legend that fit; it is filled column by column."""
    lengths = [max(map(len, label.split("\n"))) for label in labels]
    for columns in range(len(labels), 1, -1):
        if sum(HANDLE + CHARACTER * max(each) for each in _columns(lengths, columns)) <= inches:
            return columns
    return 1


def legend_lines(labels: Sequence[str], columns: int) -> int:
    """Lines that a legend of so many columns is high, without its title."""
    heights = [label.count("\n") + 1 for label in labels]
    return max(map(sum, _columns(heights, min(columns, len(labels))))) if labels else 0


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


def plain_log_ticks(axis: Any, least: float, most: float, room: int = MOST_TICKS) -> None:
    """Ticks of a logarithmic axis as plain numbers, at most ``room`` of them, and on no side of the axis alone."""
    powers = range(int(np.floor(np.log10(least))) - 1, int(np.ceil(np.log10(most))) + 1)
    choices = [[s * 10.0**p for p in powers for s in steps if least <= s * 10.0**p <= most] for steps in TICKS]
    choices += [
        [step * k for k in range(int(np.ceil(least / step - 1e-9)), int(most / step + 1e-9) + 1)]
        for step in EVEN_STEPS
        if (most - least) / step <= room
    ]

    def gap(ticks: list[float]) -> float:
        gaps = np.diff(np.log([least, *ticks, most])) / np.log(most / least)
        return max(*(gaps[[0, -1]] / WIDEST_END), *(gaps / WIDEST_GAP))

    few = [ticks for ticks in choices if len(ticks) <= room] or choices[-1:]
    ticks = next((each for each in few if gap(each) <= 1), min(few, key=gap))
    axis.set_ticks(ticks, [f"{t:g}" for t in ticks])
    axis.set_ticks([], minor=True)
