"""The planner against the book, what it remembers against what is so, and how much it does."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from instances import call, one_pair, workflow

from checks.looks import Counted
from checks.naive_planner import ORDERS, Book, Decision, crowd, fresh_state
from checks.planner_work import RUNS, STORED, counted, work
from hexsched.engine import loop
from hexsched.engine import state as st
from hexsched.engine.kernel import interpreted, kernel
from hexsched.engine.tables import build_seen
from hexsched.model import Instance, Link, PrefillInstance
from hexsched.policies import read_policy
from hexsched.policies.parts.order import KEY_RISES, KEY_STAYS
from hexsched.policies.planning import commitment, hexagent, memory, paces, patience, prefills, projection, ready
from hexsched.policies.planning.memory import planner_memory
from hexsched.policies.planning.pairs import pair_finder
from hexsched.policies.planning.planner import planner

pytestmark = pytest.mark.campaign  # of mutants, which run it whatever its mark

MOST = 200_000  # kernels of a crowd: five times as many as there are
KNOWN = json.loads(STORED.read_text())


# --- by the book -----------------------------------------------------------------------------------------------------


def follow(
    instance: Instance,
    order: str,
    policy: str,
    plan: Any = hexagent.plan,
    prepare: Callable[[Any], None] = lambda memory: None,
    look: Callable[[Any, Any, Book], None] = lambda seen, memory, book: None,
    **book_has: Any,
) -> None:
    """Serve a crowd, and see at every epoch that the book decides the same and that memory says what is so."""
    state = fresh_state(instance)
    seen, clock = state.seen, state.seen.clock[0]
    chosen = read_policy(policy)
    memory, settings = chosen.memory(seen), chosen.settings()
    prepare(memory)
    step, decide = interpreted(loop.advance), interpreted(plan)
    book = Book(seen, order, **book_has)
    true_need = (state.truth.calls.n + state.truth.calls.m).tolist()
    needed = started = 0
    with counted(MOST):
        while step(state):
            if clock.released + clock.prefilled + clock.completed == 0:
                continue
            reserved = state.truth.reserved.tolist()
            book.look(reserved, true_need)
            look(seen, memory, book)
            expected = book.decide(reserved, true_need)
            before = seen.calls[["prefill_instance", "decode_instance"]].tolist()
            decide(state, seen, memory, settings[0])
            assert decided(seen, before) == expected
            started += len(expected.started)
            needed = max([needed, *(true_need[c] for c in seen.released[: clock.released])])
            assert memory.planner.starts[0].total == started
            assert memory.planner.room[0].largest == needed
            check_prefills(seen, memory)
            check_ready(memory, book)
            check_decodes(seen, memory, book)
    assert state.truth.progress[0].incomplete == 0


def decided(seen: Any, before: list[tuple[int, int]]) -> Decision:
    """What was started and admitted since then."""
    after = seen.calls[["prefill_instance", "decode_instance"]].tolist()
    found = Decision({}, {})
    for c, (old, new) in enumerate(zip(before, after, strict=True)):
        for k in range(2):
            if old[k] != new[k]:
                found[k][c] = new[k]
    return found


def first(count: int, every: int) -> list[Any]:
    """Seeds from 0 to ``every``, those from ``count`` on as a campaign."""
    return [k if k < count else pytest.param(k, marks=pytest.mark.campaign) for k in range(every)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", first(2, 6))
def test_decisions_are_by_the_book(seed: int, order: str) -> None:
    """In every second crowd tournaments are kept of however few machines."""

    def keep_tournaments(memory: Any) -> None:
        memory.planner.lists.few = seed % 2

    follow(crowd(seed), order, order, prepare=keep_tournaments)


@pytest.mark.parametrize(
    ("seed", "order"),
    [
        (34, "sjf"),
        *(pytest.param(*one, marks=pytest.mark.campaign) for one in ((38, "workflow-llf"), (10, "sjf"))),
    ],
)
def test_large_crowds_are_served_by_the_book(seed: int, order: str) -> None:
    """Here calls are rehearsed, others come in between, and machines that were idle get work."""
    follow(crowd(seed, 3), order, order)


@pytest.mark.parametrize("seed", [*first(4, 6), pytest.param(34, marks=pytest.mark.campaign)])
def test_calls_in_blocks_are_started_by_the_book(seed: int) -> None:
    def small_blocks(memory: Any) -> None:
        ranks = memory.planner.ranks[0]
        ranks.few, ranks.width, ranks.ahead = 0, 2, 1

    follow(crowd(seed, 2), "hexagent", "hexagent", prepare=small_blocks)


@pytest.mark.parametrize("seed", first(1, 3))
def test_kinds_that_a_call_may_not_use_are_passed_over(seed: int) -> None:
    instance = crowd(seed)
    seen = fresh_state(instance).seen
    last = int(seen.prefills.kind.max()), int(seen.decodes.kind.max())  # which all may use

    @kernel
    def some(wish: Any, c: int, stage: int, kind: int) -> bool:
        return (c + kind) % 3 != 0 or kind == last[stage]

    plan = planner(replace(hexagent.HEXAGENT, allows=some))
    follow(instance, "hexagent", "hexagent", plan, allows=lambda c, stage, kind: some.py_func(None, c, stage, kind))


@pytest.mark.parametrize("seed", first(1, 3))
@pytest.mark.parametrize("off", ["joint", "kv", "transfer"])
def test_what_is_switched_off_is_by_the_book(seed: int, off: str) -> None:
    follow(crowd(seed), "hexagent", f"hexagent({off}=off)", **{off: False})


@pytest.mark.parametrize("seed", range(6))
def test_projections_are_by_the_book(seed: int) -> None:
    """Of calls drawn at random on every decode instance, whatever was counted for it before."""
    rng = np.random.default_rng(seed)
    room_wait, decode_seconds, pace = map(interpreted, (projection.room_wait, projection.decode_seconds, paces.pace))
    settings = read_policy("hexagent").settings()[0]

    def look(seen: Any, memory: Any, book: Book) -> None:
        mine = copy.deepcopy(memory)
        for c in rng.choice(len(seen.calls), 2).tolist():
            for j in range(len(seen.decodes)):
                assert room_wait(seen, mine, settings, c, j) == pytest.approx(book._room_wait(c, j), rel=1e-9)
                assert decode_seconds(seen, mine, c, j) == pytest.approx(book._decode_seconds(c, j), rel=1e-9)
                row = book._row(j)
                assert pace(seen, mine, j) == pytest.approx(book._iteration(j, row.batch + 1, row.kv), rel=1e-9)

    follow(crowd(seed), "hexagent", "hexagent", look=look)


def test_a_pace_of_which_only_a_floor_is_known_is_worked_out() -> None:
    seen = fresh_state(crowd(0)).seen
    memory = read_policy("hexagent").memory(seen)
    lower, pace = interpreted(paces.lower_floor), interpreted(paces.pace)
    seen.decodes[0].admitted = 1
    for epoch in range(4):
        seen.clock[0].epoch = epoch
        memory.planner.decodes[0].pace = 7.0
        lower(seen, memory, 0, 1e-3)
        assert pace(seen, memory, 0) < 1.0


@pytest.mark.parametrize("policy", ["hexagent", "workflow-llf", "sjf"])
@pytest.mark.parametrize("seed", range(3))
def test_what_scratch_held_before_counts_for_nothing(seed: int, policy: str) -> None:
    """A search runs the planner again and again in the same memory, of which scratch is not made anew."""
    rng = np.random.default_rng(seed)

    def stale(memory: Any) -> None:
        for array in st.arrays(memory, "scratch"):
            array.view(np.int64)[:] = rng.integers(0, 3, array.view(np.int64).shape)

    follow(crowd(seed, 2), policy, policy, prepare=stale)


def check_prefills(seen: Any, memory: Any) -> None:
    """Idle instances by number, busy ones in the order in which they end, and nothing of a plan is left."""
    mine = memory.planner
    starts = mine.starts[0]
    idle = [i for i, machine in enumerate(seen.prefills) if machine.running < 0]
    assert starts.idle == len(idle)
    assert starts.now == 0
    for kind, row in enumerate(mine.prefill_kinds):
        members = np.flatnonzero(seen.prefills.kind == kind).tolist()
        assert sorted(mine.idle[kind, : row.idle]["code"].tolist()) == [i for i in members if i in idle]
        busy = sorted((float(seen.prefills[i].busy_until), i) for i in members if i not in idle)
        assert mine.ends[kind, row.first : row.last].tolist() == busy
        assert (starts.idle_kinds >> kind) & 1 == (row.idle > 0)
        assert (row.taken, row.planned) == (0, 0)
    assert starts.idle_kinds >> len(mine.prefill_kinds) == 0


def check_ready(memory: Any, book: Book) -> None:
    """Every call that waits stands in one place, and nothing in the heap goes before the line."""
    mine = memory.planner
    row = mine.ready[0]
    line = mine.queue[row.first : row.first + row.ordered].tolist()
    behind = mine.heap[: row.rest].tolist()
    ranks = mine.ranks[0]
    held = [mine.blocks[b].calls for b in range(ranks.blocks)]
    in_blocks = [mine.entries[b * ranks.width + k].call for b, calls in enumerate(held) for k in range(calls)]
    assert ranks.calls == len(in_blocks)
    assert sorted([c for _, c in line] + [c for _, c in behind] + in_blocks) == sorted(book.ready)
    line_of_prefilled = mine.waiting[: mine.lists[0].waiting].tolist()
    assert [c for c in line_of_prefilled if c >= 0] == book.left_over
    assert line_of_prefilled.count(-1) == mine.lists[0].gaps <= len(book.left_over)
    if book.order != "hexagent":
        assert line == sorted(line)
        assert not line or not behind or line[-1] < min(behind)


def check_decodes(seen: Any, memory: Any, book: Book) -> None:
    """Calls are counted where the book has them, no bound on a pace or on room is above what is so."""
    mine = memory.planner
    room = mine.room[0]
    assert mine.lists[0].counted == 0
    needs = sorted((seen.calls[c].n + seen.calls[c].estimate for c in book.ready), reverse=True)
    for count in range(1, len(needs) + 1):  # no so many of them need more than the bound says
        assert (count**3 * room.fourths) ** 0.25 >= sum(needs[:count]) * (1 - 1e-9)
    expected = [book.planned.get(c, -1) for c in range(len(seen.calls))]
    assert memory.calls.planned.tolist() == expected
    for j, outlook in enumerate(mine.decodes):
        bound, server = [c for c, place in book.planned.items() if place == j], seen.decodes[j]
        tokens = sum(seen.calls[c].n + seen.calls[c].estimate for c in bound)
        assert (outlook.planned, outlook.planned_tokens, outlook.counted) == (len(bound), tokens, 0)
        assert outlook.planned_prompt == sum(seen.calls[c].n for c in bound)
        assert room.slots <= server.max_batch - server.admitted - len(bound)
        assert room.free <= server.kv_capacity - server.reserved - tokens
        leaf = mine.decode_place[j]
        assert mine.decode_members[server.kind, leaf] == j
        floor, empty = mine.pace_floors[server.kind, leaf], mine.empty[server.kind, leaf]
        row = book._row(j)
        assert empty in (0.0, math.inf)
        if floor == math.inf or empty == 0.0:
            assert (floor, empty, row.batch) == (math.inf, 0.0, 0)
        else:
            assert floor <= book._iteration(j, row.batch + 1, row.kv)
    for kind, members in enumerate(mine.decode_members):
        for keys, winners in ((mine.pace_floors, mine.pace_order), (mine.empty, mine.empty_order)):
            assert winners[kind, 1] == np.argmin(keys[kind])
            assert (keys[kind, members < 0] == math.inf).all()


# --- how much it does ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "policy"), [one if one[0] == 7 else pytest.param(*one, marks=pytest.mark.campaign) for one in RUNS]
)
def test_the_planner_does_no_more_than_it_did(seed: int, policy: str) -> None:
    known = KNOWN[f"{seed} {policy}"]
    found = work(seed, policy, most=2 * sum(known.values()))
    assert {name: count for name, count in found.items() if count > known.get(name, 0)} == {}


# --- the parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rises", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_line_of_ready_calls_has_room_for_no_more_than_there_are(seed: int, rises: bool) -> None:
    """Calls come, wait, fall behind and leave, until the line has gone through its array many times."""
    rng = np.random.default_rng(seed)
    seen = build_seen(crowd(0), 6, 1)
    memory = SimpleNamespace(planner=planner_memory(seen))
    keys = np.zeros(6)
    waiting: set[int] = set()
    seen.calls.prefill_instance = 0

    @kernel
    def key_of(seen: Any, memory: Any, wish: Any, c: int, stage: int) -> float:
        return float(wish[c])

    @kernel
    def how(wish: Any) -> int:
        return KEY_RISES if rises else KEY_STAYS

    call_at = interpreted(ready.ready_calls(replace(hexagent.HEXAGENT, key=key_of, key_changes=how)))
    enqueue, leave = interpreted(ready.enqueue), interpreted(ready.remove_started)
    for _ in range(150):
        for c in rng.permutation([c for c in range(6) if c not in waiting])[: rng.integers(0, 3)].tolist():
            keys[c] = rng.integers(0, 9)
            seen.calls[c].prefill_instance = -1
            enqueue(memory, float(keys[c]), c)
            waiting.add(c)
        if rises:
            for c in waiting:
                keys[c] += rng.choice([0, 0, 1, 4])
        expected = sorted(waiting, key=lambda c: (keys[c], c))
        looked_at = int(rng.integers(0, len(expected), endpoint=True))
        assert [call_at(seen, memory, keys, rank) for rank in range(looked_at)] == expected[:looked_at]
        if looked_at == len(expected):
            assert call_at(seen, memory, keys, looked_at) == -1
        for c in expected[:looked_at]:
            if rng.random() < 0.4:
                seen.calls[c].prefill_instance = 0
                waiting.remove(c)
        leave(seen, memory, looked_at)
        row = memory.planner.ready[0]
        assert row.ordered + row.rest == len(waiting)


@pytest.mark.parametrize("seed", range(3))
def test_the_first_prefill_instance_of_each_kind_is_found_from_all_waits(seed: int) -> None:
    seen = build_seen(crowd(seed, 3), 1, 1)
    memory = SimpleNamespace(planner=planner_memory(seen))
    waits = np.random.default_rng(seed).integers(0, 3, len(seen.prefills)).astype(float)
    memory.planner.prefills.wait = waits
    interpreted(prefills.find_first_prefills)(seen, memory)
    members = [np.flatnonzero(seen.prefills.kind == kind) for kind in range(seen.prefills.kind.max() + 1)]
    assert memory.planner.prefill_first.tolist() == [int(m[np.argmin(waits[m])]) for m in members]


def test_where_nothing_is_allowed_no_pair_is_found() -> None:
    state = fresh_state(crowd(0))
    memory = read_policy("hexagent").memory(state.seen)
    assert interpreted(loop.advance)(state)

    @kernel
    def nowhere(wish: Any, c: int, stage: int, kind: int) -> bool:
        return False

    find = interpreted(pair_finder(replace(hexagent.HEXAGENT, allows=nowhere)))
    assert find(state.seen, memory, read_policy("hexagent").settings()[0], 0) == (-1, -1, math.inf)


def kinds_of_machines(*seconds: float) -> tuple[Any, Any]:
    """What is seen of one call and a prefill instance of each kind, of so many seconds, the first one idle.

    A token takes at most 2 s, and the call is thought to have 500: rounding may take off 10^-6 s.
    """
    prefill = [
        PrefillInstance(id=f"p{k}", gpu=f"X{k}", prefill_coeffs=(one, 0.0, 0.0)) for k, one in enumerate(seconds)
    ]
    instance = one_pair(workflow("w", 0, call("c", 10, 500)), decode_model="fixed", decode_coeffs=(1, 0, 0))
    links = tuple(Link(source=p.id, to=instance.decode[0].id, latency=0.0, bandwidth=1e9) for p in prefill)
    seen = fresh_state(msgspec.structs.replace(instance, prefill=tuple(prefill), links=links)).seen
    memory = SimpleNamespace(planner=planner_memory(seen))
    mine = memory.planner
    seen.calls[0].estimate = 500
    assert (seen.prefills.kind.tolist(), mine.slowest[0]) == (list(range(len(seconds))), 2.0)
    mine.prefill_kinds.idle[1:] = 0
    mine.starts.idle, mine.starts.idle_kinds, mine.room.ample = 1, 1, 1
    return seen, memory


def test_kinds_of_prefill_machines_are_compared_by_their_links() -> None:
    """(latency, bandwidth) to each of two kinds of decode machines; the first two are alike, the fourth is mixed."""
    one = one_pair(workflow("w", 0, call("c", 10, 4)), decode_model="fixed")
    decode = tuple(msgspec.structs.replace(one.decode[0], id=f"d{k}", max_batch=7 + k) for k in range(2))
    ways = (((1, 9), (1, 9)), ((1, 9), (1, 9)), ((2, 9), (1, 9)), ((1, 9), (1, 5)), ((2, 9), (1, 5)), ((1, 9), (2, 12)))
    prefill = tuple(
        PrefillInstance(id=f"p{k}", gpu=f"X{k}", prefill_coeffs=(1.0 + k, 0.0, 0.0)) for k in range(len(ways))
    )
    links = tuple(
        Link(source=p.id, to=d.id, latency=float(latency), bandwidth=1e9 * bandwidth)
        for p, way in zip(prefill, ways, strict=True)
        for d, (latency, bandwidth) in zip(decode, way, strict=True)
    )
    made = planner_memory(fresh_state(msgspec.structs.replace(one, prefill=prefill, decode=decode, links=links)).seen)
    for k, mine in enumerate(ways):
        for other, theirs in enumerate(ways):
            assert made.alike[k, other] == (mine == theirs)
            no_slower = all(b[0] <= a[0] and b[1] >= a[1] for a, b in zip(mine, theirs, strict=True))
            expected = (memory.AS_EARLY if other < k else memory.STRICTLY) if no_slower and k != other else memory.NO
            assert made.beats[k, other] == expected
    with pytest.raises(ValueError, match="read-only"):
        made.beats[0, 0] = 1


@pytest.mark.parametrize(("earlier", "waits"), [(2e-6, True), (1.0005e-6, False), (0.5e-6, False), (-1.0, False)])
def test_a_call_waits_for_what_is_done_before_by_more_than_rounding(earlier: float, waits: bool) -> None:
    seen, memory = kinds_of_machines(1.0, 0.25)
    mine, plan = memory.planner, interpreted(patience.patience(hexagent.HEXAGENT)[0])
    mine.prefill_kinds[1].last = 1
    mine.ends[1, 0] = (0.75 - earlier, 1)
    assert plan(seen, memory, None, 0, 0) == waits
    assert not plan(seen, memory, None, 0, 1)  # the call before it takes the busy one
    if waits:
        assert plan(seen, memory, None, 0, 0)  # as it was told before,
        mine.room.ample = 0
        assert not plan(seen, memory, None, 0, 0)  # ... while there is room for all


@pytest.mark.parametrize(
    ("second", "idle", "waits"),
    [
        (1e-3, 1e-3, True),
        (1.0005e-6, 1e-3, False),  # which of the busy ones it takes is a matter of rounding
        (1.2e-6, 1e-3, True),
        (-1e-3, 2e-3, True),  # it takes the other one
        (-0.5e-6, 2e-3, False),
        (1e-3, 1.0005e-6, False),  # ... and here whether it takes an idle one
        (1e-3, 1.2e-6, True),
        (1e-3, -1e-3, False),
    ],
)
def test_a_rehearsal_tells_what_is_certain(second: float, idle: float, waits: bool) -> None:
    """Of two that are busy the first would be done after 1 s, the others so much later."""
    seen, memory = kinds_of_machines(1.0 + idle, 0.25, 0.5)
    mine, rehearse = memory.planner, interpreted(patience.patience(hexagent.HEXAGENT)[1])
    for i, wait in ((1, 0.75), (2, 0.5 + second)):
        mine.prefill_kinds[i].last = 1
        mine.ends[i, 0] = (wait, i)
    interpreted(prefills.find_all_first_free)(seen, memory)
    mine.starts.rehearsal = 3
    assert rehearse(seen, memory, None, 0) == waits
    if waits:
        taken = 1 if second > 0 else 2
        assert mine.prefills[taken].wait == pytest.approx(1.0 + min(second, 0.0))
        assert (mine.reach[0].rehearsal, mine.reach[0].rehearsal_idle) == (3, 1)


def test_no_rounding_is_left_where_nothing_is_counted() -> None:
    seen = fresh_state(crowd(0)).seen
    memory = read_policy("hexagent").memory(seen)
    plan_on, unplan = interpreted(commitment.plan_on), interpreted(commitment.unplan)
    seen.calls.estimate[:3] = 0.1, 0.2, 0.3
    for c in range(3):
        plan_on(seen, memory, c, 1)
    for c in range(3):
        assert memory.planner.decodes[1].planned == 3 - c
        unplan(seen, memory, c)
        unplan(seen, memory, c)  # it is counted nowhere any more
    row = memory.planner.decodes[1]
    assert (row.planned, row.planned_tokens, row.planned_prompt) == (0, 0.0, 0.0)
    assert memory.calls.planned[:3].tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("swept", "before", "after"), [(5, 4, 5), (5, 0, 5), (5, -1, -1), (4, 4, 4), (6, 4, 4), (5, 5, 5)]
)
def test_where_all_rows_are_worked_out_one_that_changes_is_before(swept: int, before: int, after: int) -> None:
    """Else sums would round in another way. A row that was never worked out, or was changed in this epoch, is not."""
    seen = fresh_state(crowd(0)).seen
    memory = read_policy("hexagent").memory(seen)
    seen.clock[0].epoch = 5
    memory.planner.lists[0].swept = swept
    memory.planner.decodes[1].epoch = before
    memory.planner.decodes[1].free = 7.0
    interpreted(commitment._project_if_swept)(seen, memory, 1)
    assert memory.planner.decodes[1].epoch == after
    assert (memory.planner.decodes[1].free == 7.0) == (after == before)


def test_the_slowest_iteration_is_of_a_full_batch_and_a_full_cache() -> None:
    flow = workflow("w", 0, call("c", 10, 4))
    for model, seconds in (("fluid", 1 + 0.5 * 8 + 0.01 * 1000), ("fixed", 15.0)):
        assert planner_memory(fresh_state(one_pair(flow, decode_model=model)).seen).slowest[0] == seconds


def test_a_rehearsal_tells_nothing_of_busy_kinds_with_other_links() -> None:
    seen, memory = kinds_of_machines(2.0, 0.25, 0.5)
    mine, rehearse = memory.planner, interpreted(patience.patience(hexagent.HEXAGENT)[1])
    for i in (1, 2):
        mine.prefill_kinds[i].last = 1
        mine.ends[i, 0] = (0.75, i)
    interpreted(prefills.find_all_first_free)(seen, memory)
    assert not rehearse(seen, SimpleNamespace(planner=mine._replace(alike=np.eye(3, dtype=int))), None, 0)
    assert rehearse(seen, memory, None, 0)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 33])
def test_a_line_is_searched_by_halves(count: int) -> None:
    """Up to where work of 2 s would be done within a time, with one look for each halving."""
    line = st.records(count + 5, st.HEAP_ENTRY)
    line.key[:] = 10.0 + np.arange(count + 5) // 2  # ends that are equal, two by two
    until = interpreted(patience.ending_until)
    for latest in (0.5, 2.0, 3.5, 5.0, 9.0, 99.0):
        looks = Counted(line, 2 + math.ceil(math.log2(count + 1)))
        assert until(looks, 3, 3 + count, 8.0, 2.0, latest) == 3 + sum(
            (line[k].key - 8.0) + 2.0 <= latest for k in range(3, 3 + count)
        )
