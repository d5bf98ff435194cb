"""Dependence: a Gaussian copula with a part shared by a workflow's steps and a part of each step's own.

Every quantity is turned into normal scores. Their covariance splits into *between* (what two different steps of one
workflow have in common: heavy users, long documents) and *within* (what two quantities of the same step have in
common beyond that). A quantity fixed for the whole workflow is one with no *within* part.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

Factor = tuple[tuple[float, ...], ...]
FloatArray = NDArray[np.float64]

_NORMAL = NormalDist()


class TwoLevelCopula(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Correlated uniforms for the Q quantities of each step of a workflow.

    Attributes
    ----------
    quantities : tuple of str
        Names of the Q columns.
    between, within : tuple of Q rows
        Lower triangular factors of the two covariances; the covariances add up to unit variances.
    """

    quantities: tuple[str, ...]
    between: Factor
    within: Factor

    def uniforms(self, rng: np.random.Generator, steps: int) -> list[dict[str, float]]:
        """For each step, a uniform in (0, 1) for each quantity."""
        shared = _times(self.between, rng.standard_normal(len(self.quantities)))
        rows = []
        for _ in range(steps):
            own = _times(self.within, rng.standard_normal(len(self.quantities)))
            rows.append({name: _NORMAL.cdf(a + b) for name, a, b in zip(self.quantities, shared, own, strict=True)})
        return rows


def normal_scores(values: Sequence[float] | FloatArray) -> FloatArray:
    """Normal scores of the ranks, scaled to unit variance; NaN stays NaN, a constant becomes 0."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    column = np.asarray(values, dtype=float)
    scores = np.full(len(column), np.nan)
    known = ~np.isnan(column)
    if known.any():
        ranks = rankdata(column[known])
        z = ndtri((ranks - 0.5) / len(ranks))
        scores[known] = z / z.std() if z.std() > 0 else 0.0
    return scores


def fit_copula(quantities: Sequence[str], workflows: Sequence[FloatArray]) -> TwoLevelCopula:
    """Estimate both covariances by pairing steps.

    Parameters
    ----------
    quantities : sequence of str
        Names of the Q columns.
    workflows : sequence of arrays (steps, Q)
        Normal scores; NaN where a step has no such quantity.

    Notes
    -----
    The between covariance of a and b is the mean product of a in one step and b in another of the same workflow (the
    pairwise estimator of the intraclass correlation), each workflow weighted by its number of steps; total minus
    between is within. Both are projected to the nearest positive semidefinite matrix by clipping eigenvalues.
    """
    count = len(quantities)
    same, same_pairs = np.zeros((count, count)), np.zeros((count, count))
    other, other_pairs = np.zeros((count, count)), np.zeros((count, count))
    for rows in workflows:
        known = (~np.isnan(rows)).astype(float)
        scores = np.nan_to_num(rows)
        products, pairs = scores.T @ scores, known.T @ known
        same += products
        same_pairs += pairs
        if len(rows) > 1:
            weight = 1.0 / (len(rows) - 1)
            other += weight * (np.outer(scores.sum(0), scores.sum(0)) - products)
            other_pairs += weight * (np.outer(known.sum(0), known.sum(0)) - pairs)
    between = np.divide(other, other_pairs, out=np.zeros_like(other), where=other_pairs > 0)
    total = np.divide(same, same_pairs, out=between.copy(), where=same_pairs > 0)
    between, within = _semidefinite(between), _semidefinite(total - between)
    scale = np.sqrt(np.maximum(np.diag(between + within), 1e-12))
    scale = np.outer(scale, scale)
    return TwoLevelCopula(tuple(quantities), _factor(between / scale), _factor(within / scale))


def _semidefinite(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    clipped: FloatArray = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return clipped


def _factor(matrix: FloatArray) -> Factor:
    """Lower triangular root; the ridge only keeps a singular matrix factorable and vanishes in the rounding."""
    root = np.linalg.cholesky(matrix + 1e-9 * np.eye(len(matrix)))
    return tuple(tuple(round(float(x), 3) + 0.0 for x in row[: k + 1]) for k, row in enumerate(root))


def _times(factor: Factor, vector: FloatArray) -> list[float]:
    return [sum(a * float(x) for a, x in zip(row, vector, strict=False)) for row in factor]
