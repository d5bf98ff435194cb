"""What an instance is like, in a few numbers without the unit of time: to describe it, and to choose by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from solvers.problem.offline import OfflineProblem


class Features(NamedTuple):
    """Numbers of an instance.

    Attributes
    ----------
    calls, workflows, machines : float
        How many; prefill and decode instances together.
    contention : float
        How many times over the busier stage is booked: the least work of all calls there, in seconds of one machine,
        over what its machines can do from the first arrival until the longest H_w after the last. On a decode instance
        as many calls of mean size count at once as it has slots and KV for.
    precedence : float
        Order strength: of the pairs of calls of one workflow, the share in which one has to wait for the other.
    tightness : float
        KV that calls of mean size would hold in all slots of a decode instance, over its capacity; mean over decode
        instances. Above 1 the KV cache is full before the slots are. No more slots count than there are calls.
    heterogeneity : float
        By how much longer the slowest machine takes than the fastest, relative, mean over calls and stages.
    """

    calls: float
    workflows: float
    machines: float
    contention: float
    precedence: float
    tightness: float
    heterogeneity: float


def features(problem: OfflineProblem) -> Features:
    """The features of an instance in either decode model; in ``fluid`` with decodes alone in their batch."""
    slots = np.minimum(problem.max_batch, problem.calls)
    size = float(problem.kv.mean())
    held = np.where(np.isfinite(problem.hold), problem.hold, np.nan)
    span = float(np.ptp(problem.arrival) + problem.horizon.max())
    at_once = np.maximum(np.minimum(slots, problem.capacity / size), 1.0).sum()
    prefill = problem.prefill.min(axis=1).sum() / problem.prefill.shape[1]
    decode = np.nanmin(held, axis=(1, 2)).sum() / at_once
    spread = [
        problem.prefill.max(axis=1) / problem.prefill.min(axis=1),
        np.nanmax(held, axis=(1, 2)) / np.nanmin(held, axis=(1, 2)),
    ]
    return Features(
        calls=float(problem.calls),
        workflows=float(problem.workflows),
        machines=float(sum(problem.hold.shape[1:])),
        contention=float(max(prefill, decode) / span),
        precedence=order_strength(problem),
        tightness=float((slots * size / problem.capacity).mean()),
        heterogeneity=float(np.mean(spread) - 1),
    )


def order_strength(problem: OfflineProblem) -> float:
    """Of the pairs of calls of one workflow, the share that precedence orders; 0 where no workflow has two calls."""
    before: list[set[int]] = [set() for _ in range(problem.calls)]
    for c in problem.topological.tolist():
        before[c] = set(problem.parents[c]).union(*(before[p] for p in problem.parents[c]))
    sizes = np.bincount(problem.workflow, minlength=problem.workflows)
    pairs = int((sizes * (sizes - 1) // 2).sum())
    return sum(map(len, before)) / pairs if pairs else 0.0
