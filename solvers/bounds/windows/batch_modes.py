"""What a token costs on a decode instance, by the size of the batch that it is decoded in."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from solvers.problem.offline import Array, OfflineProblem

SPLITS = 64  # mixtures of two sizes that are tried in place of a size between them


class BatchMode(NamedTuple):
    """Decoding in a batch of about one size.

    Attributes
    ----------
    stay : (N,) float array
        Seconds that a token takes each call.
    cost : (N,) float array
        Seconds of one instance that a token of each call uses up.
    """

    stay: Array
    cost: Array


def batch_modes(problem: OfflineProblem, kind: int, sizes: tuple[int, ...]) -> list[BatchMode]:
    """Modes of decode type ``kind``: any schedule is a mixture of them.

    An iteration of B calls, of which each gets one token, takes g(B) + d2 K seconds with K >= sum n over the batch.

    - It takes that for every call of the batch; the others hold at least (B - 1) n_min tokens, with n_min the shortest
      prompt that fits the type. So a token of c takes c at least stay = g(B) + d2 (n_c + (B - 1) n_min).
    - Shared out among its calls, g(B) evenly and d2 K by what each holds, c is charged at least
      cost = g(B) / B + d2 n_c for a token. The charges of an iteration are no more than the seconds it took, so those
      of a time interval are no more than the interval has, for every instance.

    Large batches are cheap and slow, small ones fast and dear, and a call that must be fast cannot share the batch of
    one that can wait. Fluid tokens obey both statements as they do each instant.

    Not every B is kept. A size B between two kept ones, b < B < b', is replaced by a mixture of theirs that costs no
    more and takes no longer, after what g contributes to their stay and cost has been made smaller by the factor that
    this takes. In ``fixed``, the one mode is a full batch: theta, and theta / Bmax of the instance.

    Parameters
    ----------
    problem : OfflineProblem
    kind : int
    sizes : tuple of int
        Batch sizes to keep; 1 and the largest possible are always kept.
    """
    machine = problem.decode_machines[kind]
    fits = np.isfinite(problem.decode_of_type[:, kind])
    if not problem.fluid:
        seconds = np.full(problem.calls, float(machine.fixed_iteration_time))
        return [BatchMode(seconds, seconds / machine.max_batch)]
    if not fits.any():
        return []
    d2 = float(machine.decode_coeffs[2])
    most = min(machine.max_batch, int(fits.sum()))
    batch = np.arange(1, most + 1)
    curve = problem.batch_seconds(kind)[:most]
    stay, cost = curve + d2 * (batch - 1) * problem.prompt[fits].min(), curve / batch
    kept = sorted({1, most, *(size for size in sizes if size < most)})
    factor = mixture_factors(stay, cost, kept)
    own = d2 * problem.prompt
    return [BatchMode(own + f * stay[size - 1], own + f * cost[size - 1]) for size, f in zip(kept, factor, strict=True)]


def mixture_factors(stay: Array, cost: Array, kept: list[int]) -> Array:
    """For each kept size the factor, at most 1, after which mixtures of neighbours are as good as all between them.

    Parameters
    ----------
    stay, cost : (Bmax,) float arrays
        Of batches of 1, 2, ...
    kept : list of int
        Increasing sizes, the first and the last of all among them.
    """
    factor = np.ones(len(kept))
    split = np.linspace(0.0, 1.0, SPLITS)[:, None]
    for k, (low, high) in enumerate(itertools.pairwise(kept)):
        between = slice(low, high - 1)  # sizes low + 1 to high - 1
        if high - low < 2:
            continue
        mixed = [split * part[low - 1] + (1 - split) * part[high - 1] for part in (stay, cost)]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = [
                np.where(mix > 0, part[between] / mix, np.inf) for mix, part in zip(mixed, (stay, cost), strict=True)
            ]
        worst = min(float(np.minimum(*ratio).max(axis=0).min()), 1.0)
        factor[k : k + 2] = np.minimum(factor[k : k + 2], worst)
    return factor
