"""Random: any instance, all equally likely, from the run's seed."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.placement import Placement
from hexsched.policies.placements.parts.draws import COUNTERS, draw_below
from hexsched.policies.placements.parts.eligible import count_eligible, nth_eligible


@kernel
def random_prefill(seen, memory, settings, c):
    """Any prefill instance."""
    return draw_below(memory, seen.prefills.shape[0])


@kernel
def random_decode(seen, memory, settings, c):
    """Any decode instance that can ever hold ``c``."""
    return nth_eligible(seen, c, draw_below(memory, count_eligible(seen, c)))


PLACEMENT = Placement(
    name="random",
    summary="any instance",
    prefill=random_prefill,
    decode=random_decode,
    rank=2,
    counters=COUNTERS,
    is_random=True,
)
