"""The rows of a CSV file, each with its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from hexsched.errors import InputError
from hexsched.model.files import read_bytes


def csv_rows(path: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Yield (``"file:line"``, cells) of every row, the header first; a byte order mark is left out.

    Raises
    ------
    InputError
        For a file without a row, and for what is no CSV.
    """
    lines = csv.reader(io.StringIO(read_bytes(path).decode("utf-8-sig"), newline=""), strict=True)
    empty = True
    try:
        for row in lines:
            empty = False
            yield f"{path}:{lines.line_num}", row
    except csv.Error as error:
        raise InputError(f"not valid CSV: {error}", f"{path}:{lines.line_num}") from None
    if empty:
        raise InputError("the file is empty", path)
