"""What a placement is: which instance a call goes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hexsched.policies.parts.option import Option
from hexsched.policies.parts.order import Fields, Kernel


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """A placement.

    Attributes
    ----------
    name, summary : str
    prefill, decode : kernels or None
        ``(seen, memory, settings, c) -> instance``, asked when call c is released, and when it is prefilled; the decode
        instance must be one that can ever hold it. None where the planner places.
    rank : int
        Its place in lists.
    options : mapping of str to Option
        Read by its kernels, and set by orders that have an option of the same name.
    counters : tuple of (str, str)
        Names and NumPy types of what it remembers, 0 at first: ``memory.counters[0].NAME``.
    is_random : bool
        Whether it uses random numbers, ``memory.draws``.
    """

    name: str
    summary: str
    prefill: Kernel = None
    decode: Kernel = None
    rank: int = 100
    options: Mapping[str, Option] = field(default_factory=dict)
    counters: Fields = ()
    is_random: bool = False
