"""The SLO scale that a share of the workflows meets (model M21)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexsched.metrics.parts.completions import Array


def required_scale(ratio: Array, q: float) -> float:
    """Req_q: the ceil(q N)-th smallest of the N ratios."""
    from fractions import Fraction  # 3 ms that ``hexsched --help`` need not wait for

    exact = Fraction(str(q)) * len(ratio)  # 0.95 means 95/100; in binary 0.07 * 100 is more than 7
    rank = max(math.ceil(exact), 1)
    ordered = ratio.copy()
    ordered.sort()
    return float(ordered[rank - 1])
