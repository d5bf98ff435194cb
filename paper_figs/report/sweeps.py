"""How the reduction moves with the load, the number of workflows and the number of instances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from experiments.pages import table
from paper_figs.drawing.cells import share
from paper_figs.drawing.style import label
from paper_figs.figures import sweeps
from paper_figs.reading.intervals import Interval
from paper_figs.reading.paper_numbers import WORKLOADS
from paper_figs.reading.reductions import HEADLINES
from paper_figs.reading.store import NoDataError, StorePath, ordered

UNREACHED = "all at once"  # how a place is marked that the load rule does not reach


def as_it_grows(store: StorePath) -> str:
    """A section for each of the sweeps that the store has runs of."""
    parts = [_section(what, read, page, store) for what, (read, page) in sweeps.SWEEPS.items()]
    found = "\n\n".join(part for part in parts if part)
    if not found:
        raise NoDataError("no setting at two loads or sizes", store)
    return found


def _section(what: str, read: Callable[[StorePath], pd.DataFrame], page: tuple[str, ...], store: StorePath) -> str:
    try:
        found = read(store)
    except NoDataError:
        return ""
    less = found[found["series"] == sweeps.REDUCTION]
    if less.empty:
        return ""
    study = label(str(found["study"].iloc[0]))
    counts = [
        f"{int((rows['low'] > 0).sum())} of {len(rows)} ({label(metric)})"
        for metric, rows in ((metric, less[less["metric"] == metric]) for metric in HEADLINES)
    ]
    parts = [
        f"## As the {what} grows",
        f"By how much less {study} needs than the strongest baseline [95 % interval over seeds]. It needs less beyond "
        f"the noise of the seeds at {', at '.join(counts)} places of the tables. Means over workloads have no "
        "interval.",
    ]
    missed = found[found["series"] != sweeps.REDUCTION].groupby([*page, "workload", "x"])["reached"].mean()
    for key, rows in less.groupby(list(page), sort=True):
        values = sorted(set(rows["x"]))
        lines: list[tuple[str, ...]] = []
        for workload in ordered(list(rows["workload"]), WORKLOADS):
            for metric in HEADLINES:
                by = rows[(rows["workload"] == workload) & (rows["metric"] == metric)].set_index("x").to_dict("index")
                cells = [_cell(by.get(x), float(missed.get((*key, workload, x), 1.0))) for x in values]
                seeds = {int(row["n"]) for row in by.values()}
                lines.append((label(workload), label(metric), "/".join(map(str, sorted(seeds))), *cells))
        where = ", ".join(
            f"{value} workflows" if name == "workflows" else str(value) for name, value in zip(page, key, strict=True)
        )
        lines += _means(rows, values)
        parts += [f"{where}:", table(("workload", "", "seeds", *(f"{x:g}" for x in values)), lines)]
    if missed.min() < 1:
        parts.append(f"({UNREACHED}: in some runs of that place at least, since the load asked for is not reached.)")
    return "\n\n".join(parts)


def _cell(row: dict[Any, Any] | None, reached: float) -> str:
    if row is None:
        return "–"
    text = share(Interval(row["mean"], row["low"], row["high"], int(row["n"])))
    return text if reached >= 1 else f"{text} ({UNREACHED})"


def _means(rows: pd.DataFrame, values: list[float]) -> list[tuple[str, ...]]:
    """A line a metric: the mean over the workloads that have every place."""
    lines = []
    for metric in HEADLINES:
        by = rows[rows["metric"] == metric].pivot(index="workload", columns="x", values="mean")[values].dropna()
        means = [f"{100 * value:.1f} %" for value in by.mean()] if len(by) else ["–"] * len(values)
        lines.append((f"mean of {len(by)}", label(metric), "", *means))
    return lines
