"""Shortest job first, by the standalone time that is left of the call."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.engine.physics import best_after_prefill
from hexsched.policies.parts.order import KEY_STAYS, PREFILL, Order


@kernel
def sjf_key(seen, memory, settings, c, stage):
    """best_c before prefill, the best transfer and decode after it, seconds."""
    call = seen.calls[c]
    if stage == PREFILL:
        return call.best
    return best_after_prefill(seen, call.prefill_instance, call.n, call.estimate, call.needs_capacity)


ORDER = Order(
    name="sjf",
    summary="shortest standalone time left of the call",
    source="Smith 1956",
    key=sjf_key,
    key_changes=KEY_STAYS,
    rank=6,
)
