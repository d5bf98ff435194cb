"""Reading and writing files so that whatever is wrong with one is said in a line."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from hexsched.errors import InputError
from hexsched.model.json_keys import check_keys
from hexsched.model.table_files import ARROW, PARQUET, TableLines

T = TypeVar("T")

HALF_A_PAIR = "a text has half of a surrogate pair (\\ud800 to \\udfff), which is no character"
EXACT = 2**53  # whole numbers up to here are exact in a double
MOST_UNPACKED = 256 * 2**20  # bytes of a line, or of a file read as a whole, that a packed file may unpack to


def _gunzip(file: BinaryIO) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=file)


def _unzstd(file: BinaryIO) -> BufferedReader:
    import pyarrow as pa

    return BufferedReader(pa.CompressedInputStream(file, "zstd"))


def _rows(file: BinaryIO) -> BufferedReader:
    return BufferedReader(TableLines(file))


# What a packed file begins with, and what unpacks it; tables become a row a line.
PACKED: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": _gunzip,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": _unzstd,
    PARQUET: _rows,
    ARROW: _rows,
}
# What files that are not text, and that nothing here unpacks, begin with, and what to do about it.
FOREIGN = {
    b"PK\x03\x04": "this is a zip file (an Excel sheet is one too); unpack it first, or write the sheet as CSV",
    b"SQLite format 3": "this is a SQLite database; export a table as Parquet, JSON Lines or CSV first",
}


def open_plain(path: str | Path) -> BinaryIO:
    """Open a file for reading, unpacked where it is gzip, bzip2, xz or Zstandard; told from its first bytes.

    Parquet and Arrow files read as JSON Lines, a row a line.

    Raises
    ------
    InputError
        When it cannot be read, or is of a sort that has to be unpacked or converted first.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 (the caller closes it)
        start = file.peek(16)[:16]
    except OSError as error:
        raise InputError(f"cannot read the file: {error.strerror or error}", path) from None
    except ValueError:  # a zero byte, or half of a surrogate pair
        raise InputError(f"no file can have the name {str(path)!r}") from None
    for mark, advice in FOREIGN.items():
        if start.startswith(mark):
            file.close()
            raise InputError(advice, path)
    for mark, unpack in PACKED.items():
        if start.startswith(mark):
            unpacked: BinaryIO = unpack(file)
            return unpacked
    return file


def read_bytes(path: str | Path) -> bytes:
    """The whole file, unpacked; an unreadable, empty or non-UTF-8 one is an ``InputError``."""
    try:
        with open_plain(path) as file:
            data = file.read(MOST_UNPACKED + 1) if _is_packed(file) else file.read()
            _check_unpacked(data, file, path)
    except UNREADABLE as error:
        raise unreadable(error, path) from None
    if not data.strip():
        raise InputError("the file is empty", path)
    check_utf8(data, str(path))
    return data


def read_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line) for every line that is not blank; the file is unpacked on the way.

    Raises
    ------
    InputError
        When the file cannot be read, or a line is not UTF-8.
    """
    try:
        with open_plain(path) as file:
            is_packed = _is_packed(file)
            lines = iter(partial(file.readline, MOST_UNPACKED + 1), b"") if is_packed else file
            for number, line in enumerate(lines, 1):
                if is_packed:
                    _check_unpacked(line, file, f"{path}:{number}")
                if not line.isascii():
                    check_utf8(line, f"{path}:{number}")
                if not line.isspace():
                    yield number, line
    except UNREADABLE as error:
        raise unreadable(error, path) from None


def _is_packed(file: BinaryIO) -> bool:
    return not (isinstance(file, BufferedReader) and isinstance(file.raw, FileIO))


def _check_unpacked(data: bytes, file: BinaryIO, where: str | Path) -> None:
    if len(data) > MOST_UNPACKED and _is_packed(file):
        raise InputError(
            f"more than {MOST_UNPACKED // 2**20} MiB in one piece once unpacked; unpack the file first", where
        )


UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)


def unreadable(error: BaseException, path: str | Path) -> InputError:
    """The ``InputError`` for what went wrong while a file was read or unpacked."""
    if isinstance(error, OSError) and error.strerror:
        return InputError(f"cannot read the file: {error.strerror}", path)
    return InputError(f"cannot unpack the file, it may be damaged or cut short: {error}", path)


def check_utf8(data: bytes, where: str) -> None:
    """Raise ``InputError`` unless ``data`` is UTF-8."""
    if data.isascii():  # no copy of a long file
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text: byte {data[error.start]:#04x} at offset {error.start}", where) from None


def decode_json(data: bytes, kind: type[T], where: str) -> T:
    """Decode JSON into ``kind``, validating every field; 1000.0 is a whole number.

    Raises
    ------
    InputError
        Naming ``where`` and the field, or the key that comes twice.
    """
    try:
        value = msgspec.json.decode(data, type=kind)
        check_keys(data, where, value)
        return value
    except msgspec.ValidationError as error:
        try:
            plain = msgspec.json.decode(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise InputError(validation_message(error), where) from None
        check_keys(data, where)
        return convert_whole(plain, kind, error, where)
    except msgspec.DecodeError as error:
        raise InputError(f"not valid JSON: {_syntax_message(data, error)}", where) from None
    except RecursionError:
        raise InputError("not valid JSON: nested too deeply", where) from None
    except UnicodeDecodeError:
        check_utf8(data, where)
        raise


def convert(data: object, kind: type[T], where: str) -> T:
    """Validate already parsed ``data`` (from YAML, say) as ``kind``; as in ``decode_json``."""
    try:
        return msgspec.convert(data, type=kind)
    except msgspec.ValidationError as error:
        return convert_whole(data, kind, error, where)
    except UnicodeEncodeError:
        raise InputError(HALF_A_PAIR, where) from None


def convert_whole(data: object, kind: type[T], refusal: msgspec.ValidationError, where: str) -> T:
    """``data`` as ``kind`` once its whole floats are integers, or an ``InputError`` with why it was refused before."""
    try:
        return msgspec.convert(whole_floats(data), type=kind)
    except (msgspec.ValidationError, RecursionError):
        raise InputError(validation_message(refusal), where) from None
    except UnicodeEncodeError:
        raise InputError(HALF_A_PAIR, where) from None


def whole_floats(value: Any) -> Any:
    """The value with 1000.0 as 1000, at any depth."""
    if isinstance(value, dict):
        return {key: whole_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_floats(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT else value


def validation_message(error: msgspec.ValidationError) -> str:
    """``"field: what is wrong"`` from msgspec's ``"what is wrong - at `$.field`"``."""
    message, _, place = str(error).rpartition(" - at `")
    if not message:
        return _plain(str(error))
    field = place.rstrip("`").removeprefix("$").removeprefix(".")
    return f"{field}: {_plain(message)}" if field else _plain(message)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write atomically: a crash leaves the old file or the new one, never half of one. See ``write_chunks``."""
    write_chunks(path, (data,))


def write_chunks(path: str | Path, chunks: Iterable[bytes]) -> None:
    """Write what comes in pieces, atomically: a crash leaves the old file or the new one, never half of one.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():  # /dev/stdout and the like
            with open(target, "wb") as file:
                file.writelines(chunks)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(chunks)
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
