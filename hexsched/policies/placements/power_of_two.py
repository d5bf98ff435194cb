"""Power of two choices (Mitzenmacher 2001): of two instances drawn at random, the one with fewer calls."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.placement import Placement
from hexsched.policies.placements.parts.draws import COUNTERS, draw_below
from hexsched.policies.placements.parts.eligible import count_eligible, nth_eligible
from hexsched.policies.placements.parts.length import calls_on_decode, calls_on_prefill


@kernel
def power_of_two_prefill(seen, memory, settings, c):
    """The shorter of two prefill queues; the first drawn wins a tie."""
    count = seen.prefills.shape[0]
    first = draw_below(memory, count)
    if count == 1:
        return first
    second = (first + 1 + draw_below(memory, count - 1)) % count
    if calls_on_prefill(seen, memory, second) < calls_on_prefill(seen, memory, first):
        return second
    return first


@kernel
def power_of_two_decode(seen, memory, settings, c):
    """The less occupied of two decode instances that can ever hold ``c``; the first drawn wins a tie."""
    count = count_eligible(seen, c)
    nth = draw_below(memory, count)
    first = nth_eligible(seen, c, nth)
    if count == 1:
        return first
    second = nth_eligible(seen, c, (nth + 1 + draw_below(memory, count - 1)) % count)
    if calls_on_decode(seen, memory, second) < calls_on_decode(seen, memory, first):
        return second
    return first


PLACEMENT = Placement(
    name="power-of-two",
    summary="of two drawn at random, the one with fewer calls",
    prefill=power_of_two_prefill,
    decode=power_of_two_decode,
    rank=3,
    counters=COUNTERS,
    is_random=True,
)
