"""What an order is: which waiting call goes first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.option import Option, Value

PREFILL, DECODE = range(2)  # the two stages in which a call waits
KEY_STAYS, KEY_RISES, KEY_CHANGES = range(3)  # how the key of a call changes while it waits for prefill

Kernel = Any
Fields = tuple[tuple[str, str], ...]


@kernel
def nothing(seen, memory, settings):
    """Nothing to note."""


@kernel
def nothing_of_call(seen, memory, settings, c):
    """Nothing to note of call ``c``."""


@dataclass(frozen=True, eq=False)
class Books:
    """What an order remembers, and when it writes that down. ``seen``, ``memory`` and ``settings`` go to each kernel.

    Attributes
    ----------
    calls, workflows, counters : tuple of (str, str)
        Names and NumPy types of what it remembers of each call, of each workflow and of all, 0 at first:
        ``memory.calls[c].NAME``, ``memory.workflows[w].NAME``, ``memory.counters[0].NAME``.
    rows : tuple of (str, str)
        The same for lists and tables that grow, up to a row for each call: ``memory.rows[k].NAME``. One field may be
        of the k-th of one thing and another field of the k-th of another.
    note_epoch : kernel
        ``(seen, memory, settings)``: something was released, prefilled or completed; before any decision.
    note_entry, note_service : kernels
        ``(..., c)``: call c begins to wait, and it is about to be started or admitted.
    """

    calls: Fields = ()
    workflows: Fields = ()
    counters: Fields = ()
    rows: Fields = ()
    note_epoch: Kernel = nothing
    note_entry: Kernel = nothing_of_call
    note_service: Kernel = nothing_of_call


NO_BOOKS = Books()


def _unchanged(options: Mapping[str, Value]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Order:
    """An order, which is a policy together with a placement.

    Attributes
    ----------
    name, summary, source : str
        One line for people, and where it was published.
    key : kernel
        ``(seen, memory, settings, c, stage) -> float``, in the field's own unit; the call of least key goes first.
    rank : int
        Its place in lists.
    placement : str
        The placement it has when none is named.
    options : mapping of str to Option
    changes : callable
        From the values of options to what else they make of the policy: another ``order`` or ``placement`` by name,
        the ``horizon`` that it is shown (``orders.parts.horizon``), the ``work`` that it is told
        (``orders.parts.work``).
    key_changes : int
        How the key of a call changes while it waits for prefill: ``KEY_STAYS``, only ``KEY_RISES``, or ``KEY_CHANGES``.
    looks_ahead : bool
        Whether the key needs the projected finish of each call, ``memory.calls[c].delta``. An order that does not need
        it at the moment sets ``memory.counters[0].looks_aside``.
    by_risk : bool
        Whether, while it looks ahead, the key is never below -R(c, t) (model M23): then most waiting calls need not be
        looked at.
    promotes : bool
        Whether local queues serve starved calls first (``memory.calls[c].starves_at``).
    starts_search : bool
        Whether clairvoyant search begins from what it does, too, unless told otherwise: each start costs it a run.
    books : Books
    """

    name: str
    summary: str
    source: str
    key: Kernel
    rank: int = 100
    placement: str = "plan"
    options: Mapping[str, Option] = field(default_factory=dict)
    changes: Callable[[Mapping[str, Value]], dict[str, Any]] = _unchanged
    key_changes: int = KEY_CHANGES
    looks_ahead: bool = False
    by_risk: bool = False
    promotes: bool = False
    starts_search: bool = True
    books: Books = NO_BOOKS
