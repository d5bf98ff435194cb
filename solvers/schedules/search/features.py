"""What may make a call urgent: the directions in which a priority rule can be changed as a whole."""

from __future__ import annotations

import numpy as np

from solvers.schedules.search.evaluator import Evaluator
from solvers.schedules.search.guide import Array


def call_features(e: Evaluator) -> Array:
    """What priorities are made of, (F, N): each varies by about the mean H_w, in seconds."""
    ratio = e.horizon / e.horizon.mean()
    rows = (e.horizon[e.workflow], (ratio * np.log(ratio))[e.workflow], e.tail, e.prefill_work, e.decode_work)
    scale = float(e.horizon.mean())
    return np.array([scale * (row - row.mean()) / spread for row in rows if (spread := float(row.std())) > 0.0])


def drop_score(e: Evaluator, prefill: float, decode: float, power: float) -> Array:
    """What workflows cost for what they allow, (W,): a weighted sum of their work over a power of H_w."""
    work = np.zeros(len(e.arrival))
    for weight, of_call in ((prefill, e.prefill_work), (decode, e.decode_work)):
        of_flow = np.bincount(e.workflow, of_call)
        work += weight * of_flow / of_flow.mean()
    return np.asarray(work / (e.horizon / e.horizon.mean()) ** power)


def work_left(e: Evaluator) -> Array:
    """Work from a call to the end of its workflow, (N,), as multiples of the mean; calls come after it by tail."""
    work = e.prefill_work / e.prefill_work.sum() + e.decode_work / e.decode_work.sum()
    left = np.empty(len(work))
    order = np.lexsort((e.tail, e.workflow))
    total = np.cumsum(work[order])
    before = np.r_[0.0, total][np.searchsorted(e.workflow, np.arange(len(e.arrival)))]
    left[order] = total - before[e.workflow[order]]
    return np.asarray(left / left.mean())
