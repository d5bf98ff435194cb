"""What the planner remembers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hexsched.engine.state import HEAP_ENTRY, Array, Records, Seen, declare, records

PREFILL_OUTLOOK = np.dtype([("wait", "f8")], align=True)  # seconds until it is free, as far as planned

DECODE_OUTLOOK = np.dtype(
    [
        # calls bound for here and not admitted
        ("planned", "i8"),  # how many,
        ("planned_tokens", "f8"),  # ... their KV tokens,
        ("planned_prompt", "i8"),  # ... and their prompt tokens
        # a projection, worked out once an epoch
        ("epoch", "i8"),  # the decision epoch that it is of
        ("free", "f8"),  # KV tokens neither reserved nor planned
        ("slots", "i8"),  # places in the batch neither taken nor planned
        ("batch", "i8"),  # calls admitted or planned
        ("kv", "f8"),  # KV tokens that they hold now or bring
        ("held", "f8"),  # KV tokens in the batch now
        ("pace", "f8"),  # seconds an iteration with one more call, before its own tokens
        ("iterations", "f8"),  # iterations done by now
        ("sorted", "i8"),  # how many of its members stand in finishing order so far
    ],
    align=True,
)

SEAT_OUTLOOK = np.dtype(
    [
        ("finish_at", "f8"),  # seconds until a member completes, in that order as far as sorted,
        ("finish_tokens", "f8"),  # ... and the KV tokens that it frees
    ],
    align=True,
)

LISTS = np.dtype([("ready", "i8"), ("waiting", "i8")], align=True)  # how many calls are on each central list


class PlannerMemory(NamedTuple):
    """I, J: prefill and decode instances; N: calls; B: largest batch there can be."""

    lists: Records  # LISTS (1,)
    ready: Array  # (N,) calls ready for prefill
    waiting: Array  # (N,) calls ready for admission
    prefills: Records  # PREFILL_OUTLOOK (I,)
    decodes: Records  # DECODE_OUTLOOK (J,)
    seats: Records  # SEAT_OUTLOOK (J, B)
    prefill_first: Array  # for each kind of prefill instance the one that is free first
    decode_first: Array  # for each kind of decode instance the one that would decode one more call fastest
    heap: Records  # HEAP_ENTRY (N,)


declare(PlannerMemory, scratch={"ready", "waiting", "prefills", "seats", "prefill_first", "decode_first", "heap"})


def planner_memory(seen: Seen) -> PlannerMemory:
    """A fresh one."""
    calls, (decodes, batch) = len(seen.calls), seen.seats.shape
    outlook = records(decodes, DECODE_OUTLOOK)
    outlook.epoch = -1
    return PlannerMemory(
        lists=records(1, LISTS),
        ready=np.zeros(calls, np.int64),
        waiting=np.zeros(calls, np.int64),
        prefills=records(len(seen.prefills), PREFILL_OUTLOOK),
        decodes=outlook,
        seats=records((decodes, batch), SEAT_OUTLOOK),
        prefill_first=np.zeros(int(seen.prefills.kind.max()) + 1, np.int64),
        decode_first=np.zeros(int(seen.decodes.kind.max()) + 1, np.int64),
        heap=records(calls, HEAP_ENTRY),
    )
