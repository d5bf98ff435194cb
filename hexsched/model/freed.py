"""Memory that is free again goes back to the system, which allocators otherwise keep: as much as an instance takes."""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

PAGE = mmap.PAGESIZE  # bytes
FEW = 100_000  # calls: with fewer it is not worth looking


def hand_back(calls: int) -> None:
    """Hand back what arrays and tables have freed, after something was made of that many calls."""
    if calls < FEW:
        return
    if "pyarrow" in sys.modules:
        import pyarrow as pa

        pa.default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    """``malloc_trim``, where the C library has it; else None."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def in_small_pages(address: int, size: int) -> None:
    """Have whole pages of an array, not written to yet, come one by one and not by the hundred."""
    _tell_system(address, size, getattr(mmap, "MADV_NOHUGEPAGE", None))


def drop(address: int, size: int) -> None:
    """Give whole pages of an array back, whose contents are lost: they are there again when they are written to.

    Where the system has no such thing they are kept.
    """
    _tell_system(address, size, getattr(mmap, "MADV_DONTNEED", None))


def _tell_system(address: int, size: int, advice: int | None) -> None:
    advise = _advise()
    if advise is not None and advice is not None:
        advise(address, size, advice)


@cache
def _advise() -> Any:
    """``madvise`` of Linux, which forgets at once what is dropped; else None."""
    if not sys.platform.startswith("linux"):
        return None
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is not None:
        advise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    return advise
