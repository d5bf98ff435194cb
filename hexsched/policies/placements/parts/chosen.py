"""One kernel for all placements that bind a call when it becomes ready: the number in the settings says whose."""

from __future__ import annotations

from hexsched.engine.kernel import choose, kernel
from hexsched.policies.placements import PLACEMENTS

_BINDING = [placement for placement in PLACEMENTS.values() if placement.prefill is not None]

NUMBER = {placement.name: number for number, placement in enumerate(_BINDING)}

PLAIN = len(_BINDING)  # a placement in plain Python


@kernel
def plain_place(seen, memory, settings, c):
    """Set by a placement in plain Python before the decision."""
    return memory.calls[c].plain_place


_CHOICE = "seen, memory, settings, c", "settings.placement"
place_prefill = choose("place_prefill", *_CHOICE, [*(placement.prefill for placement in _BINDING), plain_place])
place_decode = choose("place_decode", *_CHOICE, [*(placement.decode for placement in _BINDING), plain_place])
