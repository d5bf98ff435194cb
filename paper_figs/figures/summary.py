"""The paper's claims beside ours, with the verdict on each."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from paper_figs.drawing.figure import Figure
from paper_figs.drawing.style import PAGE_WIDTH, SMALL, label
from paper_figs.drawing.tables import TableText
from paper_figs.reading.claims import AGREES, DISAGREES, LARGER, NOT_TESTED, SMALLER, UNDECIDED, WITHIN, read_claims
from paper_figs.reading.intervals import Interval, text
from paper_figs.reading.paper_numbers import HEXAGENT

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

HEADINGS = ("claim", "paper", "ours [95 % interval]", "seeds", "verdict")
PLACES = (0.0, 0.44, 0.565, 0.79, 0.85)  # of the columns, shares of the width
CHARACTERS = 58  # of a claim in a line
CHARACTERS_OF_VERDICT = 16
CHARACTERS_OF_FOOT = 125
LINE = 0.15  # inches
# in words first, in colour for the hurried: Okabe and Ito's
COLOURS = {
    AGREES: "#009E73",
    WITHIN: "#009E73",
    LARGER: "#0072B2",
    SMALLER: "#B37400",
    UNDECIDED: "#666666",
    DISAGREES: "#D55E00",
    NOT_TESTED: "#999999",
}


def ours_text(row: Mapping[Any, Any]) -> str:
    """Our number with its interval and unit; a dash when there is none."""
    found = Interval(float(row["ours"]), float(row["low"]), float(row["high"]), int(row["n"]))
    if found.mean != found.mean:
        return "–"
    if row["unit"] == "ms":
        return text(found, digits=4, unit=" ms")
    return text(found, 100, unit=" %" + (" more" if row["unit"] == "growth" else ""))


def draw(table: pd.DataFrame) -> MatplotlibFigure:
    """The claims at the load that most settings have, as a table."""
    from matplotlib import pyplot as plt

    rows = table[table["main"]].to_dict("records")
    claims = [textwrap.wrap(str(row["text"]), CHARACTERS) for row in rows]
    verdicts = [textwrap.wrap(str(row["verdict"]), CHARACTERS_OF_VERDICT) for row in rows]
    heights = [max(len(claim), len(verdict)) + 0.6 for claim, verdict in zip(claims, verdicts, strict=True)]
    feet = textwrap.wrap(foot_text(rows), CHARACTERS_OF_FOOT)
    lines = sum(heights) + 2.2 + len(feet)
    fig = plt.figure(figsize=(PAGE_WIDTH, LINE * lines))
    axes = fig.add_axes((0.01, 0.0, 0.98, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(lines, 0)
    for place, heading in zip(PLACES, HEADINGS, strict=True):
        axes.text(place, 0.9, heading, va="center", weight="bold", fontsize=7.5)
    axes.axhline(1.5, color="black", linewidth=0.8)
    at = 1.6
    for row, claim, verdict, height in zip(rows, claims, verdicts, heights, strict=True):
        cells = ("\n".join(claim), row["paper_text"], ours_text(row), str(row["n"]), "\n".join(verdict))
        for k, (place, cell) in enumerate(zip(PLACES, cells, strict=True)):
            last = k == len(cells) - 1
            axes.text(
                place,
                at + height / 2,
                cell,
                va="center",
                fontsize=7,
                color=COLOURS.get(str(row["verdict"]), "black") if last else "black",
                weight="bold" if last else "normal",
            )
        at += height
        axes.axhline(at, color="#DDDDDD", linewidth=0.5)
    for k, line in enumerate(feet):
        axes.text(0, at + 0.8 + k, line, va="center", fontsize=SMALL, color="#555555")
    return fig


def foot_text(rows: Sequence[Mapping[Any, Any]]) -> str:
    """Under which load, of which policy, and how it was reckoned."""
    if not rows:
        return "no runs"
    study = str(rows[0]["policy"])
    place = "" if study == HEXAGENT else f" {label(study)} in HexAGenT's place."
    load = str(rows[0]["load_text"])
    return (
        f"{load[:1].upper()}{load[1:]}.{place} 1 − {label(study)} / baseline in each setting, paired by seed; "
        "intervals are over seeds."
    )


def as_table(table: pd.DataFrame) -> TableText:
    """The same as text."""
    rows = table[table["main"]].to_dict("records")
    cells = [(row["text"], row["paper_text"], ours_text(row), row["n"], row["verdict"]) for row in rows]
    return TableText(HEADINGS, cells, "llrrl", foot_text(rows))


FIGURE = Figure(
    "summary", "The paper's numbers beside ours, with a verdict a claim", read_claims, draw, rank=4, table=as_table
)
