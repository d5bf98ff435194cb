"""Reading and writing files so that whatever is wrong with one is said in a line."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from hexsched.errors import InputError

T = TypeVar("T")

MAX_LINE_BYTES = 32 * 2**20  # far above any real workflow; keeps a file without line ends from filling memory


def read_bytes(path: str | Path) -> bytes:
    """The whole file; an unreadable, empty or non-UTF-8 one is an ``InputError``."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the file: {error.strerror or error}", path) from None
    if not data.strip():
        raise InputError("the file is empty", path)
    check_utf8(data, str(path))
    return data


def read_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line) for every line that is not blank.

    Raises
    ------
    InputError
        When the file cannot be read, a line is not UTF-8, or is longer than ``MAX_LINE_BYTES``.
    """
    try:
        with open(path, "rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise InputError(
                        f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB; expected one record a line",
                        f"{path}:{number}",
                    )
                check_utf8(line, f"{path}:{number}")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise InputError(f"cannot read the file: {error.strerror or error}", path) from None


def check_utf8(data: bytes, where: str) -> None:
    """Raise ``InputError`` unless ``data`` is UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text: byte {data[error.start]:#04x} at offset {error.start}", where) from None


def decode_json(data: bytes, kind: type[T], where: str) -> T:
    """Decode JSON into ``kind``, validating every field.

    Raises
    ------
    InputError
        Naming ``where`` and the field.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise InputError(validation_message(error), where) from None
    except msgspec.DecodeError as error:
        raise InputError(f"not valid JSON: {_syntax_message(data, error)}", where) from None
    except RecursionError:
        raise InputError("not valid JSON: nested too deeply", where) from None


def convert(data: object, kind: type[T], where: str) -> T:
    """Validate already parsed ``data`` (from YAML, say) as ``kind``; errors as in ``decode_json``."""
    try:
        return msgspec.convert(data, type=kind)
    except msgspec.ValidationError as error:
        raise InputError(validation_message(error), where) from None


def validation_message(error: msgspec.ValidationError) -> str:
    """``"field: what is wrong"`` from msgspec's ``"what is wrong - at `$.field`"``."""
    message, _, place = str(error).rpartition(" - at `")
    if not message:
        return _plain(str(error))
    field = place.rstrip("`").removeprefix("$").removeprefix(".")
    return f"{field}: {_plain(message)}" if field else _plain(message)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write atomically: a crash leaves the old file or the new one, never half of one.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():  # /dev/stdout and the like
            target.write_bytes(data)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(partial, 0o666 & ~umask)
            os.replace(partial, target)
        except BaseException:
            os.unlink(partial)
            raise
    except OSError as error:
        raise InputError(f"cannot write the file: {error.strerror or error}", path) from None


def _syntax_message(data: bytes, error: msgspec.DecodeError) -> str:
    """What is wrong and on which line, from msgspec's byte offset."""
    text = _plain(str(error)).removeprefix("JSON is malformed: ")
    if "truncated" in text:
        return "the text ends too early, the file may be truncated"
    found = re.fullmatch(r"(.*) \(byte (\d+)\)", text)
    if found is None:
        return text
    offset = int(found[2])
    line = data.count(b"\n", 0, offset) + 1
    if data[offset : offset + 1] in (b"N", b"I"):
        return f"line {line}: NaN and Infinity are not allowed, expected a finite number"
    return f"line {line}: {found[1]}"


def _plain(message: str) -> str:
    """msgspec's wording without its back quotes."""
    return message.replace("`", "'")
