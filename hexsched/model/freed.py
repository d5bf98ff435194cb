"""Memory that is free again goes back to the system, which allocators otherwise keep: as much as an instance takes."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

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
