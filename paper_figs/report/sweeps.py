"""How the reduction moves with the load, the number of workflows and the number of instances."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from experiments.pages import table
from paper_figs.drawing.style import label
from paper_figs.figures import sweeps
from paper_figs.reading.reductions import HEADLINES
from paper_figs.reading.store import NoDataError, StorePath


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
    counts = []
    for metric in HEADLINES:
        rows = less[less["metric"] == metric]
        counts.append(f"{int((rows['low'] > 0).sum())} of {len(rows)} ({label(metric)})")
    text = sweeps.as_table(found, page)
    return "\n\n".join(
        [
            f"## As the {what} grows",
            f"{text.note} It needs less beyond the noise of the seeds at {', at '.join(counts)} places of the table.",
            table(text.columns, text.rows, text.alignment),
        ]
    )
