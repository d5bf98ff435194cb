"""Round-robin: the next instance in turn."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.placement import Placement
from hexsched.policies.placements.parts.eligible import can_hold


@kernel
def round_robin_prefill(seen, memory, settings, c):
    """The prefill instance whose turn it is."""
    counters = memory.counters[0]
    i = counters.turn_prefill
    counters.turn_prefill = (i + 1) % seen.prefills.shape[0]
    return i


@kernel
def round_robin_decode(seen, memory, settings, c):
    """The decode instance whose turn it is; one that can never hold ``c`` is passed over."""
    counters = memory.counters[0]
    j = counters.turn_decode
    while not can_hold(seen, c, j):
        j = (j + 1) % seen.decodes.shape[0]
    counters.turn_decode = (j + 1) % seen.decodes.shape[0]
    return j


PLACEMENT = Placement(
    name="round-robin",
    summary="the next instance in turn",
    prefill=round_robin_prefill,
    decode=round_robin_decode,
    rank=1,
    counters=(("turn_prefill", "i8"), ("turn_decode", "i8")),
)
