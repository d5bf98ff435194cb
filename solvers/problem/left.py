"""How long to go on, for what takes any time."""

from __future__ import annotations

import time
from collections.abc import Callable

Left = Callable[[], float]  # seconds for which to go on; 0 when it is to end


def until(stop: float) -> Left:
    """The seconds until a time of ``time.monotonic``."""
    return lambda: max(stop - time.monotonic(), 0.0)
