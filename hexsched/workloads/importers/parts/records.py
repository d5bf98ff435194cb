"""Records of a file one at a time: CSV rows and JSON lines, with errors that name the line."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from hexsched.errors import InputError
from hexsched.model.files import convert, decode_json, read_bytes, read_lines, whole_floats
from hexsched.model.json_keys import check_keys
from hexsched.model.workload import MAX_TOKENS

T = TypeVar("T")

Tokens = Annotated[int, Meta(ge=0, le=MAX_TOKENS)]
Duration = Annotated[float, Meta(ge=0)]
BlockTokens = Annotated[int, Meta(ge=1, le=MAX_TOKENS)]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def json_records(path: Path, kind: type[T]) -> Iterator[tuple[str, T | InputError]]:
    """Yield (where, record) for the objects of a file: one a line, or the elements of an array that is the file.

    Where an optional field is null it is absent, as tables turned into JSON have it; 1000.0 is a whole number.

    Yields
    ------
    tuple of str and kind
        ``"file:line"``, or ``"file: record 3"`` in an array; an ``InputError`` in place of a record that is none.
    """
    decoder = msgspec.json.Decoder(kind)
    name = str(path)
    if begins_with(path, b"["):
        elements = decode_json(read_bytes(path).removeprefix(BYTE_ORDER_MARK), list[msgspec.Raw], str(path))
        for number, element in enumerate(elements, 1):
            where = f"{path}: record {number}"
            yield where, _decoded(bytes(element), decoder, kind, where)
        return
    for number, line in text_lines(path):
        where = f"{name}:{number}"
        yield where, _decoded(line, decoder, kind, where)


def json_document(path: Path, kind: type[T]) -> T:
    """The one JSON value of a file; see ``json_records`` for what is taken leniently. Raises ``InputError``."""
    data = read_bytes(path).removeprefix(BYTE_ORDER_MARK)
    found = _decoded(data, msgspec.json.Decoder(kind), kind, str(path))
    if isinstance(found, InputError):
        raise found
    return found


def csv_records(
    path: Path,
    required: tuple[str, ...],
    optional: tuple[str, ...],
    parse: Callable[[str, Sequence[str]], T],
) -> Iterator[tuple[str, T | InputError]]:
    """Yield (``"file:line"``, what ``parse`` makes of the values of the required and then the optional columns).

    Columns are found by name (``column_key``) wherever they stand; an optional one that is absent reads as ``""``.
    Every line is parsed alone, as none of the formats has line ends inside quotes: so a stray quote is reported
    where it is.

    Yields
    ------
    tuple of str and T
        An ``InputError`` in place of a row that is none.

    Raises
    ------
    InputError
        For a header without a required column, or an empty file.
    """
    names: list[str] | None = None
    file = str(path)
    width = 0
    comma = ","
    pick: Callable[[list[str]], Sequence[str]] = list
    for number, line in text_lines(path):
        where = f"{file}:{number}"
        try:
            if names is None:
                comma = delimiter(line.decode("utf-8"))
            values = _cells(line, comma, where)
            if names is None:
                width = len(values)
                places = [width if at is None else at for at in find_columns(values, required, optional, where)]
                names = values
                pick = itemgetter(*places) if len(places) > 1 else partial(_picked, places)
                continue
            if len(values) != width:
                raise InputError(
                    f"expected {width} columns as in the header, got {len(values)}; the file may be truncated", where
                )
            values.append("")  # what an absent column reads as
            yield where, parse(where, pick(values))
        except InputError as error:
            if names is None:
                raise
            yield where, error


def whole_number(text: str, column: str, where: str) -> int:
    """A token count of a CSV cell; ``"12.0"`` (as pandas writes) is 12."""
    if text.isdecimal() and len(text) < 10 and text.isascii():
        return int(text)
    value = number(text, column, where)
    if not value.is_integer() or value > MAX_TOKENS:
        raise InputError(f"{column}: expected a whole number up to {MAX_TOKENS}, got {text.strip()!r}", where)
    return int(value)


def shown(value: object) -> str:
    """The beginning of a value that is wrong; of whole numbers with more digits than Python writes, that they have."""
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a whole number of more than 40 digits"
    return repr(str(value)[:40])


def number(text: str, column: str, where: str) -> float:
    """A finite number >= 0 of a CSV cell."""
    try:
        if "_" in text:  # float() would read 1_0 as 10
            raise ValueError
        value = float(text)
    except ValueError:
        raise InputError(f"{column}: expected a number, got {text.strip()[:40]!r}", where) from None
    if not 0 <= value < math.inf:
        raise InputError(f"{column}: expected a finite number >= 0, got {text.strip()!r}", where)
    return value


def text_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, line) without a byte order mark; raises ``InputError`` for an empty file."""
    empty = True
    for number, line in read_lines(path):
        if empty:
            empty = False
            line = line.removeprefix(BYTE_ORDER_MARK)
        yield number, line
    if empty:
        raise InputError("the file is empty", path)


def begins_with(path: Path, mark: bytes) -> bool:
    """Whether the first byte of a file that is not blank is this one."""
    _, line = next(text_lines(path))
    return line.lstrip().startswith(mark)


def delimiter(header: str) -> str:
    """What stands between the cells of a table with this header: a comma, a semicolon or a tab."""
    return max(",;\t", key=header.count)


def column_names(header: str) -> list[str]:
    """The names of the columns of a header, as they are written."""
    return [name.strip().strip('"') for name in header.split(delimiter(header))]


def column_key(name: str) -> str:
    """A column name without case, spaces, underscores and quotes: ``"Session ID"`` and ``SessionID`` are one."""
    return re.sub(r"[\s_\"]", "", name).lower()


def find_columns(
    names: list[str], required: tuple[str, ...], optional: tuple[str, ...], where: str
) -> list[int | None]:
    """Positions of the required and then the optional columns. Raises ``InputError`` for a missing one."""
    position: dict[str, int] = {}
    for at, name in enumerate(names):
        position.setdefault(column_key(name), at)
    for name in required:
        if column_key(name) not in position:
            raise InputError(f"missing column {name!r}; the header needs {', '.join(required)}", where)
    return [position.get(column_key(name)) for name in (*required, *optional)]


def _picked(places: list[int], values: list[str]) -> Sequence[str]:
    return [values[at] for at in places]


def _cells(line: bytes, comma: str, where: str) -> list[str]:
    text = line.decode("utf-8").rstrip("\r\n")
    if '"' not in text:
        return text.split(comma)
    try:
        return next(csv.reader([text], delimiter=comma, strict=True))
    except csv.Error as error:
        raise InputError(f"not valid CSV: {error}", where) from None


def _decoded(data: bytes, decoder: msgspec.json.Decoder[Any], kind: type[T], where: str) -> T | InputError:
    """The record; what is well-formed but not valid as it is gets a second try without nulls and with whole floats."""
    try:
        try:
            found: T = decoder.decode(data)
            check_keys(data, where)
            return found
        except (msgspec.MsgspecError, RecursionError):
            return convert(plain(decode_json(data, object, where)), kind, where)
    except InputError as error:
        return error
    except RecursionError:
        return InputError("not valid JSON: nested too deeply", where)


def plain(value: Any) -> Any:
    """The value without the fields that are null, and with 1000.0 as 1000."""
    return whole_floats(_without_nulls(value))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
