"""Figures that are tables, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from experiments.pages import table
from paper_figs.drawing.latex import tabular


class TableText(NamedTuple):
    """A table as it is read.

    Attributes
    ----------
    columns : sequence of str
    rows : list of sequences
    alignment : str
        A letter a column, ``l`` or ``r``.
    note : str
        A line below.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    alignment: str
    note: str = ""

    def latex(self) -> str:
        """As a ``tabular`` with the rules of booktabs."""
        return tabular(self.columns, self.rows, self.alignment, self.note)

    def markdown(self) -> str:
        """As Markdown."""
        return table(self.columns, self.rows, self.alignment) + (f"\n\n{self.note}\n" if self.note else "\n")
