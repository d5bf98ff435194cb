"""The parts of the engine one by one, run as the Python they are written in."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from instances import call, corner_instances, named_calls, one_pair, workflow
from msgspec.structs import replace
from reference.formulas import alone_time, base_time, fits, prefill_time, transfer_time

from hexsched.engine import heap, pairing_heap, physics, wallclock
from hexsched.engine import state as st_engine
from hexsched.engine.horizon import horizons, standalone_horizons
from hexsched.engine.kernel import interpreted
from hexsched.engine.tables import build_seen, workload_columns
from hexsched.model import Call, Instance, Workflow

pytestmark = pytest.mark.quick

KEYS = st.integers(0, 6).map(float) | st.floats(-1e3, 1e3)  # many ties


def records(count: int, dtype: np.dtype) -> np.recarray:
    return np.zeros(count, dtype).view(np.recarray)


# --- heaps -----------------------------------------------------------------------------------------------------------


@given(operations=st.lists(KEYS | st.none(), max_size=60))
def test_binary_heap(operations):
    """Against ``heapq``: a number is pushed, None pops."""
    push, pop = interpreted(heap.heap_push), interpreted(heap.heap_pop)
    entries = records(len(operations) + 1, st_engine.HEAP_ENTRY)
    expected: list[tuple[float, int]] = []
    for code, key in enumerate(operations):
        if key is not None:
            push(entries, len(expected), key, -code)  # later entries win a tie, unlike their place in the array
            heapq.heappush(expected, (key, -code))
        elif expected:
            assert pop(entries, len(expected)) == expected[0][1]
            heapq.heappop(expected)
    while expected:
        assert pop(entries, len(expected)) == heapq.heappop(expected)[1]


@given(operations=st.lists(st.tuples(st.integers(0, 2), KEYS | st.none()), max_size=60), data=st.data())
def test_pairing_heaps_in_one_array(operations, data):
    """Three queues in one array against three ``heapq`` lists; entries are used again once they are out."""
    push, pop = interpreted(pairing_heap.pairing_push), interpreted(pairing_heap.pairing_pop)
    entries = records(20, pairing_heap.ENTRY)
    free = set(range(20))
    roots = [-1, -1, -1]
    expected: list[list[tuple[float, int]]] = [[], [], []]
    for queue, key in operations:
        if key is not None and free:
            entry = data.draw(st.sampled_from(sorted(free)))
            free.remove(entry)
            entries[entry].key = key
            roots[queue] = push(entries, roots[queue], entry)
            heapq.heappush(expected[queue], (key, entry))
        elif expected[queue]:
            free.add(roots[queue])
            roots[queue] = pop(entries, roots[queue])
            heapq.heappop(expected[queue])
        assert roots[queue] == (expected[queue][0][1] if expected[queue] else -1)
    for queue, root in enumerate(roots):
        while root >= 0:
            assert root == heapq.heappop(expected[queue])[1]
            root = pop(entries, root)
        assert expected[queue] == []


# --- physics ---------------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(tau=st.floats(1e-5, 10), growth=st.just(0.0) | st.floats(1e-12, 1), iterations=st.floats(0, 1e6))
def test_seconds_and_iterations_are_inverse(tau, growth, iterations):
    seconds_for, iterations_in = interpreted(physics.seconds_for), interpreted(physics.iterations_in)
    seconds = seconds_for(tau, growth, iterations)
    assert seconds == pytest.approx(tau * iterations + growth * iterations**2 / 2, rel=1e-12)
    assert iterations_in(tau, growth, seconds) == pytest.approx(iterations, rel=1e-9, abs=1e-300)


@given(tau=st.floats(1e-4, 1), growth=st.floats(0, 1e-3), first=st.integers(0, 300), second=st.integers(0, 300))
def test_seconds_add_up(tau, growth, first, second):
    # stopping after ``first`` iterations and going on with the batch as it then is changes nothing
    seconds_for = interpreted(physics.seconds_for)
    whole = seconds_for(tau, growth, first + second)
    parts = seconds_for(tau, growth, first) + seconds_for(tau + growth * first, growth, second)
    assert whole == pytest.approx(parts, rel=1e-12)


@given(instance=corner_instances(workflows=(1, 2), calls=(1, 3)))
def test_service_times_are_those_of_the_model(instance):
    seen = build_seen(instance, 64, 1)
    for _, _, one in named_calls(instance):
        n, h, m = one.prompt_tokens, one.cached_tokens, one.output_tokens
        for i, source in enumerate(instance.prefill):
            seconds = interpreted(physics.prefill_seconds)(seen.prefills[i], n, h)
            assert seconds == pytest.approx(prefill_time(source, one), rel=1e-12)
            assert source.prefill_seconds(n, h) == pytest.approx(seconds, rel=1e-12)
            for j, target in enumerate(instance.decode):
                seconds = interpreted(physics.transfer_seconds)(seen, i, j, n)
                assert seconds == pytest.approx(transfer_time(instance, source.id, target.id, one), rel=1e-12)
        for j, machine in enumerate(instance.decode):
            seconds = interpreted(physics.alone_seconds)(seen, j, n, m)
            assert seconds == pytest.approx(alone_time(instance, machine, one), rel=1e-12)
            for batch in range(1, machine.max_batch + 1):
                expected = base_time(machine, batch) + machine.decode_coeffs[2] * n
                if instance.decode_model == "fixed":
                    expected = machine.fixed_iteration_time
                seconds = interpreted(physics.iteration_seconds)(seen, j, batch, n)
                assert seconds == pytest.approx(expected, rel=1e-12)


# --- standalone horizons ---------------------------------------------------------------------------------------------


def best_time(instance: Instance, one: Call) -> float:
    """best_c over all pairs, with nothing left out."""
    return min(
        prefill_time(source, one)
        + transfer_time(instance, source.id, target.id, one)
        + alone_time(instance, target, one)
        for source, target in itertools.product(instance.prefill, instance.decode)
        if fits(target, one)
    )


def longest_path(instance: Instance, flow: Workflow) -> float:
    """H_w over every path from a first call to any call, one after the other."""
    weight = {one.call_id: one.delay + best_time(instance, one) for one in flow.calls}
    parents = {one.call_id: one.parents for one in flow.calls}

    def paths_to(name: str) -> list[list[str]]:
        before = [path for parent in parents[name] for path in paths_to(parent)] or [[]]
        return [[*path, name] for path in before]

    return max(sum(weight[step] for step in path) for name in weight for path in paths_to(name))


@settings(max_examples=100)
@given(instance=corner_instances(calls=(1, 8)))
def test_horizons_against_all_paths(instance):
    expected = {flow.workflow_id: longest_path(instance, flow) for flow in instance.workflows}
    found = horizons(instance)
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-12)
    workload, _ = workload_columns(instance)
    ways = [standalone_horizons(instance, workload, compiled=way).tobytes() for way in (True, False)]
    assert ways[0] == ways[1]


@settings(max_examples=100)
@given(
    instance=corner_instances(workflows=(1, 3), calls=(2, 6)),
    position=st.integers(0, 100),
    prompt=st.integers(0, 500),
    output=st.integers(0, 300),
    delay=st.floats(0, 5),
)
def test_horizons_do_not_shrink_when_a_call_grows(instance, position, prompt, output, delay):
    flow = instance.workflows[position % len(instance.workflows)]
    old = flow.calls[position % len(flow.calls)]
    new = replace(
        old,
        prompt_tokens=old.prompt_tokens + prompt,
        output_tokens=old.output_tokens + output,
        delay=old.delay + delay,
    )
    assume(any(fits(machine, new) for machine in instance.decode))
    calls = tuple(new if one is old else one for one in flow.calls)
    flows = tuple(replace(flow, calls=calls) if one is flow else one for one in instance.workflows)
    before, after = horizons(instance), horizons(replace(instance, workflows=flows))
    assert all(after[name] >= before[name] * (1 - 1e-12) for name in before)
    assert all(after[name] == before[name] for name in before if name != flow.workflow_id)


def test_horizon_by_hand():
    # n = 10, m = 4: 3 + 1.5 + 6.48; n = 1, m = 1: 1.11 + 0.6 + 1.515
    flow = workflow(
        "w", 5, call("a", 10, 4), call("b", 1, 1, "a", delay=2), call("c", 10, 4), call("d", 1, 1, "b", "c")
    )
    assert horizons(one_pair(flow)) == pytest.approx({"w": 10.98 + 2 + 3.225 + 3.225})


def test_pairs_that_cannot_hold_a_call_do_not_count():
    slow = one_pair(workflow("w", 0, call("a", 10, 4)))
    fast = replace(slow.decode[0], id="d1", decode_coeffs=(0.1, 0.1, 0), kv_capacity_tokens=13)
    links = (*slow.links, replace(slow.links[0], to="d1"))
    both = replace(slow, decode=(*slow.decode, fast), links=links)
    assert horizons(both) == horizons(slow)
    roomier = replace(both, decode=(slow.decode[0], replace(fast, kv_capacity_tokens=14)))
    assert horizons(roomier) == pytest.approx({"w": 3 + 1.5 + 0.8})


# --- the rest --------------------------------------------------------------------------------------------------------


def test_columns_are_in_the_order_of_ids():
    instance = one_pair(
        workflow("b", 1, call("y", 20, 2, "x", delay=0.5, kind="k"), call("x", 10, 4, h=3)),
        workflow("a", 2, call("z", 30, 5)),
    )
    columns, places = workload_columns(instance)
    assert columns.arrival.tolist() == [2, 1]
    assert columns.workflow.tolist() == [0, 1, 1]
    assert (columns.n.tolist(), columns.m.tolist(), columns.h.tolist()) == ([30, 10, 20], [5, 4, 2], [0, 3, 0])
    assert columns.delay.tolist() == [0, 0, 0.5]
    assert columns.kind[0] == columns.kind[1] != columns.kind[2]
    assert columns.edges.tolist() == [[1, 2]]
    assert (places.workflow.tolist(), places.call.tolist()) == ([1, 0], [2, 1, 0])


@given(nanoseconds=st.lists(st.integers(1, 2**39), min_size=1, max_size=50), q=st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_latency_histogram(nanoseconds, q):
    histogram = wallclock.new_histogram()
    for elapsed in nanoseconds:
        interpreted(wallclock.record)(histogram, elapsed)
    assert wallclock.mean_seconds(histogram) == pytest.approx(np.mean(nanoseconds) * 1e-9)
    true = sorted(nanoseconds)[int(np.ceil(q * len(nanoseconds))) - 1] * 1e-9
    assert true * (1 - 1e-9) <= wallclock.quantile_seconds(histogram, q) <= true * 2 ** (1 / 8) * (1 + 1e-9)
    assert wallclock.quantile_seconds(wallclock.new_histogram(), q) == 0
