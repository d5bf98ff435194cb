"""What the planner remembers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hexsched.engine.by_address import by_address
from hexsched.engine.state import HEAP_ENTRY, Array, Records, Seen, declare, record, records
from hexsched.engine.tournament import leaves_for, new_tournament
from hexsched.policies.planning.prefills import AS_EARLY, NO, STRICTLY

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
        ("pace", "f8"),  # seconds an iteration with one more call, before its own tokens,
        ("pace_epoch", "i8"),  # ... in that decision epoch; -1 when it is not known (see ``paces``)
        ("iterations", "f8"),  # iterations done by now
        ("sorted", "i8"),  # how many of its members stand in finishing order so far
        ("counted", "i8"),  # 1 when calls count for it that are only thought to come here (``count_on``),
        ("floor_before", "f8"),  # ... and the lower bound on its pace without them
        ("kept", "i8"),  # the last decision epoch in which what it had before the plan was kept (``blocks``):
        ("other_free", "f8"),
        ("other_slots", "i8"),
        ("other_batch", "i8"),
        ("other_kv", "f8"),
    ],
    align=True,
)

SEAT_OUTLOOK = np.dtype(
    [
        ("finish_at", "f8"),  # seconds until a member completes, in that order as far as sorted,
        ("freed", "f8"),  # ... and the KV tokens that it and those before it free
    ],
    align=True,
)

LISTS = np.dtype(
    [
        ("waiting", "i8"),  # how long the line of calls is that are ready for admission,
        ("gaps", "i8"),  # ... and how many of these places are empty
        ("swept", "i8"),  # the last decision epoch in which the projections of all decode instances were asked for
        ("counted", "i8"),  # decode instances for which such calls count
        ("walk", "i8"),  # nodes on the stack of a walk through a tournament (``paces``),
        ("by_pace", "i8"),  # ... whether it passes slow ones over (``begin_look``),
        ("looked_at", "i8"),  # ... and how many were looked at besides
        ("few", "i8"),  # 1: kinds have so few decode instances that all are looked at, and nothing is kept of paces
    ],
    align=True,
)

READY = np.dtype(
    [
        ("first", "i8"),  # the calls in order are queue[first : first + ordered],
        ("ordered", "i8"),
        ("rest", "i8"),  # ... and so many more are in the heap
    ],
    align=True,
)

QUEUED = np.dtype([("key", "f8"), ("call", "i8")], align=True)

REACH = np.dtype(
    [
        ("machines", "i8"),  # a lower bound on how many instances beat each idle one for the call (``patience``),
        ("starts", "i8"),  # ... when so many calls had been started,
        ("idle", "i8"),  # ... and these kinds, as bits, had idle instances;
        ("needs_room", "i8"),  # 1: it counts only while there is ample room (``room``)
        ("patient", "i8"),  # 1: it waits wherever it stands in order
        ("rehearsal", "i8"),  # the last one in which the call was seen to wait,
        ("rehearsal_idle", "i8"),  # ... and the kinds, as bits, that had idle instances then
        ("block", "i8"),  # where it stands among calls in blocks (``blocks``),
        ("place", "i8"),  # ... and in the line of those that wait for admission
    ],
    align=True,
)

PREFILL_KIND = np.dtype(
    [
        ("idle", "i8"),  # how many of its instances are idle
        ("first", "i8"),  # those that are busy are ends[first : last], in the order in which they end
        ("last", "i8"),
        ("taken", "i8"),  # how many of these, from the first on, have got more work in this plan
        ("planned", "i8"),  # how many instances have got work in this plan
        ("source", "i8"),  # where its first one was found (``prefills``)
    ],
    align=True,
)

STARTS = np.dtype(
    [
        ("idle", "i8"),  # idle prefill instances
        ("idle_kinds", "i8"),  # the kinds that have any, as bits
        ("total", "i8"),  # calls started so far
        ("now", "i8"),  # prefill instances on which a call was started in this plan
        ("idle_before", "i8"),  # the kinds, as bits, that had idle instances after the last decision
        ("rehearsal", "i8"),  # number of the rehearsal that still holds (``patience``)
    ],
    align=True,
)

ROOM = np.dtype(
    [
        # lower bounds on what every decode instance has (``room``),
        ("slots", "i8"),  # places in the batch,
        ("free", "f8"),  # and KV tokens, neither taken nor planned
        ("fourths", "f8"),  # sum of the fourth powers of the needs of ready calls, in KV tokens
        ("largest", "f8"),  # most KV tokens that a call has needed so far
        ("epoch", "i8"),  # the last decision epoch in which these bounds were worked out
        ("ample", "i8"),  # 1: there is room for whatever is planned now
    ],
    align=True,
)

RANKS = np.dtype(
    [
        ("blocks", "i8"),  # blocks of ready calls,
        ("calls", "i8"),  # ... and calls in them
        ("looked_at", "i8"),  # calls looked at since the blocks were made
        ("since", "f8"),  # when growth begins to count, seconds
        ("latest", "f8"),  # the most that the times have grown since then, for the largest call, seconds,
        ("earliest", "f8"),  # ... and the least, for the smallest
        ("slowest", "f8"),  # the most that the paces have grown,
        ("fastest", "f8"),  # ... and the least
        ("apart", "i8"),  # 1: waits for room are made up in another way than then
        ("open", "i8"),  # in this epoch: blocks not looked at, a heap in ``admitting`` by bounds,
        ("candidates", "i8"),  # ... calls looked at and not in order yet, a heap in ``heap`` by keys,
        ("kept", "i8"),  # ... and decode instances for which calls are planned
        ("within", "f8"),  # ... all blocks that may hold keys up to this one are among those, or were looked at,
        ("behind", "f8"),  # ... and no other block holds a key below this one
        ("limit", "f8"),  # the last key that was put in order
        ("few", "i8"),  # so many ready calls are all looked at
        ("width", "i8"),  # calls of a block
        ("ahead", "i8"),  # calls put in order before any is planned
    ],
    align=True,
)

BLOCK = np.dtype(
    [
        ("calls", "i8"),
        ("epoch", "i8"),  # in which it was last looked at
        # the largest of its calls
        ("risk", "f8"),  # bounds on risks, see ``blocks``
        ("seconds", "f8"),  # 1 / H_w
        ("tokens", "f8"),  # estimated output tokens over H_w
    ],
    align=True,
)

BLOCK_ENTRY = np.dtype([("call", "i8"), ("risk", "f8"), ("seconds", "f8"), ("tokens", "f8")], align=True)

WALK_DEPTH = 64  # more than the levels of any tournament
FEW = 8  # decode instances of a kind, all of which are sooner looked at than a tournament of them is kept


@by_address
class PlannerMemory(NamedTuple):
    """I, J: prefill and decode instances; N: calls; B: largest batch; K, L: kinds of each, most of a kind."""

    lists: Records  # LISTS (1,)
    ready: Records  # READY (1,)
    queue: Records  # QUEUED (N + 1,): calls ready for prefill, in order,
    heap: Records  # HEAP_ENTRY (N,): ... and those behind them; also scratch for admissions
    reach: Records  # REACH (N,)
    # ready calls in blocks (``blocks``)
    ranks: Records  # RANKS (1,)
    blocks: Records  # BLOCK (N + 1,)
    entries: Records  # BLOCK_ENTRY, ``width`` for each block
    sorting: Records  # BLOCK_ENTRY (N,)
    kept: Array  # (J,) decode instances for which calls are planned
    free_before: Records  # HEAP_ENTRY (K,): the first prefill instance of each kind, and its wait, before the plan
    waits_before: Array  # (K,) that wait when growth began to count,
    room_before: Array  # (J,) seconds until there was room on a decode instance,
    turns_before: Array  # (J,) ... and how many turns besides (``room_waits``),
    pace_before: Array  # (J,) ... and its pace
    waiting: Array  # (N,) calls ready for admission, in the order in which they came, and -1 where one has left
    prefills: Records  # PREFILL_OUTLOOK (I,)
    decodes: Records  # DECODE_OUTLOOK (J,)
    counted: Array  # (J,) those instances
    seats: Records  # SEAT_OUTLOOK (J, B)
    leaving: Records  # HEAP_ENTRY (J, B): the other members by the seconds until they complete
    admitting: Records  # HEAP_ENTRY (N,): calls that may be admitted now
    # prefill instances by kind (``prefills``)
    prefill_first: Array  # (K,) the one that is free first
    starts: Records  # STARTS (1,)
    started: Array  # (I,) instances started in this plan
    prefill_kinds: Records  # PREFILL_KIND (K,)
    idle: Records  # HEAP_ENTRY (K, L): idle ones by number
    ends: Records  # HEAP_ENTRY (K, 2 L): busy ones by the end of their prefill
    planned: Records  # HEAP_ENTRY (K, L): those that have got work in this plan, by their wait
    beats: Array  # (K, K): NO, STRICTLY or AS_EARLY, see ``_beats``
    alike: Array  # (K, K): 1 where links from both kinds are the same
    room: Records  # ROOM (1,)
    slowest: Array  # (1,) seconds of the slowest iteration of any decode instance
    # decode instances by kind (``paces``)
    decode_first: Array  # (K,) the one that would decode one more call fastest
    decode_members: Array  # (K, L) instances of each kind, ascending, then -1
    decode_place: Array  # (J,) where an instance stands there
    pace_floors: Array  # (K, L): lower bounds on their paces, -inf where nothing is known,
    pace_order: Array  # (K, 2 L): ... and tournaments of these
    empty: Array  # (K, L): 0 for instances without a call, inf for others,
    empty_order: Array  # (K, 2 L): ... and tournaments of these
    walk: Array  # (WALK_DEPTH,)
    ready_at: Array  # (K,) seconds until a call would be prefilled by the first instance of a kind (``pairs``)


declare(
    PlannerMemory,
    constant={"alike", "beats", "slowest", "decode_members", "decode_place"},
    scratch={
        *("queue", "heap", "reach", "waiting", "prefills", "counted", "seats", "leaving", "admitting"),
        *("ends", "planned", "decode_first", "walk", "blocks", "entries", "sorting", "kept", "free_before"),
        *("waits_before", "room_before", "turns_before", "pace_before", "prefill_first", "started", "ready_at"),
    },
)


def planner_memory(seen: Seen) -> PlannerMemory:
    """A fresh one."""
    calls, (decodes, batch) = len(seen.calls), seen.seats.shape
    outlook = records(decodes, DECODE_OUTLOOK)
    outlook.epoch = outlook.pace_epoch = outlook.kept = -1
    prefill_members, decode_members = _members(seen.prefills.kind), _members(seen.decodes.kind)
    prefill_kinds, idle, starts = _all_idle(prefill_members)
    place = np.empty(decodes, np.int64)
    leaves = leaves_for(max(map(len, decode_members)))
    members = np.full((len(decode_members), leaves), -1, np.int64)
    floors = np.full((len(decode_members), leaves), np.inf)
    for kind, instances in enumerate(decode_members):
        place[instances] = np.arange(len(instances))
        members[kind, : len(instances)] = instances
        floors[kind, : len(instances)] = -np.inf
    order = np.tile(new_tournament(leaves), (len(decode_members), 1))
    return PlannerMemory(
        lists=record(LISTS, few=int(leaves <= FEW)),
        ready=records(1, READY),
        queue=records(calls + 1, QUEUED),
        heap=records(calls, HEAP_ENTRY),
        reach=records(calls, REACH),
        ranks=record(RANKS, few=64, width=16, ahead=8),
        blocks=records(calls + 1, BLOCK),
        entries=records(calls + 16, BLOCK_ENTRY),
        sorting=records(calls, BLOCK_ENTRY),
        kept=np.zeros(decodes, np.int64),
        free_before=records(len(prefill_members), HEAP_ENTRY),
        waits_before=np.zeros(len(prefill_members)),
        room_before=np.zeros(decodes),
        pace_before=np.zeros(decodes),
        turns_before=np.zeros(decodes),
        waiting=np.zeros(calls, np.int64),
        prefills=records(len(seen.prefills), PREFILL_OUTLOOK),
        decodes=outlook,
        counted=np.zeros(decodes, np.int64),
        seats=records((decodes, batch), SEAT_OUTLOOK),
        leaving=records((decodes, batch), HEAP_ENTRY),
        admitting=records(calls, HEAP_ENTRY),
        prefill_first=np.zeros(len(prefill_members), np.int64),
        starts=starts,
        started=np.zeros(len(seen.prefills), np.int64),
        prefill_kinds=prefill_kinds,
        idle=idle,
        ends=records((idle.shape[0], 2 * idle.shape[1]), HEAP_ENTRY),
        planned=records(idle.shape, HEAP_ENTRY),
        beats=_constant(_beats(seen)),
        alike=_constant(_alike(seen)),
        room=_nothing_known(),
        slowest=_constant(np.array([_slowest_iteration(seen)])),
        decode_first=np.zeros(len(decode_members), np.int64),
        decode_members=_constant(members),
        decode_place=_constant(place),
        pace_floors=floors,
        pace_order=order,
        empty=np.full(floors.shape, np.inf),
        empty_order=order.copy(),
        walk=np.zeros(WALK_DEPTH, np.int64),
        ready_at=np.zeros(len(prefill_members)),
    )


def _members(kind: Array) -> list[Array]:
    """The instances of each kind, ascending."""
    return [np.flatnonzero(kind == k) for k in range(int(kind.max()) + 1)]


def _all_idle(members: list[Array]) -> tuple[Records, Records, Records]:
    """Prefill instances by kind when none is busy."""
    kinds = records(len(members), PREFILL_KIND)
    idle = records((len(members), max(map(len, members))), HEAP_ENTRY)
    for kind, instances in enumerate(members):
        kinds[kind].idle = len(instances)
        idle[kind, : len(instances)]["code"] = instances
    starts = records(1, STARTS)
    starts.idle = sum(map(len, members))
    starts.idle_kinds = (1 << min(len(members), 62)) - 1
    return kinds, idle, starts


def _beats(seen: Seen) -> Array:
    """(K, K): whether an idle instance of the first kind is not taken where the second kind has one for the call.

    From the second kind no transfer may take longer. Then ``AS_EARLY``: it is not taken if the other has the prefill
    done at the same time or before, since the second kind is looked at first; or only ``STRICTLY``: before, and unless
    both wait for the same room.
    """
    links = seen.links
    beats = np.full((len(links), len(links)), NO)
    for idle in range(len(links)):
        for other in range(len(links)):
            slower = (links[other].latency > links[idle].latency) | (links[other].per_token > links[idle].per_token)
            if other != idle and not slower.any():
                beats[idle, other] = AS_EARLY if other < idle else STRICTLY
    return beats


def _alike(seen: Seen) -> Array:
    """(K, K): 1 where two kinds have the same links."""
    return np.array([[int((one == other).all()) for one in seen.links] for other in seen.links])


def _nothing_known() -> Records:
    """No bounds on what decode instances have."""
    room = records(1, ROOM)
    room.slots, room.epoch = -1, -1
    return room


def _slowest_iteration(seen: Seen) -> float:
    """Seconds of an iteration of a full batch that fills the KV cache, the most of all decode instances."""
    full = seen.batch_seconds.max(axis=1)[seen.decodes.kind] + seen.decodes.d2 * seen.decodes.kv_capacity
    return float(np.maximum(full, seen.decodes.theta).max())


def _constant(array: Array) -> Array:
    array.flags.writeable = False
    return array
