"""A digest inside a Parquet file, of all its bytes, and the cell that it is of: what was changed is not read as other
numbers, nor is what was exchanged.

Parquet's own checksums cover pages and no more: a flipped bit in the footer can name another column or another length.
Both are values of the file's metadata, which other readers pass by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

KEY = "digest"
_MARK = b"blake2b-128:"
_BLANK = b"0" * 32
_CELL = b"hexsched-cell:"
BLANK = (_MARK + _BLANK).decode()  # the value before it is known


def metadata(keys: Collection[str]) -> dict[str, str]:
    """What the file's metadata has before it is sealed; ``keys`` of its rows."""
    mine = {"cell": f"{_CELL.decode()}{next(iter(keys))};"} if len(keys) == 1 else {}
    return {**mine, KEY: BLANK}


def sealed(data: bytes) -> bytes:
    """The file with its digest in the place of ``BLANK``, which its metadata has as the value of ``KEY``."""
    start = data.rindex(_MARK + _BLANK) + len(_MARK)
    return data[:start] + _digest(data) + data[start + len(_BLANK) :]


def is_of(key: str, data: bytes) -> bool:
    """Whether a file of this cell may have these bytes; one of an earlier version, or without rows, does not say."""
    start = data.rfind(_CELL)
    return start < 0 or data.startswith(f"{key};".encode(), start + len(_CELL))


def is_whole(data: bytes) -> bool:
    """Whether the file has the digest of its own bytes."""
    start = data.rfind(_MARK) + len(_MARK)
    if start < len(_MARK):
        return False
    blank = data[:start] + _BLANK + data[start + len(_BLANK) :]
    return data[start : start + len(_BLANK)] == _digest(blank)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()
