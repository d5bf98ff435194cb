"""The planner against naive twins: one that plans every ready call at every epoch, and one that looks everywhere."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsched.engine import actions, tournament
from hexsched.engine.horizon import standalone_horizons
from hexsched.engine.kernel import interpreted, kernel, specialised
from hexsched.engine.tables import Workload, build_seen, build_state, workload_columns
from hexsched.engine.wallclock import new_histogram
from hexsched.model import Call, DecodeInstance, Instance, Link, PrefillInstance, Workflow
from hexsched.policies import read_policy
from hexsched.policies.decide import run_epochs
from hexsched.policies.parts.order import KEY_CHANGES
from hexsched.policies.planning import blocks, hexagent, paces, prefills, ready, second_look
from hexsched.policies.planning.memory import planner_memory
from hexsched.policies.planning.paces import forget_pace, member, pace
from hexsched.policies.planning.planner import planner

PREFILLS = ((0.1, 1e-3, 1e-7), (0.3, 3e-3, 2e-7), (0.1, 1.2e-3, 1e-7), (0.1, 1e-3, 0.0))
DECODES = ((0.01, 1e-4, 1e-7), (0.03, 2e-4, 3e-7), (0.01, 0.0, 0.0))
ORDERS = ("fcfs", "workflow-fcfs", "workflow-llf", "edf", "sjf", "critical-path", "plas@plan", "hexagent")
BY_RISK = ("hexagent", *(f"hexagent({part}=off)" for part in ("joint", "kv", "transfer")))
OTHERS = (*BY_RISK[1:], "atlas", "hexagent(replan=off)")


@kernel
def never(wish: Any) -> bool:
    return False


@kernel
def freely(wish: Any) -> int:
    return KEY_CHANGES


@kernel
def every_instance(seen: Any, memory: Any, c: int, kind: int, finish: float) -> int:
    lists = memory.planner.lists[0]
    lists.looked_at += 1
    return member(memory, kind, lists.looked_at - 1)


@kernel
def any_may_fit(actions: Any, block: int, room: int) -> bool:
    return False


@kernel
def fastest_of_all(seen: Any, memory: Any, kind: int) -> None:
    best, least = -1, math.inf
    for j in range(seen.decodes.shape[0]):
        if seen.decodes[j].kind == kind:
            forget_pace(seen, memory, j)
            seconds = pace(seen, memory, j)
            if seconds < least:
                best, least = j, seconds
    memory.planner.decode_first[kind] = best


PLAN_ALL = planner(replace(hexagent.HEXAGENT, takes_best=never, key_changes=freely))
PLANS_ALL = specialised(run_epochs, {hexagent.plan: PLAN_ALL})
LOOKS_EVERYWHERE = specialised(
    run_epochs,
    {
        paces.next_to_look_at: every_instance,
        paces.find_first_decode: fastest_of_all,
        actions.none_fits: any_may_fit,
    },
)


@kernel
def told_by_taking_away(seen: Any, memory: Any, settings: Any, c: int) -> tuple[int, float]:
    return -1, math.inf


TAKES_AWAY = specialised(run_epochs, {second_look.best_decode_of_counted: told_by_taking_away})

STAYED: list[int] = []  # calls placed anew without being taken away


@kernel
def note_those_told(seen: Any, memory: Any, settings: Any, c: int) -> tuple[int, float]:
    best, least = interpreted(second_look.best_decode_of_counted)(seen, memory, settings, c)
    if best >= 0 and best == memory.calls[c].planned:
        STAYED.append(c)
    return best, least


NOTES_THOSE_TOLD = specialised(run_epochs, {second_look.best_decode_of_counted: note_those_told})

HELD: list[Any] = []  # what is seen, and the settings


@kernel
def open_and_check(memory: Any, epoch: int, above: float, limit: float) -> None:
    check_bounds(*HELD, memory)
    interpreted(blocks.open_blocks)(memory, epoch, above, limit)


CHECKS_BOUNDS = specialised(run_epochs, {blocks.open_blocks: open_and_check})


def check_bounds(seen: Any, settings: Any, memory: Any) -> None:
    """No call in a block is at more risk now than its block, and what is kept of it, allows."""
    mine = memory.planner
    ranks = mine.ranks[0]
    upper_bound = interpreted(blocks.upper_bound)
    for b in range(ranks.blocks):
        block = mine.blocks[b]
        for k in range(b * ranks.width, b * ranks.width + block.calls):
            entry = mine.entries[k]
            _, _, finish = interpreted(hexagent.best_pair)(seen, memory, settings, entry.call)
            flow = seen.workflows[seen.calls[entry.call].workflow]
            risk = (seen.clock[0].now - flow.arrival + finish) / flow.horizon
            bound = upper_bound(ranks, entry.risk, entry.seconds, entry.tokens)
            assert risk <= bound <= upper_bound(ranks, block.risk, block.seconds, block.tokens)


def pools(draw: Any, kinds: tuple[tuple[float, float, float], ...], most: int) -> list[tuple[float, float, float]]:
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3, unique=True))
    return [kind for kind in chosen for _ in range(draw(st.integers(1, most)))]


@st.composite
def busy_clusters(draw: Any) -> Instance:
    """Several kinds of machines, some of them alike, and more calls at a time than are started at once."""
    prefill = [
        PrefillInstance(id=f"p{i:02}", gpu="X", prefill_coeffs=coefficients)
        for i, coefficients in enumerate(pools(draw, PREFILLS, 4))
    ]
    room, batch = draw(st.sampled_from([(3_000, 2), (8_000, 4), (2_000, 64), (100_000, 64)]))
    decode = [
        DecodeInstance(
            id=f"d{j:02}",
            gpu="X",
            decode_coeffs=coefficients,
            kv_capacity_tokens=room,
            max_batch=batch,
            fixed_iteration_time=coefficients[0],
        )
        for j, coefficients in enumerate(pools(draw, DECODES, 4))
    ]
    far = draw(st.sampled_from([0.0, 0.05]))
    links = tuple(
        Link(source=p.id, to=d.id, latency=far * (p.prefill_coeffs[0] > 0.2), bandwidth=1e9)
        for p in prefill
        for d in decode
    )
    sizes = st.tuples(st.integers(1, 1000) | st.just(400), st.integers(1, 200) | st.just(50))
    times = draw(st.lists(st.sampled_from([0.0, 0.0, 0.2, 1.0]), min_size=1, max_size=25))
    flows = []
    for w, arrival in enumerate(np.cumsum(times).tolist()):
        calls = []
        for k in range(draw(st.integers(1, 2))):
            n, m = draw(sizes)
            parents = (f"c{k - 1}",) if k and draw(st.booleans()) else ()
            calls.append(Call(call_id=f"c{k}", prompt_tokens=n, output_tokens=m, parents=parents))
        flows.append(Workflow(workflow_id=f"w{w:02}", arrival=arrival, calls=tuple(calls)))
    return Instance(
        format="hexsched-instance/1",
        decode_model=draw(st.sampled_from(["fluid", "fluid", "fixed"])),
        kv_bytes_per_token=1000,
        prefill=tuple(prefill),
        decode=tuple(decode),
        links=links,
        workflows=tuple(flows),
    )


def served(
    run: Any, instance: Instance, policy: str, *, tournaments: bool = False, class_mean: bool = False, **ranks: int
) -> list[tuple[Any, ...]]:
    """Where and when each call was served, with other numbers of calls in blocks, or tournaments wherever they may be.

    Estimates are exact, or are means of what has completed.
    """
    workload: Workload = workload_columns(instance)[0]
    state = build_state(instance, workload)
    state.truth.workflows.horizon = standalone_horizons(instance, workload, compiled=False)
    chosen = read_policy(policy)
    memory = chosen.memory(state.seen)
    if tournaments:
        memory.planner.lists.few = 0
    state.truth.progress.class_mean = int(class_mean)
    for name, value in ranks.items():
        memory.planner.ranks[name] = value
    HELD[:] = state.seen, chosen.settings()[0]
    for _ in interpreted(run)(state, memory, chosen.settings(), 10**9, new_histogram(), np.zeros(2, np.int64)):
        pass
    calls = state.seen.calls
    assert (calls.decode_end > 0).all()
    return list(
        zip(
            calls.prefill_instance.tolist(),
            calls.prefill_start.tolist(),
            calls.decode_instance.tolist(),
            calls.admitted.tolist(),
            calls.decode_end.tolist(),
            strict=True,
        )
    )


@given(instance=busy_clusters(), policy=st.sampled_from((*ORDERS, *OTHERS)))
@settings(max_examples=20)
def test_calls_that_wait_are_told_without_a_plan(instance, policy):
    assert served(run_epochs, instance, policy) == served(PLANS_ALL, instance, policy)


@given(instance=busy_clusters(), policy=st.sampled_from((*ORDERS, *OTHERS)))
@settings(max_examples=15)
def test_instances_that_are_passed_over_are_no_better(instance, policy):
    everywhere = served(LOOKS_EVERYWHERE, instance, policy, tournaments=True)
    assert served(run_epochs, instance, policy, tournaments=True) == everywhere
    assert served(run_epochs, instance, policy) == everywhere


@given(instance=busy_clusters(), policy=st.sampled_from((*BY_RISK, "triage", "fcfs")), class_mean=st.booleans())
@settings(max_examples=15)
def test_calls_that_wait_for_admission_are_placed_as_if_taken_away(instance, policy, class_mean):
    taken_away = served(TAKES_AWAY, instance, policy, class_mean=class_mean)
    assert served(run_epochs, instance, policy, class_mean=class_mean) == taken_away


@pytest.mark.quick
def test_most_calls_that_wait_for_admission_stay():
    """Of what the test above compares, something must have been told without taking it away."""
    instance = one_of_each([[Call(call_id="c", prompt_tokens=9, output_tokens=200 + k)] for k in range(12)])
    (decode,) = instance.decode
    STAYED.clear()
    served(
        NOTES_THOSE_TOLD,
        msgspec.structs.replace(instance, decode=(msgspec.structs.replace(decode, max_batch=2),)),
        "hexagent",
    )
    assert len(STAYED) > 12


@given(instance=busy_clusters(), policy=st.sampled_from((*BY_RISK, "triage(q=0.5,clean=1.0)")))
@settings(max_examples=15)
def test_calls_behind_by_their_bounds_are_not_looked_at(instance, policy):
    small = served(CHECKS_BOUNDS, instance, policy, few=0, width=2, ahead=1)
    assert small == served(run_epochs, instance, policy, few=10**9)


def test_more_kinds_of_machines_than_bits():
    """Each prefill machine is of its own kind, and sets of kinds have fewer bits than that."""
    machines = 66
    prefill = tuple(
        PrefillInstance(id=f"p{i:02}", gpu="X", prefill_coeffs=(0.1 + 0.02 * i, 1e-3, 0.0)) for i in range(machines)
    )
    decode = DecodeInstance(
        id="d", gpu="X", decode_coeffs=DECODES[0], kv_capacity_tokens=10**6, max_batch=64, fixed_iteration_time=0.01
    )
    flows = tuple(
        Workflow(
            workflow_id=f"w{k:03}",
            arrival=0.2 * (k // 12),
            calls=(Call(call_id="c", prompt_tokens=100 + 7 * k, output_tokens=9),),
        )
        for k in range(36)
    )
    instance = Instance(
        format="hexsched-instance/1",
        decode_model="fluid",
        kv_bytes_per_token=1,
        prefill=prefill,
        decode=(decode,),
        links=tuple(Link(source=m.id, to="d", latency=0.0, bandwidth=1e9) for m in prefill),
        workflows=flows,
    )
    assert served(run_epochs, instance, "fcfs") == served(PLANS_ALL, instance, "fcfs")


@pytest.mark.quick
def test_calls_are_told_to_wait_at_all():
    """Of what the tests above compare, something must have been left out."""
    slow, fast = PREFILLS[1], PREFILLS[0]
    machines = tuple(PrefillInstance(id=f"p{i}", gpu="X", prefill_coeffs=(fast, slow)[i // 3]) for i in range(6))
    decode = DecodeInstance(
        id="d", gpu="X", decode_coeffs=DECODES[0], kv_capacity_tokens=10**6, max_batch=64, fixed_iteration_time=0.01
    )
    flows = tuple(
        Workflow(workflow_id=f"w{k}", arrival=0.01 * k, calls=(Call(call_id="c", prompt_tokens=300, output_tokens=9),))
        for k in range(5)
    )
    instance = Instance(
        format="hexsched-instance/1",
        decode_model="fluid",
        kv_bytes_per_token=1,
        prefill=machines,
        decode=(decode,),
        links=tuple(Link(source=m.id, to="d", latency=0.0, bandwidth=1e9) for m in machines),
        workflows=flows,
    )
    state = build_state(instance, workload_columns(instance)[0])
    chosen = read_policy("fcfs")
    memory = chosen.memory(state.seen)
    run = interpreted(run_epochs)
    next(run(state, memory, chosen.settings(), 4, new_histogram(), np.zeros(2, np.int64)))
    assert memory.planner.starts[0].idle == 3
    assert memory.planner.reach[3].machines == 3  # and slow machines are idle, but the fourth call waits
    assert state.seen.calls[3].prefill_instance == -1
    assert memory.planner.lists[0].counted == 0


@pytest.mark.quick
def test_most_calls_of_a_burst_are_not_looked_at():
    """Of what the test above compares, something must have been left out."""
    instance = one_of_each([[Call(call_id="c", prompt_tokens=9, output_tokens=9 + 5 * k)] for k in range(90)])
    state = build_state(instance, workload_columns(instance)[0])
    chosen = read_policy("hexagent")
    memory = chosen.memory(state.seen)
    run = interpreted(run_epochs)
    next(run(state, memory, chosen.settings(), 9, new_histogram(), np.zeros(2, np.int64)))
    ranks, blocks_now = memory.planner.ranks[0], memory.planner.blocks
    looked_at = [int(blocks_now[b].epoch) for b in range(ranks.blocks)]
    assert 2 * looked_at.count(max(looked_at)) <= len(looked_at) == 6


# --- the parts -------------------------------------------------------------------------------------------------------


@pytest.mark.quick
@given(changes=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4).map(float) | st.just(math.inf)), max_size=60))
def test_tournament(changes):
    """Against the least of all keys, the smallest number winning a tie."""
    winners = tournament.new_tournament(13)
    keys = np.full(tournament.leaves_for(13), math.inf)
    for k, key in changes:
        interpreted(tournament.set_key)(winners, keys, k, key)
        assert winners[1] == int(np.argmin(keys))


@pytest.mark.quick
@given(data=st.data())
def test_line_of_calls_that_wait_for_admission(data):
    """Which blocks of it are passed over, against looking at each call in them; some have left."""
    needs = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=60))
    calls = [Call(call_id=f"c{k:02}", prompt_tokens=need, output_tokens=1) for k, need in enumerate(needs)]
    instance = one_of_each([calls])
    state = build_state(instance, workload_columns(instance)[0])
    line = np.arange(len(needs))
    for k in data.draw(st.sets(st.integers(0, len(needs) - 1))):
        line[k] = -1
    room = data.draw(st.integers(0, 11))
    for block in range(-(-len(needs) // 16)):
        interpreted(actions.note_least_need)(state, line, block, len(needs))
        fitting = [c for c in line[16 * block : 16 * block + 16] if c >= 0 and needs[c] + 1 <= room]
        assert interpreted(actions.none_fits)(state, block, room) == (not fitting)


def one_of_each(workflows: list[list[Call]]) -> Instance:
    """These calls at time 0 for one prefill and one decode instance."""
    decode = DecodeInstance(
        id="d", gpu="X", decode_coeffs=DECODES[0], kv_capacity_tokens=10**6, max_batch=64, fixed_iteration_time=0.01
    )
    return Instance(
        format="hexsched-instance/1",
        decode_model="fluid",
        kv_bytes_per_token=1,
        prefill=(PrefillInstance(id="p", gpu="X", prefill_coeffs=PREFILLS[0]),),
        decode=(decode,),
        links=(Link(source="p", to="d", latency=0.0, bandwidth=1e9),),
        workflows=tuple(
            Workflow(workflow_id=f"w{k:03}", arrival=0.0, calls=tuple(calls)) for k, calls in enumerate(workflows)
        ),
    )


def machine_memory(prefill: int, calls: int) -> Any:
    """What is seen and remembered of a cluster of so many equal prefill instances."""
    machines = tuple(PrefillInstance(id=f"p{i:02}", gpu="X", prefill_coeffs=PREFILLS[0]) for i in range(prefill))
    decode = DecodeInstance(
        id="d", gpu="X", decode_coeffs=DECODES[0], kv_capacity_tokens=10**6, max_batch=64, fixed_iteration_time=0.01
    )
    call = Call(call_id="c", prompt_tokens=1, output_tokens=1)
    instance = Instance(
        format="hexsched-instance/1",
        decode_model="fluid",
        kv_bytes_per_token=1,
        prefill=machines,
        decode=(decode,),
        links=tuple(Link(source=m.id, to="d", latency=0.0, bandwidth=1e9) for m in machines),
        workflows=(Workflow(workflow_id="w", arrival=0.0, calls=(call,)),),
    )
    seen = build_seen(instance, calls, 1)

    class Memory:
        planner = planner_memory(seen)

    return seen, Memory()


@pytest.mark.quick
@given(steps=st.lists(st.tuples(st.sampled_from(["plan", "end", "wait"]), st.integers(1, 5)), max_size=40))
def test_lines_of_prefill_instances(steps):
    """Against a list of all waits: the first one free, the least number winning a tie."""
    seen, memory = machine_memory(4, 200)
    busy = [0.0] * 4  # until when
    now, c = 0.0, 0
    for what, size in steps:
        if what == "plan":
            waits = [max(until - now, 0.0) for until in busy]
            interpreted(prefills.find_all_first_free)(seen, memory)
            for k in range(size):
                i = int(memory.planner.prefill_first[0])
                assert i == min(range(4), key=waits.__getitem__)
                assert memory.planner.prefills[i].wait == waits[i]
                seconds = float(1 + (c + k) % 3)
                waits[i] += seconds
                if interpreted(prefills.give_work)(seen, memory, i, seconds):
                    busy[i] = now + seconds
                    seen.prefills[i].running, seen.prefills[i].busy_until = c, busy[i]
                    seen.calls[c].prefill_instance = i
                    c += 1
            interpreted(prefills.end_plan)(seen, memory)
            assert memory.planner.starts[0].idle == sum(until <= now for until in busy)
        else:
            later = sorted(until for until in busy if until > now)
            now = later[0] if later and what == "end" else now + 0.25 if not later else min(now + 0.25, later[0])
            ended = [i for i in range(4) if seen.prefills[i].running >= 0 and busy[i] <= now]
            seen.clock[0].now, seen.clock[0].prefilled = now, len(ended)
            for k, i in enumerate(ended):
                seen.prefilled[k] = seen.prefills[i].running
                seen.prefills[i].running = -1
            interpreted(prefills.note_ends)(seen, memory)
            assert memory.planner.starts[0].idle == sum(until <= now for until in busy)


@pytest.mark.quick
@given(data=st.data())
def test_line_of_ready_calls(data):
    """Against sorting all of them: calls come, keys rise, the first few are looked at, some of them start."""
    seen, memory = machine_memory(1, 60)
    keys = np.zeros(60)

    @kernel
    def key(seen, memory, wish, c, stage):
        return wish[c]

    @kernel
    def rises(wish):
        return 1

    call_at = interpreted(ready.ready_calls(replace(hexagent.HEXAGENT, key=key, key_changes=rises)))
    waiting: set[int] = set()
    fresh = iter(range(60))
    seen.calls.prefill_instance = -1
    for _ in range(data.draw(st.integers(1, 15))):
        for _ in range(data.draw(st.integers(0, 4))):
            c = next(fresh, None)
            if c is not None:
                keys[c] = data.draw(st.integers(0, 9))
                interpreted(ready.enqueue)(memory, float(keys[c]), c)
                waiting.add(c)
        for c in sorted(waiting):
            keys[c] += data.draw(st.sampled_from([0, 0, 0, 1, 5]))
        expected = sorted(waiting, key=lambda c: (keys[c], c))
        looked_at = data.draw(st.integers(0, len(expected)))
        for rank in range(looked_at):
            assert call_at(seen, memory, keys, rank) == expected[rank]
        if looked_at == len(expected):
            assert call_at(seen, memory, keys, looked_at) == -1
        for c in expected[:looked_at]:
            if data.draw(st.booleans()):
                seen.calls[c].prefill_instance = 0
                waiting.discard(c)
        interpreted(ready.remove_started)(seen, memory, looked_at)
