"""Means over seeds, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes
    ----------
    mean : float
    low, high : float
        NaN where a single value, or none that could be paired, allows no interval.
    n : int
        Seeds it rests on.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)

    def within(self, least: float = -math.inf, most: float = math.inf) -> Interval:
        """The interval without what the quantity cannot be: no time is below 0, no SLO scale needed below 1."""
        if not self.known:
            return self
        return Interval(self.mean, max(self.low, least), min(self.high, most), self.n)


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % confidence interval by Student's t (Student, Biometrika 6, 1908); none for fewer than two values.

    Seeds are drawn independently, so one value a seed is what it needs; it covers how much the outcome differs from
    seed to seed and nothing else.
    """
    found = np.asarray(values, dtype=float)
    n = len(found)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(found.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    half = _quantile(n - 1) * float(found.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


@cache
def _quantile(degrees: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + CONFIDENCE / 2, degrees))


def text(interval: Interval, scale: float = 1.0, digits: int = 1, unit: str = "") -> str:
    """``"18.2 [15.0, 21.4] %"``; the mean alone where there is no interval."""

    def rounded(value: float) -> str:
        return f"{round(scale * value, digits) + 0.0:.{digits}f}"  # no minus in front of a 0

    if not interval.known:
        return f"{rounded(interval.mean)}{unit}"
    return f"{rounded(interval.mean)} [{rounded(interval.low)}, {rounded(interval.high)}]{unit}"
