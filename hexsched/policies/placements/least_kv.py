"""Least KV load: for decode the smallest share of KV cache taken, for prefill the fewest prompt tokens queued."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.placements.eligible import can_hold
from hexsched.policies.projection import kv_load


@kernel
def tokens_on_prefill(board, i):
    """Prompt tokens to compute on ``i``, queued or running."""
    prefill = board.prefills[i]
    tokens = prefill.queued_tokens
    if prefill.running >= 0:
        call = board.calls[prefill.running]
        tokens += call.n - call.h
    return tokens


@kernel
def least_kv_prefill(board):
    """The prefill instance with fewest prompt tokens before it."""
    best = 0
    for i in range(1, board.prefills.shape[0]):
        if tokens_on_prefill(board, i) < tokens_on_prefill(board, best):
            best = i
    return best


@kernel
def least_kv_decode(board, c):
    """The decode instance with the least KV load, of those that can ever hold ``c``."""
    best = -1
    for j in range(board.decodes.shape[0]):
        if can_hold(board, c, j) and (best < 0 or kv_load(board, j) < kv_load(board, best)):
            best = j
    return best
