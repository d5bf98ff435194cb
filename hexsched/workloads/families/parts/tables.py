"""Marginals: a quantile table drawn from by inverse CDF, and counts drawn from by weight."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import accumulate
from typing import Literal, TypeVar

import msgspec
import numpy as np

Grid = Literal["coarse", "fine"]
Label = TypeVar("Label", int, str)

LEVELS: Mapping[Grid, tuple[float, ...]] = {
    "coarse": (0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 1.0),
    "fine": (0.0, 0.01, 0.02, 0.05, *(k / 20 for k in range(2, 20)), 0.95, 0.98, 0.99, 0.995, 0.998, 1.0),
}
FINE_FROM = 150  # observations; fewer get the coarse grid, so that no table is the sorted sample itself


class QuantileTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A distribution as its quantiles, linear in between.

    Attributes
    ----------
    grid : {"coarse", "fine"}
        Which of ``LEVELS`` the values belong to.
    values : tuple of float
        One quantile for each level, not decreasing.
    """

    grid: Grid
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) != len(LEVELS[self.grid]):
            raise ValueError(f"a {self.grid} table has {len(LEVELS[self.grid])} values, got {len(self.values)}")
        if any(high < low for low, high in zip(self.values, self.values[1:], strict=False)):
            raise ValueError("the values of a quantile table must not decrease")

    @staticmethod
    def fit(observations: Iterable[float]) -> QuantileTable:
        """The quantiles of ``observations`` (at least one), rounded to hundredths."""
        values = np.asarray(list(observations), dtype=float)
        grid: Grid = "fine" if len(values) >= FINE_FROM else "coarse"
        quantiles = np.quantile(values, LEVELS[grid])
        return QuantileTable(grid, tuple(round(float(v), 2) for v in quantiles))

    def at(self, level: float) -> float:
        """The quantile at ``level`` in [0, 1]."""
        levels = LEVELS[self.grid]
        k = min(max(bisect_right(levels, level), 1), len(levels) - 1)
        low, high = self.values[k - 1], self.values[k]
        return low + (high - low) * ((level - levels[k - 1]) / (levels[k] - levels[k - 1]))

    def level(self, value: float) -> float:
        """The level in [0, 1] at which the quantile reaches ``value``; the inverse of ``at``."""
        return float(np.interp(value, self.values, LEVELS[self.grid]))

    def tokens(self, level: float) -> int:
        """The quantile at ``level`` as a token count, at least 1."""
        return max(1, round(self.at(level)))


def count_labels(observations: Iterable[Label]) -> dict[Label, int]:
    """How often each label occurs, in the order of the labels."""
    return dict(sorted(Counter(observations).items()))


def draw_label(rng: np.random.Generator, counts: Mapping[Label, int]) -> Label:
    """One label with probability proportional to its count."""
    labels, bounds = _cumulated(tuple(counts.items()))
    label: Label = labels[bisect_right(bounds, rng.random() * bounds[-1])]
    return label


@cache
def _cumulated(items: tuple) -> tuple[tuple, list[int]]:
    return tuple(label for label, _ in items), list(accumulate(count for _, count in items))
