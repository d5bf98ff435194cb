"""Earliest finish: the pair of instances on which the call is projected to complete first."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.placement import Placement
from hexsched.policies.planning.commitment import plan_on, unplan
from hexsched.policies.planning.hexagent import best_decode, best_pair
from hexsched.policies.planning.paces import find_first_decodes
from hexsched.policies.planning.prefills import find_first_prefills


@kernel
def earliest_finish_prefill(seen, memory, settings, c):
    """The prefill side of the best pair; its decode side is planned, and chosen again when the prefill ends."""
    now = seen.clock[0].now
    for i in range(seen.prefills.shape[0]):
        waiting = memory.planner.prefills[i]
        waiting.wait = memory.queues.prefills[i].seconds
        if seen.prefills[i].running >= 0:
            waiting.wait += seen.prefills[i].busy_until - now
    find_first_prefills(seen, memory)
    find_first_decodes(seen, memory)
    i, j, delta = best_pair(seen, memory, settings, c)
    plan_on(seen, memory, c, j)
    memory.calls[c].delta = delta
    return i


@kernel
def earliest_finish_decode(seen, memory, settings, c):
    """The decode instance on which prefilled call ``c`` is projected to complete first."""
    unplan(seen, memory, c)
    j, delta = best_decode(seen, memory, settings, c)
    memory.calls[c].delta = delta
    return j


PLACEMENT = Placement(
    name="earliest-finish",
    summary="the pair on which the call is projected to complete first",
    prefill=earliest_finish_prefill,
    decode=earliest_finish_decode,
    rank=6,
)
