"""The clock of ``hexsched.engine.wallclock`` as compiled code reads it: from the system's library of C."""

from __future__ import annotations

import time
from typing import Any

from numba import types
from numba.extending import overload

from hexsched.engine.wallclock import read_clock

_CLOCK_MONOTONIC = int(getattr(time, "CLOCK_MONOTONIC", 1))
_clock_gettime: Any = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.voidptr))


@overload(read_clock)
def _read_clock(buffer: Any) -> Any:
    def read(buffer: Any) -> Any:
        _clock_gettime(_CLOCK_MONOTONIC, buffer.ctypes)
        return buffer[0] * 1_000_000_000 + buffer[1]

    return read
