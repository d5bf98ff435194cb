"""The ladder from HexAGenT to the best possible."""

from __future__ import annotations

from experiments.pages import table
from paper_figs.figures.ladder import as_table
from paper_figs.reading.ladder import read_ladder
from paper_figs.reading.store import StorePath


def ladder(store: StorePath) -> str:
    text = as_table(read_ladder(store))
    rows = table(text.columns, text.rows, text.alignment)
    return "\n\n".join(["## From HexAGenT to the best possible", text.note, rows])
