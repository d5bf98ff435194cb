"""Whole ticks for solvers that know no fractions, rounded so that what they prove holds in real time.

Rounding every duration and every release down gives a relaxation. Let a schedule be feasible in real time, and floor
each of its times. For x >= y + p real, floor(x) >= floor(y) + floor(p), so precedences hold. Two reservations that do
not overlap still do not, by the same line; so at any tick those that overlap pairwise did so in real time, and
intervals that overlap pairwise share a point: no capacity is exceeded. A lower bound of the floored problem is
therefore one of the real problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Ticks:
    """A tick length.

    Attributes
    ----------
    seconds : float
        Length of one tick.
    """

    seconds: float

    def down(self, seconds: Array | float) -> Array:
        """Whole ticks in ``seconds``; a value that is a tick but for rounding errors may come out one lower."""
        return np.floor(np.asarray(seconds) / self.seconds * (1 - 1e-15)).astype(np.int64)

    def back(self, ticks: Array | float) -> Array:
        """Seconds in ``ticks``."""
        return np.asarray(ticks) * self.seconds
