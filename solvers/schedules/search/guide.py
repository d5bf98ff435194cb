"""What the search decides on: a schedule is what the simulator makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

ANY = -1  # all bits: every kind of instance is allowed
MOST = 1 << 30  # no cap but the instance's own


@dataclass(frozen=True, eq=False)
class Guide:
    """Priorities and restrictions; times and places follow from them. Calls and workflows in the engine's order.

    Attributes
    ----------
    key : (N,) float array
        Priority of each call before prefill, seconds; the least goes first. A latest start time, say.
    later : (N,) float array
        What is added to it before admission.
    wait : (N,) float array
        Seconds by which the release of each call is put off: idling for what comes.
    prefills, decodes : (N,) int arrays
        Bits: the kinds of instances each call may use.
    dropped : (W,) bool array
        Workflows that run after all others, since the objective does not look at them.
    caps : (J,) int array
        Most calls on each decode instance at once: the fewer, the faster each is, and the longer the others wait.
    crowding : float
        Weight of the seconds by which a call on a decode instance holds up the others there.
    pace : float
        A call that would end before its workflow is at this ratio does not count what it gains: it goes where it holds
        up others least. 0 where every call goes where it ends first.
    """

    key: Array
    later: Array
    wait: Array
    prefills: Array
    decodes: Array
    dropped: Array
    caps: Array
    crowding: float = 0.0
    pace: float = 0.0

    def but(self, **changes: Any) -> Guide:
        """A copy with some fields replaced; arrays are shared and must not be written to."""
        return replace(self, **changes)


def plain_guide(key: Array, workflows: int, decodes: int) -> Guide:
    """Guide that gives priorities alone."""
    calls = len(key)
    anywhere = np.full(calls, ANY)
    no_cap = np.full(decodes, MOST)
    return Guide(key, np.zeros(calls), np.zeros(calls), anywhere, anywhere, np.zeros(workflows, bool), no_cap)
