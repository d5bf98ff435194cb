"""What local queues remember."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hexsched.engine.by_address import by_address
from hexsched.engine.pairing_heap import ENTRY
from hexsched.engine.state import Array, Records, Seen, declare, records

WAITING = np.dtype([("calls", "i8"), ("tokens", "i8"), ("seconds", "f8")], align=True)  # prompt tokens, prefill seconds

ROOT = np.dtype([("queue", "i8"), ("starved", "i8")], align=True)  # first entries of a local queue's two heaps

COUNTS = np.dtype(
    [
        ("waiting", "i8"),  # calls in queues for admission
        ("turns", "i8"),  # prefill instances on which something may start now
    ],
    align=True,
)


@by_address
class QueueMemory(NamedTuple):
    """I, J: prefill and decode instances; N: calls."""

    counts: Records  # COUNTS (1,)
    turns: Array  # (I,) those instances,
    has_turn: Array  # (I,) ... and 1 for each of them
    prefills: Records  # WAITING (I,)
    roots: Records  # ROOT (I + J,), prefill instances first
    queue: Records  # ENTRY (2 N,): priority heaps of the local queues; entry c + N is c's wait for admission
    starved: Records  # ENTRY (2 N,): the same by the time at which an entry counts as starved


declare(QueueMemory, scratch={"turns", "queue", "starved"})


def queue_memory(seen: Seen, in_use: bool, promotes: bool) -> QueueMemory:
    """A fresh one; without entries where no queue is used, and without starved ones where no order has them."""
    calls, prefills = len(seen.calls), len(seen.prefills)
    roots = records(prefills + len(seen.decodes), ROOT)
    roots.queue = roots.starved = -1
    return QueueMemory(
        counts=records(1, COUNTS),
        turns=np.zeros(prefills, np.int64),
        has_turn=np.zeros(prefills, np.int64),
        prefills=records(prefills, WAITING),
        roots=roots,
        queue=records(2 * calls if in_use else 1, ENTRY),
        starved=records(2 * calls if in_use and promotes else 1, ENTRY),
    )
