"""A digest inside a Parquet file, of all its bytes: what was changed on the disk is not read as other numbers.

Parquet's own checksums cover pages and no more: a flipped bit in the footer can name another column or another length.
The digest is a value of the file's metadata, which other readers pass by.
"""

from __future__ import annotations

import hashlib

KEY = "digest"
_MARK = b"blake2b-128:"
_BLANK = b"0" * 32
BLANK = (_MARK + _BLANK).decode()  # the value before it is known


def sealed(data: bytes) -> bytes:
    """The file with its digest in the place of ``BLANK``, which its metadata has as the value of ``KEY``."""
    start = data.rindex(_MARK + _BLANK) + len(_MARK)
    return data[:start] + _digest(data) + data[start + len(_BLANK) :]


def is_whole(data: bytes) -> bool:
    """Whether the file has the digest of its own bytes."""
    start = data.rfind(_MARK) + len(_MARK)
    if start < len(_MARK):
        return False
    blank = data[:start] + _BLANK + data[start + len(_BLANK) :]
    return data[start : start + len(_BLANK)] == _digest(blank)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()
