"""Per-call first come, first served, as SGLang's default."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.order import KEY_STAYS, Order


@kernel
def fcfs_key(seen, memory, settings, c, stage):
    """When the call entered the queue, seconds."""
    return memory.calls[c].entered


ORDER = Order(
    name="fcfs",
    summary="per-call first come, first served",
    source="SGLang's default",
    key=fcfs_key,
    key_changes=KEY_STAYS,
    rank=2,
)
