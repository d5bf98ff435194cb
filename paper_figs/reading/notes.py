"""What a reader of a figure must know beside it, carried by the table behind it until it is drawn."""

from __future__ import annotations

import pandas as pd

KEY = "notes"  # in ``DataFrame.attrs``


def noted(table: pd.DataFrame, *notes: str) -> pd.DataFrame:
    """The table with these notes; empty ones are none."""
    table.attrs[KEY] = tuple(filter(None, notes))
    return table


def notes_of(table: pd.DataFrame) -> tuple[str, ...]:
    """The notes of a table, in their order."""
    return tuple(table.attrs.get(KEY, ()))
