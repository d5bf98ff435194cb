"""Groups of workflows, each alone: never above any schedule, more than the whole where there is more to say."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instances, one_pair, workflow
from reference import exhaustive
from test_idle import apart

from hexsched.model import Instance
from hexsched.simulator import simulate
from solvers.bounds import BOUNDS
from solvers.bounds.grouped import bound as grouped
from solvers.bounds.grouped.bound import Tuning, grouped_bound
from solvers.bounds.grouped.late import Late, late_together, whole
from solvers.bounds.grouped.partition import partition
from solvers.bounds.prices import priced_bound
from solvers.brackets.portfolio import bound
from solvers.problem.bracket import Bracket
from solvers.problem.idle import part_of
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem

POLICIES = ("hexagent", "workflow-llf", "sjf", "fcfs@random", "critical-path")
OBJECTIVES = ("max_ratio", "req(0.5)", "req(0.8)", "mean_ratio", "mean_latency", "misses(1.1)", "misses(1.5)")
OPTIMA = {
    "max_ratio": exhaustive.largest,
    "req(0.5)": exhaustive.required("0.5"),
    "mean_ratio": exhaustive.mean_ratio,
    "mean_latency": exhaustive.mean_latency,
    "misses(1.2)": exhaustive.misses(1.2),
}
SECONDS = 0.1
SHORT = Tuning(fewest=1, most=2, passes=4, idle=1)
BURSTS, APART = 5, 172.0
ALONE, TOGETHER = (
    12.89 + 79.5,
    12.89 + 2 * 79.5,
)  # seconds: a horizon, and the end of a burst


def bursts(count: int = BURSTS) -> Instance:
    """Pairs of workflows that arrive together, a pair when the last one is just complete.

    Each call holds 0.6 of the only KV cache, so one of each pair must wait until the other is complete.
    """
    flows = [workflow(f"w{k}{x}", k * APART, call("c", 590, 10, h=589)) for k in range(count) for x in "ab"]
    return one_pair(*flows, decode_model="fixed")


def least(instance: Instance, text: str, policies: tuple[str, ...] = POLICIES) -> float:
    """The value of the best of some policies."""
    runs = [simulate(instance, name) for name in policies]
    return min(read_objective(text).value(run.arrival, run.completed, run.horizon) for run in runs)


def bounded(instance: Instance, text: str, tuning: Tuning = SHORT, seconds: float = SECONDS) -> float:
    return grouped_bound(offline_problem(instance), read_objective(text), seconds, tuning=tuning)


@settings(max_examples=25, deadline=None)
@given(corner_instances(workflows=(2, 8), calls=(1, 4)), st.sampled_from(OBJECTIVES), st.integers(1, 4))
def test_no_policy_beats_it(instance: Instance, text: str, most: int) -> None:
    tuning = Tuning(fewest=1, most=most, passes=4, idle=1)
    assert bounded(instance, text, tuning) <= least(instance, text) * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_no_schedule_at_all_beats_it(seed: int) -> None:
    """Against everything tried, by code that shares nothing with it: a group for each workflow, or for two."""
    instance = apart(seed, (0.01, 2.0)[seed % 2], workflows=3, calls=(1, 1))
    best = exhaustive.optima(instance, OPTIMA)
    for text, value in best.items():
        for most in (1, 2):
            found = bounded(instance, text, Tuning(fewest=1, most=most, passes=4, idle=1))
            assert found <= value * (1 + 1e-9), (text, most)


@settings(max_examples=15, deadline=None)
@given(corner_instances(workflows=(2, 5), calls=(1, 4), decode_model="fluid"), st.integers(0, 99), st.data())
def test_what_is_left_when_others_are_left_out_completes_when_it_did(instance, seed, data) -> None:
    """The construction of the proof: batches of the group alone, run backwards from old completions."""
    flows = [flow.workflow_id for flow in instance.workflows]
    group = set(data.draw(st.lists(st.sampled_from(flows), min_size=1, unique=True)))
    run = simulate(instance, "fcfs@random", seed=seed)
    calls = {(flow.workflow_id, one.call_id): one for flow in instance.workflows for one in flow.calls}
    for server in instance.decode:
        rows = [row for row in run.schedule.calls if row.decode_instance == server.id and row.workflow_id in group]
        joined = backwards(server, [(row.decode_end, calls[row.workflow_id, row.call_id]) for row in rows])
        for row, at in zip(rows, joined, strict=True):
            assert at >= row.decode_start - 1e-9 * max(row.decode_end, 1.0)


def backwards(server, ends) -> list[float]:
    """When calls must join a batch of their own to complete at given times, from change to change.

    Back through v iterations of B calls that hold K tokens at their end takes (g(B) + d2 K) v - d2 B v^2 / 2 seconds.
    """
    left = [float(one.output_tokens) for _, one in ends]
    joined = [end for end, _ in ends]
    now = max((end for end, _ in ends), default=0.0)
    while any(left):
        inside = [k for k, (end, _) in enumerate(ends) if end >= now and left[k] > 0]
        before = max((end for k, (end, _) in enumerate(ends) if end < now and left[k] > 0), default=-np.inf)
        if not inside:
            now = before
            continue
        d2 = server.decode_coeffs[2]
        first = server.batch_seconds(len(inside)) + d2 * sum(ends[k][1].prompt_tokens + left[k] for k in inside)
        bend = d2 * len(inside) / 2
        least = min(left[k] for k in inside)
        if now - (first * least - bend * least**2) < before:
            inside_time = now - before
            tokens = 2 * inside_time / (first + np.sqrt(first**2 - 4 * bend * inside_time))
            left = [left[k] - tokens if k in inside else left[k] for k in range(len(ends))]
            now = before
            continue
        now -= first * least - bend * least**2
        for k in inside:
            left[k] = left[k] - least if left[k] > least * (1 + 1e-12) else 0.0
            joined[k] = now
    return joined


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9)), min_size=1, max_size=30),
    st.integers(1, 4),
    st.integers(1, 8),
)
def test_every_workflow_is_in_one_group(times: list[tuple[int, int]], fewest: int, most: int) -> None:
    arrival = np.array([float(a) for a, _ in times])
    completed = arrival + [float(d) for _, d in times]
    groups = partition(arrival, completed, fewest, most)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(times)))
    for earlier, later in itertools.pairwise(groups):
        assert arrival[earlier].max() < arrival[later].min()


def test_groups_are_cut_where_least_is_under_way() -> None:
    arrival = np.array([0.0, 1.0, 2.0, 3.0, 9.0, 10.0, 11.0, 12.0])
    completed = np.array([5.0, 5.0, 2.5, 8.0, 12.0, 12.0, 13.0, 13.0])
    assert [len(group) for group in partition(arrival, completed, 1, 8)] == [4, 4]
    assert [len(group) for group in partition(arrival, np.minimum(completed, 9.0), 1, 3)][:2] == [1, 3]
    busy = completed + 5.0  # nowhere is nothing under way
    assert [len(group) for group in partition(arrival, busy, 1, 8)] == [8]
    assert [len(group) for group in partition(arrival, busy, 2, 4)] == [2, 3, 3]
    assert [len(group) for group in partition(np.zeros(8), completed, 1, 2)] == [8]


@given(st.lists(st.tuples(st.floats(1, 9), st.integers(0, 9)), max_size=12), st.floats(0.5, 10))
def test_what_is_proved_at_a_scale_holds_below_it(proofs: list[tuple[float, int]], scale: float) -> None:
    late = Late()
    for at, count in proofs:
        late.prove(at, count)
    assert late.above(scale) == max([count for at, count in proofs if at >= scale], default=0)
    assert late_together([late, late], scale) == 2 * late.above(scale)


def test_a_part_is_its_workflows_on_a_clock_of_its_own() -> None:
    problem = offline_problem(bursts(3))
    part = part_of(problem, np.array([5, 2, 3]))
    assert part.arrival.tolist() == [0.0, 0.0, APART]
    assert part.horizon.tolist() == problem.horizon[[2, 3, 5]].tolist()


# --- where it proves more --------------------------------------------------------------------------------------------


def test_whole_workflows_are_late_in_each_group() -> None:
    """One of each pair is late. The supply of all pairs pays for more, and no window of time says it of two."""
    instance, scale = bursts(), 1.5
    misses, tail = read_objective(f"misses({scale})"), read_objective("req(0.6)")
    problem = offline_problem(instance)
    assert least(instance, str(misses)) == BURSTS
    assert BOUNDS["load"].compute(problem, misses, 10.0) == 1
    assert priced_bound(problem, misses, 0.5).value < BURSTS
    assert priced_bound(problem, tail, 0.5).value < 1.3
    assert bounded(instance, str(misses), seconds=10.0) == BURSTS
    assert float(problem.horizon[0]) == pytest.approx(ALONE)
    exact = TOGETHER / ALONE
    assert exact * 0.98 <= bounded(instance, str(tail), seconds=2.0) <= exact


def test_a_bracket_is_told_at_once_and_one_group_says_nothing() -> None:
    problem = offline_problem(bursts())
    told = Bracket(read_objective("misses(1.5)"), 10.0)
    told.improve(float(BURSTS), simulate(problem.instance, "fcfs").schedule, "fcfs")
    BOUNDS["groups"].prove(problem, told, 0)
    assert (told.bound, told.bound_source, told.is_closed) == (BURSTS, "groups", True)
    alone = offline_problem(bursts(1))
    told = Bracket(read_objective("misses(1.5)"), 10.0)
    told.improve(1.0, simulate(alone.instance, "fcfs").schedule, "fcfs")
    BOUNDS["groups"].prove(alone, told, 0)
    assert told.bound == 0
    assert BOUNDS["groups"].compute(alone, read_objective("misses(1.5)"), 5.0) == 0
    assert BOUNDS["groups"].compute(problem, read_objective("misses(1.5)"), 5.0) == BURSTS


def test_the_table_of_bounds_says_that_there_is_one_group() -> None:
    for crowds, said in ((1, "one group: something is under way all the time"), (2, "")):
        report = bound(bursts(crowds), "max_ratio", bounds="groups,critical-path", time_limit=1.0)
        assert {row.bound: row.note for row in report.table}["groups"] == said


def test_groups_weigh_as_much_as_they_have_workflows() -> None:
    sizes = [1, 3]
    assert whole(read_objective("mean_ratio"), [2.0, 1.0], sizes) == 1.25
    assert whole(read_objective("mean_latency"), [2.0, 1.0], sizes) == 1.25
    assert whole(read_objective("max_ratio"), [2.0, 1.0], sizes) == 2.0
    assert whole(read_objective("misses(2)"), [2.0, 1.0], sizes) == 3.0


# --- proofs that are wrong are noticed -------------------------------------------------------------------------------


def row_and_pair() -> Instance:
    """Nine workflows one after another, none of which waits, and later two that meet."""
    row = [workflow(f"a{k}", 33.0 * k, call("c", 50, 1)) for k in range(9)]
    pair = [workflow(f"b{x}", 1000.0, call("c", 50, 1)) for x in "ab"]
    return one_pair(*row, *pair, decode_model="fixed")


def check() -> None:
    """Bounds that are nearly reached; each with groups that a wrong sum would make too large.

    Nothing better is known than schedules that are three times as long: they hold no bound back.
    """
    for instance, text, most in (
        (bursts(), "misses(1.5)", 2),
        (bursts(), "req(0.5)", 2),
        (bursts(), "req(0.6)", 2),
        (row_and_pair(), "mean_ratio", 9),
        (row_and_pair(), "mean_latency", 9),
    ):
        problem, tuning = offline_problem(instance), Tuning(fewest=1, most=most, passes=8, idle=1)
        long = problem.arrival + 3 * problem.horizon
        found = grouped_bound(problem, read_objective(text), 0.5, completed=long, tuning=tuning)
        assert found <= least(instance, text) * (1 + 1e-9), text


def twice(groups: list[np.ndarray]) -> list[np.ndarray]:
    return [*groups, groups[0]] if len(groups) > 1 else groups


def in_two_groups(groups: list[np.ndarray]) -> list[np.ndarray]:
    return [np.concatenate([groups[0], groups[1]]), *groups[1:]] if len(groups) > 1 else groups


def unweighted(objective, values, sizes) -> float:
    return whole(objective, values, [1] * len(sizes))


def test_the_check_passes_what_is_right() -> None:
    check()


@pytest.mark.parametrize("spoilt", [twice, in_two_groups])
def test_a_workflow_that_counts_twice_is_noticed(
    spoilt: Callable[[list[np.ndarray]], list[np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouped, "partition", lambda *given: spoilt(partition(*given)))
    with pytest.raises(AssertionError):
        check()


def test_weights_that_are_forgotten_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouped, "whole", unweighted)
    with pytest.raises(AssertionError):
        check()


def test_scales_below_which_nothing_is_proved_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is proved at a scale says nothing of larger ones."""
    monkeypatch.setattr(Late, "above", lambda self, scale: max(self._proved.values(), default=0))
    with pytest.raises(AssertionError):
        check()
