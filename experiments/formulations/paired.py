"""Two formulations on the same problems, times that were cut off at the limit included.

Of a pair on one problem, which is faster is known if one of them has a proof: the other took longer or did not finish.
So the sign test and the interval of the median ratio that belongs to it (Conover, Practical nonparametric statistics,
1999) need no assumption of how times are distributed or of what an unfinished one would have been, and no model of
censoring. Problems that neither proves say nothing and are left out. Seeds of one instance and objective are no
problems of their own: the median time over them counts. Objectives of one instance are taken for problems apart, which
makes intervals somewhat too narrow. P-values are corrected for the number of pairs by Holm's method (1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.formulations.profiles import PROBLEM, times, tried_by_all

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95


class Paired(NamedTuple):
    """How one compares with another.

    Attributes
    ----------
    one, other : str
    problems : int
        That one of them proves.
    faster, slower : int
        Problems on which ``one`` is.
    ratio, low, high : float
        Median of its time over that of the other, with the interval of 95 %: 0 and infinite where one did not finish;
        NaN where there is no problem, and the interval where there are too few for one.
    p : float
        Of the sign test, two-sided, as if this pair were the only one.
    """

    one: str
    other: str
    problems: int
    faster: int
    slower: int
    ratio: float
    low: float
    high: float
    p: float


def compare(frame: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """A row a pair, as ``Paired``, and ``p_holm``: p corrected for the number of pairs."""
    import pandas as pd

    rows = []
    for one, other in pairs:
        both = times(tried_by_all(frame[frame["formulation"].isin((one, other))]))
        rows.append(_paired(one, other, both.groupby(PROBLEM, sort=False).median()))
    table = pd.DataFrame(rows, columns=list(Paired._fields))
    return table.assign(p_holm=holm(table["p"].to_numpy(dtype=float)))


def holm(p: np.ndarray) -> np.ndarray:
    """P-values corrected for how many there are; NaN ones are none."""
    corrected = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    highest = 0.0
    for place, k in enumerate(known[np.argsort(p[known], kind="stable")]):
        highest = max(highest, min(1.0, float(p[k]) * (len(known) - place)))
        corrected[k] = highest
    return corrected


def _paired(one: str, other: str, table: pd.DataFrame) -> Paired:
    from scipy.stats import binomtest

    a, b = table[one].to_numpy(), table[other].to_numpy()
    told = np.isfinite(a) | np.isfinite(b)
    ratio = np.sort(a[told] / b[told])  # finite / inf is 0, inf / finite inf
    faster, slower = int((ratio < 1).sum()), int((ratio > 1).sum())
    p = float(binomtest(faster, faster + slower).pvalue) if faster + slower else math.nan
    low, high = _interval(ratio)
    middle = _middle(ratio) if len(ratio) else math.nan
    return Paired(one, other, len(ratio), faster, slower, middle, low, high, p)


def _middle(ratio: np.ndarray) -> float:
    """The median; between two middle values their geometric mean, or the finite one of them."""
    left, right = float(ratio[(len(ratio) - 1) // 2]), float(ratio[len(ratio) // 2])
    if left > 0 and math.isfinite(right):
        return math.sqrt(left * right)
    return 1.0 if left == 0 and not math.isfinite(right) else right if left == 0 else left


def _interval(ratio: np.ndarray) -> tuple[float, float]:
    """Order statistics that have the median between them with at least ``CONFIDENCE``."""
    from scipy.stats import binom

    n = len(ratio)
    cut = int(binom.ppf((1 - CONFIDENCE) / 2, n, 0.5)) if n else 0
    if cut == 0:
        return math.nan, math.nan
    return float(ratio[cut - 1]), float(ratio[n - cut])
