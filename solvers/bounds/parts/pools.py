"""The cluster as bounds see it: identical instances together, and what each stage has only so much of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from solvers.problem.offline import OfflineProblem

Array = np.ndarray[Any, Any]

PRICED_CALLS = 1_000  # most calls that prices of a stage are made for: any prices are valid, and few calls tell enough
LARGEST_STEP_FUNCTION = 3


@dataclass(frozen=True)
class Pools:
    """Both pools with identical instances aggregated into K prefill and L decode types.

    Letting a call move freely between identical instances, and share them, relaxes the problem.

    Attributes
    ----------
    problem : OfflineProblem
    prefill_count, decode_count : (K,), (L,) int arrays
        Instances of each type.
    prefill : (N, K) float array
        P of each call, seconds.
    stay : (N, K, L) float array
        T + m theta, seconds from admission to completion; inf where the call can never fit.
    demands : tuple of (N, L) float arrays
        Shares of one decode instance that a call takes from admission to completion: of any one demand, the calls on
        an instance never have more than 1 together.
    """

    problem: OfflineProblem
    prefill_count: Array
    decode_count: Array
    prefill: Array
    stay: Array
    demands: tuple[Array, ...]

    @cached_property
    def decode(self) -> Array:
        """(N, L) seconds from admission to completion, over the fastest transfer."""
        return self.stay.min(axis=1)

    @cached_property
    def rest(self) -> Array:
        """(N, K) seconds that must pass between the end of the prefill and completion."""
        return self.stay.min(axis=2)


def pools(problem: OfflineProblem) -> Pools:
    """The problem by types of instances."""
    return Pools(
        problem=problem,
        prefill_count=problem.prefill_types.count,
        decode_count=problem.decode_types.count,
        prefill=problem.prefill_of_type,
        stay=problem.transfer_of_type + problem.decode_of_type[:, None, :],
        demands=tuple(_demands(problem, problem.decode_types.first)),
    )


def _demands(problem: OfflineProblem, kinds: Array) -> Iterator[Array]:
    """Shares of a decode instance: batch slots, KV tokens, and KV tokens through dual feasible functions.

    With x = (n + m) / M, calls that fit together have sum x <= 1. The functions u_k of Fekete and Schepers (2001),
    u_k(x) = x where (k + 1) x is whole and floor((k + 1) x) / k elsewhere, keep that true: they say what x alone does
    not, that of calls above M / (k + 1) no more than k fit together.
    """
    kv, room = problem.kv[:, None], problem.capacity[None, kinds]
    yield np.broadcast_to(1.0 / problem.max_batch[None, kinds], np.broadcast_shapes(kv.shape, room.shape))
    yield kv / room
    for k in range(1, LARGEST_STEP_FUNCTION + 1):
        share = np.where((k + 1) * kv % room == 0, kv / room, ((k + 1) * kv // room) / k)
        if share.any():
            yield share


@dataclass(frozen=True)
class Resource:
    """A stage as one machine that serves all its calls at once, preemptively.

    In every schedule call c gets at least ``work[c]`` from it, not before ``head[c]``, and completes ``tail[c]`` after
    the last of it or later; all calls together get at most ``rate`` a second.

    Attributes
    ----------
    work, head, tail : (N,) float arrays
    rate : float
    """

    work: Array
    head: Array
    tail: Array
    rate: float


def resources(cluster: Pools) -> list[Resource]:
    """One-machine relaxations of both stages.

    A stage has types k with n_k instances, and c takes amount[c, k] of the time of one instance of type k (its duration
    times its demand). For any prices w_k >= 0, c consumes at least min_k w_k amount[c, k] of what the stage can supply,
    sum_k n_k w_k a second. Two sets of prices: all alike (the fastest type for each call), and those under which the
    total work lasts longest, from a small LP; any prices are valid, so its accuracy does not matter.
    """
    problem = cluster.problem
    after_prefill = cluster.rest.min(axis=1)
    found = []
    stages = [(cluster.prefill, cluster.prefill_count, problem.head, after_prefill)]
    before = problem.head + cluster.prefill.min(axis=1)
    for demand in cluster.demands:
        # 0 * inf: a call that cannot fit does not fit for free either
        with np.errstate(invalid="ignore"):
            amount = np.where(np.isfinite(cluster.decode), cluster.decode * demand, np.inf)
        stages.append((amount, cluster.decode_count, before, np.zeros(problem.calls)))
    for amount, count, head, tail in stages:
        for price in (np.ones(len(count)), _longest_prices(amount, count)):
            work = _priced(amount, price)
            rate = float(price @ count)
            if work.any() and rate > 0:
                found.append(Resource(work=work, head=head, tail=tail, rate=rate))
    return found


def _priced(amount: Array, price: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(amount), amount * price, np.inf).min(axis=1)


def _longest_prices(amount: Array, count: Array) -> Array:
    """Prices w, sum n_k w_k = 1, that maximise sum_c min_k w_k amount[c, k], over no more than ``PRICED_CALLS``."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    if len(amount) > PRICED_CALLS:
        amount = amount[np.linspace(0, len(amount) - 1, PRICED_CALLS).round().astype(int)]
    calls, kinds = amount.shape
    c, k = np.nonzero(np.isfinite(amount))
    row = np.arange(len(c))
    at = (np.concatenate([row, row]), np.concatenate([c, calls + k]))
    matrix: Any = coo_array((np.concatenate([np.ones(len(c)), -amount[c, k]]), at), shape=(len(c), calls + kinds))
    cost = np.concatenate([-np.ones(calls), np.zeros(kinds)])
    equal = np.concatenate([np.zeros(calls), count])[None, :]
    found = linprog(cost, matrix.tocsr(), np.zeros(len(c)), equal, [1.0], bounds=(0, None), method="highs")
    return np.maximum(found.x[calls:], 0.0) if found.x is not None else np.ones(kinds)
