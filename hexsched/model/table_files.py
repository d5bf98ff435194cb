"""Tables in binary files, Parquet and Arrow, read as JSON Lines: a row a line, a batch of rows at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = b"PAR1"
ARROW = b"ARROW1"
PARQUET_ENDING = ".parquet"  # of the name of a file that is to be written so
HEAD_KEY = b"hexsched"  # of the metadata of a table that is an instance or a schedule
DIGEST_KEY = b"hexsched-sha256"  # the same, of the digest of that
BATCH_ROWS = 2048  # held in memory at a time


def is_parquet(path: str | Path) -> bool:
    """Whether a file begins as Parquet does; False for what cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(len(PARQUET)) == PARQUET
    except (OSError, ValueError):
        return False


def head_of_table(path: str | Path) -> bytes:
    """What the metadata of a Parquet file say of the instance or schedule in it; empty where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException):
        return b""
    head: bytes = metadata.get(HEAD_KEY, b"")
    return head


class TableLines(io.RawIOBase):
    """The rows of a Parquet or Arrow file as JSON Lines; memory grows with a batch of rows, not with the file.

    Nested columns become nested objects, times ISO 8601 in UTC to the nanosecond, decimals and bytes text, NaN null.

    Parameters
    ----------
    file : binary file
        Is closed with this.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pieces = self._encoded()
        self._left = b""

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As of any raw stream; an ``OSError`` where the file is damaged."""
        import pyarrow as pa

        try:
            while not self._left:
                self._left = next(self._pieces)
        except StopIteration:
            return 0
        except (pa.ArrowException, ValueError, KeyError, OverflowError, SystemError) as error:  # of damaged bytes
            raise OSError(f"{error}") from None
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()

    def _encoded(self) -> Iterator[bytes]:
        import msgspec

        encoder = msgspec.json.Encoder(enc_hook=_plain)
        for batch in _batches(self._file):
            yield encoder.encode_lines(_texts_of_times(batch).to_pylist())


def _batches(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    start = file.read(len(ARROW))
    file.seek(0)
    if start.startswith(PARQUET):
        import pyarrow.parquet as pq

        # not read ahead: row groups of traces with texts can be larger than memory
        yield from pq.ParquetFile(file, pre_buffer=False).iter_batches(BATCH_ROWS, use_threads=False)
        return
    import pyarrow.ipc

    reader = pyarrow.ipc.open_file(file)
    for index in range(reader.num_record_batches):
        batch = reader.get_batch(index)
        batch.validate(full=True)  # offsets into memory are taken as they stand in the file otherwise
        for first in range(0, batch.num_rows, BATCH_ROWS):
            yield batch.slice(first, BATCH_ROWS)


def _texts_of_times(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its times as text, which keeps nanoseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for column in batch.columns:
        if pa.types.is_timestamp(column.type):
            in_utc = column if column.type.tz is None else column.cast(pa.timestamp(column.type.unit, "UTC"))
            column = pc.cast(in_utc, pa.string())
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _plain(value: object) -> object:
    """What JSON has no value for."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)
