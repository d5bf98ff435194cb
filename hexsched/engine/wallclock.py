"""A wall clock that compiled code can read, to time policy decisions one by one."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from hexsched.engine.kernel import kernel


def read_clock(buffer: np.ndarray[Any, Any]) -> int:
    """As ``nanoseconds``; compiled code has it from ``hexsched.engine.compiler.clock``."""
    return time.perf_counter_ns()


@kernel
def nanoseconds(buffer):
    """Nanoseconds of a monotonic clock; ``buffer`` is two int64 of scratch."""
    return read_clock(buffer)


BINS_PER_OCTAVE = 8
BINS = 40 * BINS_PER_OCTAVE  # up to 2^40 ns, 18 minutes


@kernel
def record(histogram, elapsed):
    """Count ``elapsed`` nanoseconds in a histogram: BINS bins, then the number and the sum."""
    k = int(math.log2(max(elapsed, 1)) * BINS_PER_OCTAVE)
    histogram[min(k, BINS - 1)] += 1
    histogram[BINS] += 1
    histogram[BINS + 1] += elapsed


def new_histogram() -> np.ndarray[Any, Any]:
    """An empty histogram for ``record``."""
    return np.zeros(BINS + 2, np.int64)


def mean_seconds(histogram: np.ndarray[Any, Any]) -> float:
    """Mean of what was recorded, in seconds; 0 when nothing was."""
    return float(histogram[BINS + 1] / max(int(histogram[BINS]), 1)) * 1e-9


def quantile_seconds(histogram: np.ndarray[Any, Any], q: float) -> float:
    """The q-quantile of what was recorded, in seconds, rounded up to the next bin bound (at most 9 % too high)."""
    count = int(histogram[BINS])
    if count == 0:
        return 0.0
    k = int(np.searchsorted(np.cumsum(histogram[:BINS]), math.ceil(q * count)))
    return float(2.0 ** ((k + 1) / BINS_PER_OCTAVE)) * 1e-9
