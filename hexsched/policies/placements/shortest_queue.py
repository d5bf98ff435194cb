"""Join the shortest queue: fewest calls, running and waiting; the first instance wins a tie."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.placement import Placement
from hexsched.policies.placements.parts.eligible import can_hold
from hexsched.policies.placements.parts.length import calls_on_decode, calls_on_prefill


@kernel
def shortest_queue_prefill(seen, memory, settings, c):
    """The prefill instance with fewest calls."""
    best = 0
    for i in range(1, seen.prefills.shape[0]):
        if calls_on_prefill(seen, memory, i) < calls_on_prefill(seen, memory, best):
            best = i
    return best


@kernel
def shortest_queue_decode(seen, memory, settings, c):
    """The decode instance with fewest calls, of those that can ever hold ``c``."""
    best = -1
    for j in range(seen.decodes.shape[0]):
        if can_hold(seen, c, j) and (
            best < 0 or calls_on_decode(seen, memory, j) < calls_on_decode(seen, memory, best)
        ):
            best = j
    return best


PLACEMENT = Placement(
    name="jsq",
    summary="join the shortest queue: fewest calls",
    prefill=shortest_queue_prefill,
    decode=shortest_queue_decode,
    rank=4,
)
