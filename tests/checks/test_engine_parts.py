"""Parts of the engine one by one, as the Python they are written in: what each does, and with how many steps."""

from __future__ import annotations

import math
import time
from typing import Any

import numba
import numpy as np
import pytest
from instances import call, corner_instance, one_pair, workflow
from msgspec.structs import replace

from checks.looks import Counted, steps
from hexsched.engine import actions, first_token, heap, loop, pairing_heap, physics, wallclock
from hexsched.engine import state as st
from hexsched.engine.compiler.clock import read_clock
from hexsched.engine.horizon import standalone_horizons
from hexsched.engine.kernel import interpreted
from hexsched.engine.tables import batch_seconds, build_seen, build_state, workload_columns
from hexsched.errors import InputError
from hexsched.model import ClosedLoop, Instance

pytestmark = pytest.mark.quick

PUSH, POP = interpreted(heap.heap_push), interpreted(heap.heap_pop)
SORT = interpreted(heap.sort_ascending)


@pytest.mark.parametrize("seed", range(6))
def test_a_heap_gives_the_least_and_takes_steps_for_its_levels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    entries = st.records(64, st.HEAP_ENTRY)
    expected: list[tuple[float, int]] = []
    for code in range(200):
        if len(expected) < 64 and (not expected or rng.random() < 0.6):
            pushed = (float(rng.integers(5)), int(rng.integers(1000)) * 256 + code)
            PUSH(Counted(entries, steps(len(expected))), len(expected), *pushed)
            expected.append(pushed)
        else:
            least = min(expected)
            assert POP(Counted(entries, steps(len(expected))), len(expected)) == least[1]
            expected.remove(least)
        kept = entries[: len(expected)]
        assert sorted(zip(kept.key.tolist(), kept.code.tolist(), strict=True)) == sorted(expected)
        for k in range(1, len(expected)):  # every entry is after the one above it
            assert (kept[(k - 1) // 2].key, kept[(k - 1) // 2].code) < (kept[k].key, kept[k].code)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31])
def test_numbers_are_sorted_and_those_behind_left_alone(count: int) -> None:
    rng = np.random.default_rng(count)
    for numbers in (rng.permutation(count), np.arange(count), np.arange(count)[::-1], rng.integers(0, 3, count)):
        behind = np.array([7, -5, 3])
        array = np.concatenate([numbers, behind])
        SORT(Counted(array, 20 + count * steps(count)), count)
        assert array[:count].tolist() == sorted(numbers.tolist())
        assert array[count:].tolist() == behind.tolist()


def test_numbers_in_order_are_looked_at_once() -> None:
    array = np.arange(1000)
    SORT(Counted(array, 2 * 1000), 1000)


@pytest.mark.parametrize("seed", range(6))
def test_pairing_heaps_keep_every_entry_and_their_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    push, pop = interpreted(pairing_heap.pairing_push), interpreted(pairing_heap.pairing_pop)
    entries = st.records(40, pairing_heap.ENTRY)
    entries.child = entries.next = 99  # what an entry had before does not count
    keys = rng.integers(0, 6, 40).astype(float)
    root = -1
    inside: set[int] = set()
    for _ in range(150):
        out = [k for k in range(40) if k not in inside]
        if out and (not inside or rng.random() < 0.55):
            new = int(rng.choice(out))
            entries[new].key = keys[new]
            root = push(Counted(entries, 20), root, new)
            inside.add(new)
        else:
            inside.remove(root)
            root = pop(Counted(entries, 30 * (len(inside) + 2)), root)
        expected = min(((keys[k], k) for k in inside), default=(0.0, -1))
        assert root == expected[1]
    left = []
    while root >= 0 and len(left) <= 40:
        left.append(root)
        root = pop(Counted(entries, 30 * 42), root)
    assert left == sorted(inside, key=lambda k: (keys[k], k))


# --- actions ---------------------------------------------------------------------------------------------------------


def state_of(instance: Instance) -> Any:
    workload, _ = workload_columns(instance)
    state = build_state(instance, workload)
    state.seen.calls.n, state.seen.calls.estimate = workload.n, workload.m
    return state


def test_room_is_that_of_the_roomiest_instance_with_a_free_place() -> None:
    one = one_pair(
        workflow("A", 0, call("a", 10, 4)), workflow("B", 0, call("b", 20, 5)), kv_capacity_tokens=40, max_batch=2
    )
    other = replace(one.decode[0], id="d1", kv_capacity_tokens=30, max_batch=1)
    instance = replace(one, decode=(*one.decode, other), links=(*one.links, replace(one.links[0], to="d1")))
    state = state_of(instance)
    room, fits, admit = (interpreted(f) for f in (actions.largest_room, actions.has_room, actions.admit))
    assert room(state) == 40
    state.seen.calls.prefill_instance = 0
    admit(state, 1, 0)  # B takes 25 of d0
    assert (room(state), state.truth.reserved.tolist(), state.seen.decodes.admitted.tolist()) == (30, [25, 0], [1, 0])
    assert (fits(state, 0, 0), fits(state, 0, 1)) == (True, True)  # 14 of 15, 14 of 30
    admit(state, 0, 1)
    assert room(state) == 15  # no place is left on d1
    assert not fits(state, 0, 1)
    admit(state, 0, 0)
    assert room(state) == -1
    assert state.seen.decodes.in_transfer.tolist() == [30, 10]
    full = state_of(one_pair(workflow("A", 0, call("a", 10, 4)), kv_capacity_tokens=14))
    assert interpreted(actions.has_room)(full, 0, 0)


# --- tables ----------------------------------------------------------------------------------------------------------


def test_what_is_constant_changing_and_scratch() -> None:
    state = state_of(one_pair(workflow("A", 0, call("a", 10, 4), call("b", 10, 4, "a"))))
    every = [part for memory in state for part in memory]
    sorts = {name: st.arrays(state, name) for name in ("constant", "scratch", "changing")}
    assert sorted(map(id, every)) == sorted(id(one) for rows in sorts.values() for one in rows)
    assert any(one is state.seen.links for one in sorts["constant"])
    assert any(one is state.truth.events for one in sorts["scratch"])
    assert any(one is state.seen.calls for one in sorts["changing"])
    for one in (state.seen.batch_seconds, state.seen.pairs, state.truth.parents, state.truth.roots):
        with pytest.raises(ValueError, match="read-only"):
            one[...] = 0


def test_bare_arrays_are_the_same_arrays() -> None:
    state = state_of(one_pair(workflow("A", 0, call("a", 10, 4))))
    bare = st.bare((state, state.seen.clock))
    assert type(bare) is tuple
    assert type(bare[0]) is st.State
    assert type(bare[0].seen.calls) is np.ndarray
    bare[0].seen.calls["n"] = 77
    assert state.seen.calls.n.tolist() == [77]
    row = st.record(st.KIND, tokens=3.0)
    assert (row.tokens.tolist(), row["count"].tolist()) == ([3.0], [0])


def test_twins_share_a_kind_and_stand_for_each_other() -> None:
    one = one_pair(workflow("A", 0, call("a", 10, 4)))
    prefill = (
        *one.prefill,
        replace(one.prefill[0], id="p1"),
        replace(one.prefill[0], id="p2", prefill_coeffs=(2, 0, 0)),
    )
    decode = (
        *one.decode,
        replace(one.decode[0], id="d1", max_batch=3),  # as fast and roomy: how many go in does not matter alone
        replace(one.decode[0], id="d2", kv_capacity_tokens=999),
        replace(one.decode[0], id="d3", fixed_iteration_time=3),
    )
    links = tuple(replace(one.links[0], source=p.id, to=d.id) for p in prefill for d in decode)
    seen = build_seen(replace(one, prefill=prefill, decode=decode, links=links), 5, 1)
    assert seen.prefills.kind.tolist() == [0, 0, 1]
    assert seen.decodes.kind.tolist() == [0, 0, 1, 2]
    assert sorted(map(tuple, seen.pairs.tolist())) == [(i, j) for i in (0, 2) for j in (0, 2, 3)]
    assert seen.prefills.running.tolist() == [-1] * 3
    assert seen.seats.shape == (4, 5)
    assert (seen.batch_seconds.shape, seen.links.shape) == ((3, 9), (2, 3))
    assert (seen.calls.prefill_instance.tolist(), seen.calls.decode_instance.tolist()) == ([-1] * 5, [-1] * 5)
    far = tuple(replace(link, latency=9.0) if link.to == "d1" else link for link in links)
    seen = build_seen(replace(one, prefill=prefill, decode=decode, links=far), 5, 1)
    assert seen.decodes.kind.tolist() == [0, 1, 2, 3]


def test_a_curve_is_straight_between_its_points_and_flat_behind_them() -> None:
    server = one_pair(workflow("A", 0, call("a", 10, 4)), batch_curve=((1, 1.0), (3, 2.0), (8, 4.5))).decode[0]
    assert batch_seconds(server, 10).tolist() == pytest.approx([1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 4.5, 4.5])
    line = replace(server, batch_curve=None)
    assert batch_seconds(line, 3).tolist() == [1.5, 2.0, 2.5]


def test_capacity_needed_is_that_of_the_smallest_cache_that_can_hold_a_call() -> None:
    one = one_pair(workflow("A", 0, call("a", 10, 4), call("b", 10, 5), call("c", 1, 1)), kv_capacity_tokens=20)
    decode = (*one.decode, replace(one.decode[0], id="d1", kv_capacity_tokens=14))
    instance = replace(one, decode=decode, links=(*one.links, replace(one.links[0], to="d1")))
    workload, _ = workload_columns(instance)
    state = build_state(instance, workload, estimates=np.array([1.0, 2.0, 3.0]))
    assert state.truth.calls.needs_capacity.tolist() == [14, 20, 14]
    assert state.truth.calls.estimate.tolist() == [1, 2, 3]
    progress = state.truth.progress[0]
    assert (progress.begun, progress.incomplete, progress.prior, progress.events) == (1, 3, 256, 0)
    assert state.truth.next_completion.tolist() == [math.inf, math.inf]


def test_what_is_left_of_a_call_once_it_is_prefilled() -> None:
    one = one_pair(workflow("A", 0, call("a", 10, 4)))
    decode = (
        *one.decode,
        replace(one.decode[0], id="d1", decode_coeffs=(1, 0, 0)),
        replace(one.decode[0], id="d2", decode_coeffs=(0, 0, 0.001), kv_capacity_tokens=14),
    )
    links = tuple(
        replace(one.links[0], to=d.id, latency=latency) for d, latency in zip(decode, (0.5, 1.5, 0), strict=True)
    )
    seen = build_seen(replace(one, decode=decode, links=links), 1, 1, 3)
    least = interpreted(physics.best_after_prefill)
    alone = [1 * 4 + 0.5 * 4 + 0.01 * 10 * 4 + 0.01 * 16 / 2, 4.0, 0.001 * 10 * 4 + 0.001 * 16 / 2]
    assert least(seen, 0, 10, 4, 14) == pytest.approx(1.0 + alone[2])
    assert least(seen, 0, 10, 4, 1000) == pytest.approx(min(1.5 + alone[0], 2.5 + alone[1]))
    assert least(seen, 0, 10, 4, 1001) == math.inf
    assert seen.parents.tolist() == [-1, -1, -1]


def test_a_workflow_too_late_for_its_length_is_named() -> None:
    flows = (
        workflow("B", 3e10, call("b", 10, 4)),
        workflow("C", 0, call("c", 10, 4)),
        workflow("A", 1, call("a", 10, 4)),
    )
    late = one_pair(*flows)
    with pytest.raises(InputError, match="workflow 'B' arrives at 3e\\+10 s"):
        standalone_horizons(late, workload_columns(late)[0], compiled=False)


# --- first tokens ----------------------------------------------------------------------------------------------------


def test_first_tokens_on_two_instances_and_after_a_pause() -> None:
    one = one_pair(workflow("w", 0, call("c", 10, 4)))
    other = replace(one.decode[0], id="d1", decode_coeffs=(3, 0, 0))
    instance = replace(one, decode=(*one.decode, other), links=(*one.links, replace(one.links[0], to="d1")))
    place = np.array([1, 0, 0, 1])
    prompt, output = np.array([10, 10, 20, 5]), np.array([4, 4, 3, 2])
    start, end = np.array([0.0, 0.0, 50.0, 1.0]), np.array([12.0, 6.48, 55.0, 7.0])
    found = first_token.first_token_times(instance, place, prompt, output, start, end, compiled=False)
    # d1: 3 s an iteration, whoever is there. d0: (1.5 + 0.1) + 0.005, and after the pause as if nothing had been
    assert found.tolist() == pytest.approx([3.0, 1.605, 50 + 1.7 + 0.005, 4.0], rel=1e-12)
    none = np.zeros(0, dtype=np.int64)
    assert first_token.first_token_times(one, none, none, none, none * 1.0, none * 1.0, compiled=False).tolist() == []


def test_calls_that_join_together_have_their_first_token_together() -> None:
    one = one_pair(workflow("w", 0, call("c", 10, 4)))
    prompt, output = np.array([10, 20, 30]), np.array([9, 9, 9])
    start, end = np.array([5.0, 5.0, 5.0]), np.array([90.0, 90.0, 90.0])
    found = first_token.first_token_times(one, np.zeros(3, np.int64), prompt, output, start, end, compiled=False)
    assert found.tolist() == pytest.approx([5 + 2.5 + 0.6 + 0.03 / 2] * 3, rel=1e-12)


# --- the clock of decisions ------------------------------------------------------------------------------------------


def test_times_of_decisions_are_counted_in_bins_of_an_eighth_of_an_octave() -> None:
    histogram = wallclock.new_histogram()
    assert (wallclock.mean_seconds(histogram), wallclock.quantile_seconds(histogram, 0.5)) == (0.0, 0.0)
    record = interpreted(wallclock.record)
    for elapsed in (0, 1, 1024, 1025, 2**60):
        record(histogram, elapsed)
    assert histogram[0] == 2  # up to a nanosecond
    assert histogram[80] == 2  # 1024 = 2^10
    assert histogram[wallclock.BINS - 1] == 1  # whatever takes longer than the last bin
    assert (histogram[-2], histogram[-1]) == (5, 2 + 1023 + 1025 + 2**60)
    assert len(histogram) == wallclock.BINS + 2
    assert wallclock.BINS == 320
    only = wallclock.new_histogram()
    for _ in range(4):
        record(only, 3000)
    assert wallclock.mean_seconds(only) == pytest.approx(3e-6)
    assert 3e-6 <= wallclock.quantile_seconds(only, 0.5) <= 3e-6 * 2 ** (1 / 8)
    record(only, 2**20)
    assert wallclock.quantile_seconds(only, 0.8) < 4e-6 < wallclock.quantile_seconds(only, 0.81)
    buffer = np.zeros(2, np.int64)
    compiled = numba.njit(lambda scratch: read_clock(scratch))  # as compiled code has it
    compiled(buffer)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    told = compiled(buffer)
    assert before <= told <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    first = interpreted(wallclock.nanoseconds)(buffer)
    assert 0 < first <= interpreted(wallclock.nanoseconds)(buffer)


# --- the loop --------------------------------------------------------------------------------------------------------


def epochs(instance: Instance, seed: int) -> Any:
    """Drive the loop by hand: calls start and are admitted at random, and every epoch is looked at."""
    rng = np.random.default_rng(seed)
    workload, places = workload_columns(instance)
    state = build_state(instance, workload, waiting=places.workflow)
    seen, clock = state.seen, state.seen.clock[0]
    step, start, has_room, admit = (
        interpreted(f) for f in (loop.advance, actions.start_prefill, actions.has_room, actions.admit)
    )
    ready: list[int] = []
    prefilled: list[int] = []
    calls, last = len(workload.n), -1.0
    most = 4 * calls + len(workload.arrival)  # a release, ends of a prefill, of a transfer and of a decode; arrivals
    for _ in range(most + 1):
        if not step(state):
            assert state.truth.progress[0].incomplete == 0
            return state
        assert clock.now >= last
        last = float(clock.now)
        for numbers, count, waiting in (
            (seen.released, clock.released, ready),
            (seen.prefilled, clock.prefilled, prefilled),
        ):
            new = numbers[:count].tolist()
            assert new == sorted(set(new))
            waiting.extend(new)
        for c in seen.completed[: clock.completed].tolist():
            assert seen.calls[c].decode_end == clock.now
        assert all(p.running == -1 or p.busy_until > clock.now for p in seen.prefills)
        rng.shuffle(ready)
        for i in range(len(seen.prefills)):
            if ready and seen.prefills[i].running < 0:
                start(state, ready.pop(), i)
        for c in list(prefilled):
            able = [j for j in range(len(seen.decodes)) if has_room(state, c, j)]
            if able:
                admit(state, c, int(rng.choice(able)))
                prefilled.remove(c)
        check_memory(state, workload)
    raise AssertionError("more happens than can happen to calls")


def check_memory(state: Any, workload: Any) -> None:
    """What is kept of each decode instance is what its calls say."""
    seen, truth, now = state.seen, state.truth, float(state.seen.clock[0].now)
    for j, decode in enumerate(seen.decodes):
        inside = [
            c for c, call in enumerate(seen.calls) if call.decode_instance == j and call.decode_end == 0 and call.n > 0
        ]
        assert sorted(seen.seats[j, : decode.admitted].tolist()) == inside
        assert [seen.calls[c].seat for c in seen.seats[j, : decode.admitted]] == list(range(len(inside)))
        assert truth.reserved[j] == sum(workload.n[c] + workload.m[c] for c in inside)
        assert decode.reserved == pytest.approx(truth.reserved[j])
        moving = [c for c in inside if seen.calls[c].decode_start > now]
        ending = [c for c in inside if seen.calls[c].decode_start == now]  # what takes no time ends in the next epoch
        least = sum(workload.n[c] for c in moving)
        assert least <= decode.in_transfer <= least + sum(workload.n[c] for c in ending)
        batch = [c for c in inside if seen.calls[c].decode_start < now]
        assert len(batch) <= decode.batch <= len(inside) - len(moving)
        if decode.batch == 0:
            assert truth.next_completion[j] == math.inf
            assert (decode.kv, decode.iterations) == (0, 0)
        else:
            assert truth.next_completion[j] >= now


@pytest.mark.parametrize("seed", range(8))
def test_a_run_has_no_more_epochs_than_things_can_happen(seed: int) -> None:
    rng = np.random.default_rng([seed, 9])
    instance = corner_instance(
        rng,
        workflows=(2, 4),
        calls=(1, 4),
        arrivals=("together", "spread")[seed % 2],
        room=("loose", "barely")[seed // 2 % 2],
    )
    if seed == 7:
        flows = tuple(replace(flow, arrival=0.0) for flow in instance.workflows)
        instance = replace(instance, workflows=flows, closed_loop=ClosedLoop(sessions=1))
    state = epochs(instance, seed)
    kinds = state.truth.kinds
    assert kinds["count"][-1] == instance.call_count == kinds["count"][:-1].sum()
    assert (
        kinds.tokens[-1] == sum(c.output_tokens for w in instance.workflows for c in w.calls) == kinds.tokens[:-1].sum()
    )


def test_the_oracle_shows_the_true_horizon_and_nothing_else_moves_it() -> None:
    workload, _ = workload_columns(one_pair(workflow("A", 0, call("a", 10, 4), call("b", 10, 4, "a"))))
    for oracle, shown in ((1, 99.0), (0, pytest.approx(3 + 1.5 + 6.48))):
        state = build_state(one_pair(workflow("A", 0, call("a", 10, 4), call("b", 10, 4, "a"))), workload)
        state.truth.workflows.horizon, state.truth.progress.oracle_horizon = 99.0, oracle
        assert interpreted(loop.advance)(state)
        assert state.seen.workflows.horizon.tolist() == [shown]


def test_prefills_that_end_together_are_told_by_their_ids() -> None:
    one = one_pair(workflow("A", 0, call("a", 10, 4)), workflow("B", 0, call("b", 10, 4)))
    other = replace(one.prefill[0], id="p1")
    instance = replace(one, prefill=(*one.prefill, other), links=(*one.links, replace(one.links[0], source="p1")))
    workload, _ = workload_columns(instance)
    state = build_state(instance, workload)
    step, start = interpreted(loop.advance), interpreted(actions.start_prefill)
    assert step(state)
    start(state, 1, 0)
    start(state, 0, 1)
    assert step(state)
    assert state.seen.prefilled[:2].tolist() == [0, 1]
    assert not step(state)
