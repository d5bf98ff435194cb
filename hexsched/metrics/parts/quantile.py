"""The value that a share of all values meets (model M21)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexsched.metrics.parts.completions import Array


def required(values: Array, q: float) -> float:
    """The ceil(q N)-th smallest of N values: of ratios, Req_q. NaN where there is no value."""
    from fractions import Fraction  # 3 ms that ``hexsched --help`` need not wait for

    if not len(values):
        return math.nan
    exact = Fraction(str(q)) * len(values)  # 0.95 means 95/100; in binary 0.07 * 100 is more than 7
    rank = max(math.ceil(exact), 1)
    parted = values.copy()
    parted.partition(rank - 1)  # a tenth of the time of sorting
    return float(parted[rank - 1])
