"""Which input a worker is at, in memory that outlives it."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_HEAD = struct.Struct("<QQQ")  # number of the input, whether it runs, its length
LARGEST = 4 * 2**20  # bytes of an input


class Slot:
    """A file that a worker writes the input to before it runs it, and that whoever watches the worker reads.

    Parameters
    ----------
    path : Path
        Is made where it is not there.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_HEAD.size + LARGEST))
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    def begin(self, number: int, data: bytes) -> None:
        """An input is about to run."""
        self._memory[_HEAD.size : _HEAD.size + len(data)] = data
        self._memory[: _HEAD.size] = _HEAD.pack(number, 1, len(data))

    def end(self) -> None:
        """It has run."""
        self._memory[8:16] = bytes(8)

    def running(self) -> tuple[int, bytes] | None:
        """Number and bytes of the input that runs, if one does."""
        number, active, length = _HEAD.unpack(self._memory[: _HEAD.size])
        return (number, bytes(self._memory[_HEAD.size : _HEAD.size + length])) if active else None

    def number(self) -> int | None:
        """Number of the input that runs, if one does."""
        number, active, _ = _HEAD.unpack(self._memory[: _HEAD.size])
        return number if active else None
