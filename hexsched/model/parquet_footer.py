"""What a Parquet file says of the size of its columns, from the end of the file itself.

pyarrow would say it too, but ends the whole process where these columns are damaged (an exception of C++ that nothing
catches), so no column of ``pq.FileMetaData`` is ever asked for. The footer is a struct in Thrift's compact protocol;
the numbers of fields are those of ``parquet.thrift`` in the Parquet format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hexsched.errors import InputError

_LENGTH_AND_MAGIC = 8  # bytes at the very end: the length of the footer, "PAR1"
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _, _STRUCT = range(1, 13)
_DEEPEST = 32  # structs and lists in each other
# fields and their types: of another type they are none, for pyarrow passes them over
_ROW_GROUPS, _COLUMNS, _COLUMN, _VALUES, _UNPACKED = (4, _LIST), (1, _LIST), (3, _STRUCT), (5, _I64), (6, _I64)


def column_sizes(path: str | Path) -> tuple[int, int]:
    """How many values all columns of all row groups hold, and their bytes once unpacked.

    Raises
    ------
    InputError
        Where the footer is damaged, or a size is below 0.
    """
    with open(path, "rb") as file:
        end = file.seek(-_LENGTH_AND_MAGIC, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(end - length, 0))
        data = file.read(length)
    try:
        groups = _Footer(data).struct(0)[_ROW_GROUPS]
        columns = [chunk[_COLUMN] for group in groups for chunk in group[_COLUMNS]]
        sizes = [(column[_VALUES], column[_UNPACKED]) for column in columns]
        if any(values < 0 or unpacked < 0 for values, unpacked in sizes):
            raise ValueError
    except (IndexError, KeyError, TypeError, ValueError):
        raise InputError("the end of this Parquet file is damaged", path) from None
    return sum(values for values, _ in sizes), sum(unpacked for _, unpacked in sizes)


class _Footer:
    """Values of Thrift's compact protocol, one after another."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self, depth: int) -> dict[tuple[int, int], Any]:
        """Values by the numbers and types of their fields."""
        found: dict[tuple[int, int], Any] = {}
        field = 0
        while (head := self._byte()) != 0:
            field = field + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            found[field, kind] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth + 1)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError
        if kind in (_I16, _I32, _I64):
            return self._signed()
        if kind == _BINARY:
            return self._bytes(self._whole())
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in (_LIST, _SET):
            head = self._byte()
            size = head >> 4 if head >> 4 < 15 else self._whole()
            return [self._value(head & 15, depth + 1) for _ in range(size)]
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        raise ValueError  # maps are none of the format's

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, size: int) -> bytes:
        self._at += size
        if self._at > len(self._data):
            raise IndexError
        return self._data[self._at - size : self._at]

    def _whole(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError

    def _signed(self) -> int:
        value = self._whole()
        return value >> 1 ^ -(value & 1)
