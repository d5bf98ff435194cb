"""How long to go on, for what takes any time."""

from __future__ import annotations

import time
from collections.abc import Callable

from hexsched.errors import InputError

Clock = Callable[[], float]  # seconds since some instant
Left = Callable[[], float]  # seconds for which to go on; 0 when it is to end


def check_time_limit(seconds: float) -> float:
    """The time limit; raises ``InputError`` where it is none."""
    if not seconds > 0:
        raise InputError(f"the time limit must be above 0 seconds, got {seconds:g}")
    return seconds


def until(stop: float, clock: Clock = time.monotonic) -> Left:
    """The seconds until a time of ``clock``."""
    return lambda: max(stop - clock(), 0.0)


def wall_clock() -> float:
    """Seconds as they pass."""
    return time.monotonic()


def cpu_clock(threads: int) -> Clock:
    """CPU seconds of the process, shared out evenly to so many threads: it stands still while others have the machine.

    Where fewer threads have work, it runs slower than the clock on the wall.
    """
    return lambda: time.process_time() / threads
