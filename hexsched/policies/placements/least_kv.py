"""Least KV load: for decode the smallest share of KV cache taken, for prefill the fewest prompt tokens queued."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.placement import Placement
from hexsched.policies.placements.parts.eligible import can_hold
from hexsched.policies.planning.projection import kv_load


@kernel
def tokens_on_prefill(seen, memory, i):
    """Prompt tokens to compute on ``i``, queued or running."""
    tokens = memory.queues.prefills[i].tokens
    if seen.prefills[i].running >= 0:
        call = seen.calls[seen.prefills[i].running]
        tokens += call.n - call.h
    return tokens


@kernel
def least_kv_prefill(seen, memory, settings, c):
    """The prefill instance with fewest prompt tokens before it."""
    best = 0
    for i in range(1, seen.prefills.shape[0]):
        if tokens_on_prefill(seen, memory, i) < tokens_on_prefill(seen, memory, best):
            best = i
    return best


@kernel
def least_kv_decode(seen, memory, settings, c):
    """The decode instance with the least KV load, of those that can ever hold ``c``."""
    best = -1
    for j in range(seen.decodes.shape[0]):
        if can_hold(seen, c, j) and (best < 0 or kv_load(seen, memory, j) < kv_load(seen, memory, best)):
            best = j
    return best


PLACEMENT = Placement(
    name="least-kv",
    summary="least KV cache taken; for prefill fewest prompt tokens queued",
    prefill=least_kv_prefill,
    decode=least_kv_decode,
    rank=5,
)
