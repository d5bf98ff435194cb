"""Shortest job first, by the standalone time that is left of the call."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.engine.physics import best_after_prefill
from hexsched.policies.settings import PREFILL


@kernel
def sjf_key(board, settings, c, stage):
    """best_c before prefill, the best transfer and decode after it."""
    call = board.calls[c]
    if stage == PREFILL:
        return call.best
    return best_after_prefill(board, call.prefill_instance, call.n, call.estimate, call.needs_capacity)
