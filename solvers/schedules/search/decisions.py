"""What a schedule decides, without its times."""

from __future__ import annotations

from typing import NamedTuple

from solvers.schedules.search.guide import Array


class CappedDecisions(NamedTuple):
    """The place of each call, and the order of prefills and admissions at each place. Calls in the engine's order.

    Attributes
    ----------
    prefill, decode : (N,) int arrays
        Instances.
    start, admitted : (N,) float arrays
        The calls of an instance are prefilled, and admitted, in the order of these.
    dropped : (W,) bool array
        Workflows that are held back until no other one can be in their way.
    caps : (J,) int array
        Most calls on each decode instance at once.
    """

    prefill: Array
    decode: Array
    start: Array
    admitted: Array
    dropped: Array
    caps: Array
