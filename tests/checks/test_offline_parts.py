"""The offline problem, its objectives, ticks, brackets and certificates, beside the model's words (M26 to M29)."""

from __future__ import annotations

import math
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from instances import call, corner_instance, named_calls, one_pair, workflow
from msgspec.structs import replace
from reference.formulas import alone_time, fits, prefill_time, transfer_time

from checks.naive import play
from hexsched.errors import InputError
from hexsched.model import ClosedLoop, Instance, Schedule
from solvers.problem.bracket import Bracket, ContradictionError, Progress
from solvers.problem.certificate import certified_value, offer
from solvers.problem.idle import Parts, without_idle
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import OfflineProblem, check_open, fixed_problem, offline_problem
from solvers.problem.result import Options, Outcome, Size, SolveResult
from solvers.problem.ticks import Ticks

pytestmark = pytest.mark.quick

NONE = Schedule(format="hexsched-schedule/1", policy="", calls=())
OTHER = Schedule(format="hexsched-schedule/1", policy="other", calls=())


# --- ticks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1e-3, 0.1, 0.25, 1.0, 1 / 3, 7.0])
def test_whole_ticks_never_take_longer_than_what_they_stand_for(length: float) -> None:
    ticks = Ticks(length)
    rng = np.random.default_rng(1)
    seconds = np.concatenate([rng.uniform(0, 1e4, 500), length * np.arange(1, 300), [0.0]])
    down = ticks.down(seconds)
    assert down.dtype == np.int64
    assert (ticks.back(down) <= seconds).all()
    assert (ticks.back(down + 2) > seconds).all()
    inside = np.abs(seconds / length - np.round(seconds / length)) > 1e-9
    assert (ticks.back(down + 1)[inside] > seconds[inside]).all()
    assert ticks.down(length * 12.5) == 12
    # what precedence asks for: x >= y + p holds of ticks where it holds of seconds
    a, b = rng.uniform(0, 1e4, 500), rng.uniform(0, 50, 500)
    assert (ticks.down(a + b) >= ticks.down(a) + ticks.down(b) - 1e-9).all()
    assert ticks.back(3) == pytest.approx(3 * length)
    # in exact numbers, of what lies just below a whole tick
    for k in range(1, 2000):
        below = math.nextafter(k * length, 0.0)
        assert Fraction(int(ticks.down(below))) * Fraction(length) <= Fraction(below)
    assert ticks.down(0.9999999 * length * 5) == 4


# --- objectives ------------------------------------------------------------------------------------------------------


def naive_value(text: str, latency: list[float], horizon: list[float]) -> float:
    ratios = [a / b for a, b in zip(latency, horizon, strict=True)]
    kind, _, given = text.rstrip(")").partition("(")
    if kind == "max_ratio":
        return max(ratios)
    if kind == "mean_ratio":
        return sum(ratios) / len(ratios)
    if kind == "mean_latency":
        return sum(latency) / len(latency)
    if kind == "misses":
        return sum(ratio > float(given) * (1 + 1e-9) for ratio in ratios)
    return next(r for r in sorted(ratios) if sum(other <= r for other in ratios) >= float(given) * len(ratios) - 1e-9)


TEXTS = ("max_ratio", "req(0.95)", "req(0.5)", "req(1)", "req(0.07)", "mean_ratio", "mean_latency", "misses(1.5)")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("count", [1, 2, 3, 20, 100])
def test_each_objective_is_worth_what_the_model_says(text: str, count: int) -> None:
    rng = np.random.default_rng(count)
    arrival, horizon = rng.uniform(0, 10, count), rng.uniform(1, 5, count)
    completed = arrival + horizon * rng.uniform(1, 3, count)
    objective = read_objective(text)
    latency = (completed - arrival).tolist()
    assert objective.value(arrival, completed, horizon) == pytest.approx(naive_value(text, latency, horizon.tolist()))
    assert str(objective) == text
    assert read_objective(objective) is objective
    assert objective.is_tail == (text.partition("(")[0] in ("max_ratio", "req"))
    # of the largest ratios so many may be dropped that the value is the largest of those left
    left = sorted((completed - arrival) / horizon)[: count - objective.dropped(count)]
    if objective.is_tail:
        assert objective.value(arrival, completed, horizon) == pytest.approx(left[-1])
    else:
        assert objective.dropped(count) == 0


def test_a_ratio_that_is_over_by_rounding_alone_is_no_miss() -> None:
    two = read_objective("misses(2)")
    assert two.parameter == 2
    one = np.ones(1)
    assert two.value(one * 0, one * 2 * (1 + 0.9e-9), one) == 0
    assert two.value(one * 0, one * 2 * (1 + 1.2e-9), one) == 1
    assert two.value(one * 5, one * 7, one) == 0


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "max",
            "max_ratio(1)",
            "req",
            "req()",
            "req(0)",
            "req(1.01)",
            "req(-1)",
            "req(x)",
            "req(nan)",
            "misses(0)",
        ),
        *("misses(inf)", "misses", "misses(-1)", "mean_ratio(0.5)", "req(0.5", "req(0.5)x", "xreq(0.5)"),
    ],
)
def test_what_is_no_objective(text: str) -> None:
    with pytest.raises(InputError, match="objective"):
        read_objective(text)


def test_objectives_are_read_with_spaces_and_at_their_ends() -> None:
    assert read_objective(" req ( 0.25 ) ") == Objective("req", 0.25)
    assert read_objective("req(1)") == Objective("req", 1.0)
    assert read_objective("misses(0.001)") == Objective("misses", 0.001)
    assert read_objective("max_ratio").parameter == 0
    assert read_objective("req(0.95)").dropped(20) == 1
    assert read_objective("req(0.01)").dropped(20) == 19


# --- the problem in arrays -------------------------------------------------------------------------------------------


@pytest.fixture(params=range(8), scope="module")
def problem(request: pytest.FixtureRequest) -> OfflineProblem:
    rng = np.random.default_rng([request.param, 21])
    model = ("fixed", "fluid")[request.param % 2]
    drawn = corner_instance(rng, workflows=(2, 4), calls=(1, 5), decode_model=model, arrivals="spread")
    order = rng.permutation(len(drawn.workflows))
    return offline_problem(replace(drawn, workflows=tuple(drawn.workflows[k] for k in order)))


def test_every_duration_is_that_of_the_model(problem: OfflineProblem) -> None:
    instance = problem.instance
    calls = {name: one for name, _, one in named_calls(instance)}
    assert problem.names == sorted(calls)
    assert problem.calls == len(calls)
    assert problem.workflows == len(instance.workflows)
    assert problem.fluid == (instance.decode_model == "fluid")
    for c, name in enumerate(problem.names):
        one = calls[name]
        n, m = one.prompt_tokens, one.output_tokens
        assert (problem.prompt[c], problem.output[c], problem.kv[c], problem.delay[c]) == (n, m, n + m, one.delay)
        for i, source in enumerate(instance.prefill):
            assert problem.prefill[c, i] == pytest.approx(prefill_time(source, one), rel=1e-12)
            for j, target in enumerate(instance.decode):
                transfer = transfer_time(instance, source.id, target.id, one)
                alone = alone_time(instance, target, one) if fits(target, one) else math.inf
                assert problem.transfer[c, i, j] == pytest.approx(transfer, rel=1e-12)
                assert problem.decode[c, j] == pytest.approx(alone, rel=1e-12)
                assert problem.hold[c, i, j] == pytest.approx(transfer + alone, rel=1e-12)
        whole = problem.prefill[c][:, None] + problem.hold[c]
        assert problem.best[c] == pytest.approx(whole.min(), rel=1e-12)
    for j, server in enumerate(instance.decode):
        assert (problem.capacity[j], problem.max_batch[j]) == (server.kv_capacity_tokens, server.max_batch)
    for kind, machine in enumerate(problem.decode_machines):
        seconds = problem.batch_seconds(kind)
        assert len(seconds) == machine.max_batch
        assert seconds.tolist() == pytest.approx([machine.batch_seconds(b) for b in range(1, machine.max_batch + 1)])


def test_precedences_heads_and_tails(problem: OfflineProblem) -> None:
    flows = {flow.workflow_id: flow for flow in problem.instance.workflows}
    calls = {name: one for name, _, one in named_calls(problem.instance)}
    number = {name: c for c, name in enumerate(problem.names)}
    ids = sorted(flows)
    assert problem.arrival.tolist() == [flows[name].arrival for name in ids]
    assert [ids[w] for w in problem.workflow] == [name for name, _ in problem.names]

    def head(name: tuple[str, str]) -> float:
        own = calls[name]
        before = [head((name[0], p)) + problem.best[number[name[0], p]] for p in own.parents]
        return max(before, default=flows[name[0]].arrival) + own.delay

    def tail(name: tuple[str, str]) -> float:
        after = [(name[0], c.call_id) for c in flows[name[0]].calls if name[1] in c.parents]
        return max((calls[x].delay + problem.best[number[x]] + tail(x) for x in after), default=0.0)

    for name, c in number.items():
        assert sorted(problem.parents[c]) == sorted(number[name[0], p] for p in calls[name].parents)
        assert sorted(problem.children[c]) == sorted(
            number[name[0], x.call_id] for x in flows[name[0]].calls if name[1] in x.parents
        )
        assert problem.head[c] == pytest.approx(head(name), rel=1e-12)
        assert problem.tail[c] == pytest.approx(tail(name), rel=1e-12)
    order = problem.topological.tolist()
    assert sorted(order) == list(range(problem.calls))
    assert [problem.workflow[c] for c in order] == sorted(problem.workflow.tolist())
    for c in range(problem.calls):
        assert all(order.index(p) < order.index(c) for p in problem.parents[c])
    longest = [
        max(problem.head[c] + problem.best[c] for c in np.flatnonzero(problem.workflow == w)) for w in range(len(ids))
    ]
    assert problem.horizon.tolist() == pytest.approx([a - b for a, b in zip(longest, problem.arrival, strict=True)])


def test_parents_come_first_whatever_their_ids() -> None:
    chain = workflow("w", 1, call("a", 10, 1, "b", "d"), call("b", 10, 1, "c"), call("c", 10, 1, "d"), call("d", 10, 1))
    problem = offline_problem(one_pair(chain, decode_model="fixed"))
    assert problem.topological.tolist() == [3, 2, 1, 0]
    assert problem.head.tolist() == [20.5, 14.0, 7.5, 1.0]
    assert problem.tail.tolist() == [0.0, 6.5, 13.0, 19.5]


def test_instances_of_a_type_can_be_swapped(problem: OfflineProblem) -> None:
    for types, durations in (
        (problem.prefill_types, lambda k: (problem.prefill[:, k].tolist(), problem.transfer[:, k].tolist())),
        (problem.decode_types, lambda k: (problem.decode[:, k].tolist(), problem.transfer[:, :, k].tolist())),
    ):
        assert types.count.tolist() == [int((types.of == k).sum()) for k in range(len(types.count))]
        assert types.of[types.first].tolist() == list(range(len(types.count)))
        assert sorted(types.first) == list(types.first)
        assert types.groups == [
            np.flatnonzero(types.of == k).tolist() for k in range(len(types.count)) if types.count[k] > 1
        ]
        for a, kind in enumerate(types.of):
            assert durations(a) == durations(types.first[kind])


def test_rounding_is_that_of_the_latest_time() -> None:
    near = offline_problem(one_pair(workflow("A", 0, call("a", 10, 4)), decode_model="fixed"))
    assert near.rounding == 1e-9
    far = offline_problem(one_pair(workflow("A", 2.0**30, call("a", 10, 4, delay=3)), decode_model="fixed"))
    assert far.rounding == 64 * 2.0**-22
    edge = offline_problem(one_pair(workflow("A", 2.0**30 - 14.0, call("a", 10, 4, delay=3)), decode_model="fixed"))
    assert edge.rounding == 64 * 2.0**-22  # its last completion is past 2^30


def test_decisions_and_completions_are_read_whatever_the_order_of_rows(problem: OfflineProblem) -> None:
    plan = play(problem.instance, np.random.default_rng(4)).schedule
    rows = {(row.workflow_id, row.call_id): row for row in plan.calls}
    mixed = replace(plan, calls=plan.calls[::-1])
    found = problem.decisions(mixed)
    prefill, decode = ([one.id for one in pool] for pool in (problem.instance.prefill, problem.instance.decode))
    for c, name in enumerate(problem.names):
        own = rows[name]
        assert (prefill[found.prefill[c]], decode[found.decode[c]]) == (own.prefill_instance, own.decode_instance)
        assert (found.start[c], found.admitted[c]) == (own.prefill_start, own.admitted)
    ids = sorted(flow.workflow_id for flow in problem.instance.workflows)
    ends = [max(row.decode_end for name, row in rows.items() if name[0] == flow) for flow in ids]
    assert problem.completed(mixed).tolist() == ends


def test_what_has_no_given_arrivals_or_no_fixed_durations_is_refused() -> None:
    fluid = one_pair(workflow("A", 0, call("a", 10, 4)))
    with pytest.raises(InputError, match="decode_model 'fixed'"):
        fixed_problem(fluid)
    loop = replace(fluid, closed_loop=ClosedLoop(sessions=1))
    for refuse in (check_open, offline_problem):
        with pytest.raises(InputError, match="closed loop"):
            refuse(loop)
    assert fixed_problem(replace(fluid, decode_model="fixed")).calls == 1


# --- idle stretches --------------------------------------------------------------------------------------------------


def flows_at(*arrivals: float, **options: Any) -> Instance:
    """Workflows of a call each: 3 s of prefill, 1.5 of transfer, 2 of decode."""
    names = "ABCDEFG"
    return one_pair(
        *(workflow(names[k], at, call("c", 10, 1)) for k, at in enumerate(arrivals)), decode_model="fixed", **options
    )


def test_a_part_ends_where_all_its_work_one_after_the_other_would() -> None:
    problem = offline_problem(flows_at(0.0, 6.0, 6.0 + 13.0 + 1.0, 100.0))
    parts = Parts(problem)
    assert parts.work.tolist() == [6.5] * 4
    # A and B: until 6 + 13 s at the latest
    assert [m.tolist() for m in parts.members] == [[0, 1], [2], [3]]
    assert len(parts) == 3
    assert parts.open == [0]  # a workflow of one call that has the cluster to itself is as fast as alone
    touching = Parts(offline_problem(flows_at(0.0, 6.0, 6.0 + 13.0, 100.0)))
    assert [m.tolist() for m in touching.members] == [[0, 1, 2], [3]]
    barely = Parts(offline_problem(flows_at(0.0, 6.0, 6.0 + 13.0 * (1 + 1.5e-6), 100.0)))
    assert [m.tolist() for m in barely.members] == [[0, 1], [2], [3]]
    part = parts[1]
    assert [flow.workflow_id for flow in part.instance.workflows] == ["C"]
    assert part.arrival.tolist() == [0.0]
    first = parts[0]
    assert first.arrival.tolist() == [0.0, 6.0]
    whole = Parts(offline_problem(flows_at(0.0, 1.0)))
    assert len(whole) == 1
    assert whole[0] is whole._problem


def test_the_work_of_a_workflow_has_its_delays_and_its_longest_stays() -> None:
    one = one_pair(workflow("A", 5, call("a", 10, 1, delay=2), call("b", 10, 1, "a", delay=3)), decode_model="fixed")
    slow = replace(one.prefill[0], id="p1", prefill_coeffs=(7, 0, 0))
    small = replace(one.decode[0], id="d1", kv_capacity_tokens=10, fixed_iteration_time=900)  # holds neither call
    late = replace(one.decode[0], id="d2", fixed_iteration_time=4)
    decode, prefill = (*one.decode, small, late), (*one.prefill, slow)
    links = tuple(replace(one.links[0], source=p.id, to=d.id) for p in prefill for d in decode)
    parts = Parts(offline_problem(replace(one, prefill=prefill, decode=decode, links=links)))
    assert parts.work.tolist() == [2 + 3 + 2 * (7 + 1.5 + 4)]
    assert parts.open == []
    quick = one_pair(workflow("A", 5, call("a", 10, 1)), decode_model="fixed")
    tiny = replace(quick.decode[0], id="d1", kv_capacity_tokens=10)
    fast = replace(quick.decode[0], fixed_iteration_time=0.25)
    link = replace(quick.links[0], latency=0.125, bandwidth=1e18)
    quick = replace(quick, decode=(fast, tiny), links=(link, replace(link, to="d1")), kv_bytes_per_token=0)
    assert Parts(offline_problem(quick)).work.tolist() == [3.375]
    fork = workflow("A", 5, call("a", 10, 1), call("b", 10, 1))
    assert Parts(offline_problem(one_pair(fork, decode_model="fixed"))).open == [0]


def test_parts_are_in_the_order_of_arrivals_whatever_that_of_ids() -> None:
    problem = offline_problem(flows_at(100.0, 0.0, 50.0))
    parts = Parts(problem)
    assert [m.tolist() for m in parts.members] == [[1], [2], [0]]
    short = without_idle(problem)
    assert short is not None
    assert short.group.tolist() == [2, 0, 1]
    assert short.problem.arrival.tolist() == pytest.approx([13.0, 0.0, 6.5], rel=1e-5)
    assert without_idle(offline_problem(flows_at(0.0, 1.0))) is None
    assert without_idle(offline_problem(flows_at(3.0, 4.0))) is not None


def test_the_way_back_keeps_places_and_orders_and_sets_groups_apart() -> None:
    problem = offline_problem(flows_at(100.0, 0.0, 50.0, 51.0))
    short = without_idle(problem)
    assert short is not None
    assert (np.diff(np.sort(short.problem.arrival)) >= 0).all()
    plan = play(short.problem.instance, np.random.default_rng(0)).schedule
    back = short.back(plan)
    shift: dict[int, set[float]] = {}
    ids = sorted(flow.workflow_id for flow in problem.instance.workflows)
    for was, now in zip(plan.calls, back.calls, strict=True):
        group = int(short.group[ids.index(was.workflow_id)])
        times = ("prefill_start", "prefill_end", "admitted", "decode_start", "decode_end")
        shift.setdefault(group, set()).update(round(getattr(now, t) - getattr(was, t), 9) for t in times)
        assert (now.prefill_instance, now.decode_instance) == (was.prefill_instance, was.decode_instance)
    assert [len(values) for values in shift.values()] == [1] * 3
    (first,), (second,), (third,) = (shift[k] for k in range(3))
    length = max(row.decode_end for row in plan.calls)
    assert first == 0
    assert second > length
    assert third == pytest.approx(2 * second)
    found = certified_value(problem, read_objective("max_ratio"), back)
    assert found is not None


# --- certificates ----------------------------------------------------------------------------------------------------


def test_a_certificate_is_the_value_of_decisions_made_anew(problem: OfflineProblem) -> None:
    played = play(problem.instance, np.random.default_rng(6), pauses=True)
    for text in TEXTS:
        objective = read_objective(text)
        found = certified_value(problem, objective, played.schedule)
        assert found is not None
        value, plan = found
        ids = sorted(flow.workflow_id for flow in problem.instance.workflows)
        ends = [max(row.decode_end for row in plan.calls if row.workflow_id == flow) for flow in ids]
        assert value == objective.value(problem.arrival, np.array(ends), problem.horizon)
        bracket = Bracket(objective)
        assert offer(problem, bracket, played.schedule, "by hand") == value
        assert (bracket.value, bracket.schedule, bracket.source) == (value, plan, "by hand")
    lacking = replace(played.schedule, calls=played.schedule.calls[1:])
    empty = Bracket(read_objective("max_ratio"))
    assert certified_value(problem, empty.objective, lacking) is None
    assert offer(problem, empty, lacking, "by hand") is None
    assert empty.schedule is None


# --- brackets --------------------------------------------------------------------------------------------------------


def bracket(text: str = "max_ratio", **given: Any) -> Bracket:
    return Bracket(read_objective(text), **given)


def test_a_bracket_begins_with_nothing_and_ends_with_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    fresh = bracket()
    assert (fresh.value, fresh.bound, fresh.source, fresh.bound_source) == (math.inf, 0.0, "", "")
    assert (fresh.bounds, fresh.binding, fresh.series, fresh.schedule) == ({}, {}, (), None)
    assert fresh.left == math.inf
    assert not fresh.is_closed
    assert not fresh.is_over
    limited = bracket(time_limit=100.0)
    now[0] += 10.0
    assert (limited.left, limited.seconds, limited.deadline) == (90.0, 10.0, 1100.0)
    assert limited.within(5.0).left == 5.0
    assert limited.within(500.0).left == 90.0
    over = bracket(time_limit=0.0)
    assert (over.left, over.is_over) == (0.0, True)
    assert bracket(time_limit=-5.0).left == 0.0
    limited.interrupt()
    assert (limited.left, limited.is_interrupted, limited.is_over) == (0.0, True, True)


@pytest.mark.parametrize(
    ("text", "value", "bound", "closed"),
    [
        ("max_ratio", 2.0, 2.0 - 1.9e-4, True),  # a ten thousandth of the value
        ("max_ratio", 2.0, 2.0 - 2.2e-4, False),
        ("mean_latency", 1000.0, 999.91, True),
        ("mean_latency", 1000.0, 999.89, False),
        ("max_ratio", 0.0, 0.0, True),
        ("misses(1.5)", 3.0, 2.0, False),
        ("misses(1.5)", 3.0, 2.5, True),  # more than two is three
        ("misses(1.5)", 3.0, 2.0 + 0.9e-6, False),  # by less than a millionth: two
        ("misses(1.5)", 3.0, 2.0 + 1.2e-6, True),
        ("misses(1.5)", 0.0, 0.0, True),
        ("misses(1.5)", 20_000.0, 19_999.0, False),
        ("misses(1.5)", 1.0, 0.0, False),
    ],
)
def test_a_bracket_is_closed_within_a_ten_thousandth_or_a_whole_number(text, value, bound, closed) -> None:
    known = bracket(text)
    known.improve(value, NONE, "fcfs")
    known.prove(bound, "load")
    assert known.is_closed == closed


def test_a_bound_is_a_contradiction_beyond_a_millionth() -> None:
    known = bracket()
    known.improve(2.0, NONE, "fcfs")
    known.prove(2.0 * (1 + 0.9e-6), "load")
    assert known.bound == 2.0
    wrong = bracket()
    wrong.improve(2.0, NONE, "fcfs")
    with pytest.raises(ContradictionError):
        wrong.prove(2.0 * (1 + 1.2e-6), "load")
    with pytest.raises(ContradictionError):
        wrong.check()
    nothing = bracket("misses(1.5)")
    nothing.improve(0.0, NONE, "fcfs")
    with pytest.raises(ContradictionError):
        nothing.prove(1e-3, "load")
    zero = bracket("mean_latency")
    zero.improve(0.0, NONE, "fcfs")
    zero.prove(0.5e-12, "load")
    assert zero.bound == 0.0
    with pytest.raises(ContradictionError):
        zero.prove(3e-12, "load")


def test_every_source_keeps_its_best_and_the_series_tells_each_step() -> None:
    rows: list[tuple[float, float | None, float | None]] = []
    known = bracket(on_progress=lambda *row: rows.append(row))
    known.prove(1.0, "load", {"prefill": 0.25, "decode": 0.75})
    known.prove(0.5, "load")
    known.prove(0.75, "windows")
    known.prove(1.0, "prices")
    assert known.bounds == {"load": 1.0, "windows": 0.75, "prices": 1.0}
    assert known.binding == {"prefill": 0.25, "decode": 0.75}
    assert known.bound_source == "load"
    assert known.improve(3.0, NONE, "fcfs")
    known.announce(2.5)
    known.announce(2.75)
    assert not known.improve(3.0, OTHER, "late")
    assert known.improve(2.5, OTHER, "search")
    known.prove(1.5, "windows")
    known.prove(-1.0, "load")
    assert (known.value, known.schedule, known.source) == (2.5, OTHER, "search")
    assert [row[1:] for row in known.series] == [(None, 1.0), (3.0, 1.0), (2.5, 1.0), (2.5, 1.5)]
    assert rows == list(known.series)
    assert all(isinstance(row, Progress) for row in known.series)
    seconds = [row.seconds for row in known.series]
    assert seconds == sorted(seconds)
    assert known.binding == {}  # windows have the best proof, and said nothing of resources
    known.prove(1.25, "load", {"prefill": 1.0})
    assert known.binding == {}
    known.prove(2.0, "load", {"prefill": 1.0})
    known.bounds.clear()
    known.binding.clear()
    assert known.bounds
    assert known.binding
    low = bracket()
    low.prove(-1.0, "odd")
    assert (low.bound, low.bound_source) == (0.0, "odd")
    count = bracket("misses(1.5)")
    count.prove(1.25, "load")
    assert (count.bound, count.bounds) == (2.0, {"load": 2.0})


# --- results ---------------------------------------------------------------------------------------------------------


def test_the_gap_of_a_result_is_of_its_bound() -> None:
    def result(objective: float | None, lower: float) -> SolveResult:
        return SolveResult("x", "max_ratio", "feasible", objective, lower, "load", None, 1.0, Size(1, 2))

    assert result(3.0, 2.0).gap == 0.5
    assert result(None, 2.0).gap is None
    assert result(3.0, 0.0).gap is None
    assert result(3.0, -1.0).gap is None
    assert result(1e-3, 1e-3).gap == 0.0
    own = SolveResult("x", "y", "optimal", 1.0, 1.0, "", None, 1.0, Size(1, 2), series=(Progress(0.5, None, 1.0),))
    frame = own.to_frame()
    assert list(frame.columns) == ["seconds", "value", "bound"]
    assert frame.dtypes.tolist() == [float] * 3
    assert not own.interrupted
    assert Outcome() == Outcome(Size(0, 0), None, "", False)
    assert Options().isolate
    assert Options().workers == 2
    assert (Options().time_limit, Options().overtime, Options().memory, Options().seed) == (60.0, 3.0, 3e9, 0)
