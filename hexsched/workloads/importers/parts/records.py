"""Records of a file one at a time: CSV rows and JSON lines, with errors that name the line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeVar

from msgspec import Meta

from hexsched.errors import InputError
from hexsched.model.files import decode_json, read_lines
from hexsched.model.workload import MAX_TOKENS
from hexsched.workloads.importers.parts.head import column_key

T = TypeVar("T")

Tokens = Annotated[int, Meta(ge=0, le=MAX_TOKENS)]
Duration = Annotated[float, Meta(ge=0)]
BlockTokens = Annotated[int, Meta(ge=1, le=MAX_TOKENS)]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def json_lines(path: Path, kind: type[T]) -> Iterator[tuple[str, T]]:
    """Yield (``"file:line"``, record) for every line that is not blank."""
    for number, line in _lines(path):
        where = f"{path}:{number}"
        yield where, decode_json(line, kind, where)


def csv_rows(path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """Yield (``"file:line"``, values of the required and then the optional columns) for every row.

    Columns are found by name (``column_key``) wherever they stand; an optional one that is absent reads as ``""``.
    Every line is parsed alone, as none of the formats has line ends inside quotes: so a stray quote is reported
    where it is.
    """
    names: list[str] | None = None
    positions: list[int | None] = []
    for number, line in _lines(path):
        where = f"{path}:{number}"
        try:
            values = next(csv.reader([line.decode("utf-8").rstrip("\r\n")], strict=True))
        except csv.Error as error:
            raise InputError(f"not valid CSV: {error}", where) from None
        if names is None:
            names = values
            positions = _positions(names, required, optional, where)
        elif len(values) != len(names):
            raise InputError(
                f"expected {len(names)} columns as in the header, got {len(values)}; the file may be truncated", where
            )
        else:
            yield where, ["" if at is None else values[at] for at in positions]


def whole_number(text: str, column: str, where: str) -> int:
    """A token count of a CSV cell; ``"12.0"`` (as pandas writes) is 12."""
    value = number(text, column, where)
    if not value.is_integer() or value > MAX_TOKENS:
        raise InputError(f"{column}: expected a whole number up to {MAX_TOKENS}, got {text.strip()!r}", where)
    return int(value)


def number(text: str, column: str, where: str) -> float:
    """A finite number >= 0 of a CSV cell."""
    try:
        if "_" in text:  # float() would read 1_0 as 10
            raise ValueError
        value = float(text)
    except ValueError:
        raise InputError(f"{column}: expected a number, got {text.strip()[:40]!r}", where) from None
    if not math.isfinite(value) or value < 0:
        raise InputError(f"{column}: expected a finite number >= 0, got {text.strip()!r}", where)
    return value


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    empty = True
    for number, line in read_lines(path):
        empty = False
        yield number, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
    if empty:
        raise InputError("the file is empty", path)


def _positions(names: list[str], required: tuple[str, ...], optional: tuple[str, ...], where: str) -> list[int | None]:
    position = {column_key(name): at for at, name in enumerate(names)}
    for name in required:
        if column_key(name) not in position:
            raise InputError(f"missing column {name!r}; the header needs {', '.join(required)}", where)
    return [position.get(column_key(name)) for name in (*required, *optional)]
