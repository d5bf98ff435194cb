"""What a policy remembers: its own, and only it writes there.

It is put together from what the parts declare: the planner and the local queues, every order's books, every placement's
counters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hexsched.engine.by_address import by_address
from hexsched.engine.state import Array, Records, Seen, declare, record, records
from hexsched.policies.orders.parts.chosen import BOOKS
from hexsched.policies.parts.order import NO_BOOKS, Books, Fields
from hexsched.policies.placements import PLACEMENTS
from hexsched.policies.planning.memory import PlannerMemory, planner_memory
from hexsched.policies.queueing.memory import QueueMemory, queue_memory


def _together(*declared: Fields) -> np.dtype:
    """A record of all fields; those of one name are one."""
    fields = dict(field for fields in declared for field in fields)
    return np.dtype(list(fields.items()), align=True)


def _extended(kind: np.dtype, fields: Fields) -> np.dtype:
    """A record with further fields."""
    return _together(tuple((name, kind[name].str) for name in kind.names or ()), fields) if fields else kind


CALL = _together(
    (
        ("entered", "f8"),  # when it began to wait where it is, seconds
        ("delta", "f8"),  # projected seconds from now to its completion, set by the last placement
        ("planned", "i8"),  # decode instance it is counted for before admission, -1 when none
        ("plain_key", "f8"),  # priority set by an order in plain Python
        ("plain_place", "i8"),  # instance set by a placement in plain Python, for the stage that the call enters
    ),
    *(books.calls for books in BOOKS),
)
WORKFLOW = _together(*(books.workflows for books in BOOKS))
COUNTERS = _together(
    (
        ("plain_turn", "i8"),  # 1 while a decision waits for what plain Python has to say
        ("plain_nanoseconds", "i8"),  # how long that took
        ("looks_aside", "i8"),  # 1 while an order that looks ahead needs no projected finishes
    ),
    *(placement.counters for placement in PLACEMENTS.values()),
    *(books.counters for books in BOOKS),
)
ROW = _together(*(books.rows for books in BOOKS))

DRAWS_PER_CALL = 4  # random numbers: two for each of the two places of a call


@by_address
class Memory(NamedTuple):
    """N: calls; W: workflows."""

    counters: Records  # COUNTERS (1,)
    calls: Records  # CALL (N,)
    workflows: Records  # WORKFLOW (W,)
    rows: Records  # ROW (N,), or one where the policy has none: lists and tables of orders
    planner: PlannerMemory
    queues: QueueMemory
    draws: Array  # uniform random numbers for randomised placements


declare(Memory, constant={"draws"})


def build_memory(
    seen: Seen,
    *,
    with_queues: bool = True,
    promotes: bool = False,
    is_random: bool = False,
    seed: int = 0,
    books: Books = NO_BOOKS,
    foreign: bool = False,
    rows_later: bool = False,
) -> Memory:
    """A fresh memory.

    Parameters
    ----------
    seen : Seen
    with_queues, promotes, is_random : bool
        Whether there are local queues, starved calls in them, and random placements: what is not used takes no room.
    seed : int
        Of random placements.
    books : Books
        Of the order.
    foreign : bool
        Whether the order does not come with hexsched: then its books are added to those of the shipped ones.
    rows_later : bool
        Leave rows of calls as they are, not even written to; a ``Window`` fills them.
    """
    more = books if foreign else NO_BOOKS
    calls = records(len(seen.calls), _extended(CALL, more.calls))
    if not rows_later:
        calls.planned = -1
    draws = np.random.Generator(np.random.PCG64(seed)).random(DRAWS_PER_CALL * len(calls) if is_random else 1)
    draws.flags.writeable = False
    return Memory(
        counters=record(_extended(COUNTERS, more.counters)),
        calls=calls,
        workflows=records(len(seen.workflows), _extended(WORKFLOW, more.workflows)),
        rows=records(len(calls) if books.rows else 1, _extended(ROW, more.rows)),
        planner=planner_memory(seen),
        queues=queue_memory(seen, with_queues, promotes),
        draws=draws,
    )
