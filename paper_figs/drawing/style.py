"""One look for all figures: legible at the width of a column, and without colour too."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import matplotlib as mpl

# Okabe and Ito's palette without its yellow, which is too light for lines, then darker tones of Tol's "muted": the
# colour-blind tell them apart by hue and lightness; the policy under study is black
COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#332288",
    "#999933",
    "#882255",
    "#8A5A2B",
    "#44807A",
)
VARIANTS = ("black", "#5A5A5A", "#8C8C8C", "#B0B0B0")  # HexAGenT, and what it is compared with of itself
DASHES = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)), (0, (3, 1)))
COLUMN_WIDTH = 3.4  # inches
PAGE_WIDTH = 7.0

NAMES = {
    "hexagent": "HexAGenT",
    "fcfs": "FCFS",
    "workflow-fcfs": "Workflow-FCFS",
    "workflow-llf": "Workflow-LLF",
    "atlas": "ATLAS",
    "plas": "PLAS",
    "edf": "EDF",
    "sjf": "SJF",
    "sharegpt": "ShareGPT",
    "bfcl": "BFCL-v3",
    "lats": "LATS",
    "mixed": "Mixed",
    "qwen3-235b-a22b": "Qwen3-235B",
    "llama-3.1-70b": "Llama-3.1-70B",
    "llama-3.1-8b": "Llama-3.1-8B",
    "req50": "Req50",
    "req95": "Req95",
    "req99": "Req99",
    "max_ratio": "largest ratio",
    "mean_ratio": "mean ratio",
    "mean_latency": "mean latency",
}

# a policy of the paper has the same look in every figure
PINNED = ("fcfs", "workflow-fcfs", "workflow-llf", "atlas")
SMALL = 6.5  # points; the least that is still read in print


LOOK: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E0E0E0",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "svg.hashsalt": "hexsched",
}


@contextmanager
def look() -> Iterator[None]:
    """The settings of all figures, and no others are put back afterwards.

    In a notebook the first figure loads a backend, which makes matplotlib interactive; ``rc_context`` would take that
    back, and later figures would not be shown.
    """
    settings: Any = mpl.rcParams  # its type has the names as literals
    before = {name: settings[name] for name in LOOK}
    settings.update(LOOK)
    try:
        yield
    finally:
        settings.update(before)


def label(name: str, among: Iterable[str] = ()) -> str:
    """How a policy or workload is written in figures; options and placements of a policy are kept as they are.

    A workload of a file is stored with the options it was read with, ``"trace,output=n_out,session=user"``: it is
    written as ``"trace"``, and of its options those that others of that file do not have.

    Parameters
    ----------
    name : str
    among : iterable of str
        All that are shown beside it.
    """
    base = re.match(r"[^(@,]*", name)
    known = base.group() if base else name
    rest = name[len(known) :]
    if not rest.startswith(","):
        return NAMES.get(known, known) + rest
    options = rest[1:].split(",")
    others = [set(each.split(",")[1:]) for each in set(among) - {name} if each.split(",")[0] == known]
    shared = set(options).intersection(*others)
    return ", ".join([NAMES.get(known, known), *(each for each in options if others and each not in shared)])


def pool_label(pool: str) -> str:
    """``"hetero-1"`` as "Hetero-1"."""
    return "-".join(
        part.upper() if part[:1] in "ah" and part[1:].isdigit() else part.capitalize() for part in pool.split("-")
    )


def cluster_label(model: str, pool: str) -> str:
    """``"Qwen3-235B, Hetero-1"``."""
    return f"{label(model)}, {pool_label(pool)}"


def percent(value: float, low: float = math.nan, high: float = math.nan, digits: int = 0) -> str:
    """``"18 ± 3 %"``, or without what is not known."""
    half = "" if math.isnan(low) else f" ± {50 * (high - low):.{digits}f}"
    mean = round(100 * value, digits) + 0.0  # no minus in front of a 0
    return f"{mean:.{digits}f}{half} %".replace("-", "−")


def pairs() -> Iterator[tuple[Any, str]]:
    """Dashes and colours that go together: every colour once, then each with the next dashes."""
    for turn in range(len(DASHES)):
        for k, colour in enumerate(COLOURS):
            yield DASHES[(k + turn) % len(DASHES)], colour


def seeds_text(seeds: Iterable[int]) -> str:
    """``"95 % intervals over 3 seeds"``, or over ``"3 to 5"`` where intervals rest on different numbers of them."""
    counts = {int(each) for each in seeds if each > 1}
    if not counts:
        return "one seed, no intervals"
    least, most = min(counts), max(counts)
    return f"95 % intervals over {most if least == most else f'{least} to {most}'} seeds"


def lines(policies: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and dashes of each policy; no two have the same, and up to 15 policies no two the same colour.

    HexAGenT is black and its variants are grey, the paper's baselines always look the same, the others take what is
    left in turn.
    """
    looks = [(colour, dash) for dash, colour in pairs()]
    pinned = dict(zip(PINNED, looks, strict=False))
    styles = cycle(looks[len(PINNED) :])
    found: dict[str, dict[str, Any]] = {}
    solid = ["-", *DASHES]
    variants = 0
    for policy in policies:
        if policy.startswith("hexagent"):
            shade = VARIANTS[variants % len(VARIANTS)]
            found[policy] = {"color": shade, "linestyle": solid[variants % len(solid)], "linewidth": 1.8, "zorder": 3}
            variants += 1
        else:
            colour, dash = pinned[policy] if policy in pinned else next(styles)
            found[policy] = {"color": colour, "linestyle": dash}
    return found
