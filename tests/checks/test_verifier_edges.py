"""Where the verifier draws its lines: just within a tolerance or limit and just beyond, and what it reports."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from instances import call, one_pair, workflow
from reference import serial_schedule
from reference.by_hand import row, schedule, two_calls

from checks.naive import smallest
from hexsched.errors import InputError
from hexsched.model import ClosedLoop, Instance, Link, PrefillInstance, Schedule
from hexsched.model.rows import Texts
from hexsched.verifier import verify
from hexsched.verifier.calls import CallColumns, CallMetrics, smallest_for
from hexsched.verifier.metrics import Metrics, WorkflowColumns, WorkflowMetrics, required_scale
from hexsched.verifier.tolerance import slack

pytestmark = pytest.mark.quick

replace = msgspec.structs.replace

# as in test_verify.py: every number is computed there
FLUID = schedule(
    row("A", 10, 13, 13, 14.5, 22.40),
    row("B", 7, 12, 15.22, 17.72, 24.125, prefill="p1"),
)
FIXED = schedule(row("A", 10, 13, 13, 14.5, 22.5), row("B", 7, 12, 15.22, 17.72, 23.72, prefill="p1"))
UNIT = 2.0**-52


def moved(plan: Schedule, k: int, **by: float) -> Schedule:
    """The schedule with some times of row ``k`` later by so many seconds."""
    rows = list(plan.calls)
    rows[k] = replace(rows[k], **{name: getattr(rows[k], name) + more for name, more in by.items()})
    return replace(plan, calls=tuple(rows))


def broken(instance: Instance, plan: Schedule) -> list[str]:
    return [violation.rule for violation in verify(instance, plan).violations]


# --- tolerances ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((0.0,), 1e-6),
        ((1e6,), 1e-6 + 64 * UNIT * 1e6),
        ((-1e6,), 1e-6 + 64 * UNIT * 1e6),  # how far from 0, not on which side
        ((3.0, 1e8), 1e-6 + 64 * UNIT * 1e8),  # the coarser time counts, wherever it stands
        ((1e8, 3.0), 1e-6 + 64 * UNIT * 1e8),
        ((1.0, -1e8, 3.0), 1e-6 + 64 * UNIT * 1e8),
        ((7e10,), 1e-6 + 64 * UNIT * 7e10),
        ((8e10,), 1e-3),  # never more than a millisecond
        ((1e300,), 1e-3),
    ],
)
def test_tolerance_is_a_microsecond_and_64_units_in_the_last_place(times: tuple[float, ...], expected: float) -> None:
    found = slack(*(np.array([time]) for time in times))
    assert found.tolist() == pytest.approx([expected], rel=1e-12)


BY = [  # row of FLUID, what is moved together, and the rule that a move earlier and one later break
    (0, ("prefill_start", "prefill_end", "admitted", "decode_start"), "before-release", None),
    (0, ("prefill_end", "admitted", "decode_start"), "short-prefill", "long-prefill"),
    (0, ("admitted", "decode_start"), "admitted-early", None),
    (0, ("decode_start",), "instant-transfer", "long-transfer"),
    (1, ("decode_end",), "short-decode", "long-decode"),
]


@pytest.mark.parametrize(("k", "names", "earlier", "later"), BY)
def test_less_than_a_microsecond_is_rounding_and_more_is_not(
    k: int, names: tuple[str, ...], earlier: str, later: str | None
) -> None:
    instance = two_calls()
    for sign, rule in ((-1, earlier), (1, later)):
        assert broken(instance, moved(FLUID, k, **dict.fromkeys(names, sign * 0.8e-6))) == []
        found = broken(instance, moved(FLUID, k, **dict.fromkeys(names, sign * 3e-6)))
        assert (rule in found) if rule else not any(other[1] in found for other in [(None, earlier)])


@pytest.mark.parametrize("model", ["fluid", "fixed"])
def test_what_is_beyond_is_told_with_its_place_and_by_how_much(model: str) -> None:
    instance, plan = two_calls(decode_model=model), FLUID if model == "fluid" else FIXED
    for k, name, by, rule, where in [
        (0, "prefill_start", -0.25, "before-release", "p0"),
        (0, "prefill_start", 0.25, "short-prefill", "p0"),
        (1, "prefill_end", 0.25, "long-prefill", "p1"),
        (0, "admitted", -0.25, "admitted-early", "d0"),
        (1, "decode_start", -0.25, "instant-transfer", "d0"),
        (1, "decode_start", 0.25, "long-transfer", "d0"),
        (1, "decode_end", -0.25, "short-decode", "d0"),
        (1, "decode_end", 0.25, "long-decode", "d0"),
    ]:
        found = {v.rule: v for v in verify(instance, moved(plan, k, **{name: by})).violations}
        told = found[rule]
        assert (told.workflow_id, told.call_id, told.instance, told.unit) == ("AB"[k], "c0", where, "s")
        mean_pace = model == "fluid" and rule.endswith("decode")  # tokens are turned into seconds by that
        assert told.excess == pytest.approx(0.25, rel=0.3 if mean_pace else 1e-6)


def test_rows_that_are_wrong_are_told_with_their_place() -> None:
    instance = two_calls()
    a, b = FLUID.calls
    ghost = replace(a, workflow_id="Z", call_id="z")
    told = verify(instance, schedule(a, ghost, replace(a, decode_instance="d9"))).violations
    places = [(v.rule, v.workflow_id, v.call_id, v.instance, v.excess, v.unit) for v in told]
    assert places[:3] == [
        ("unknown-call", "Z", "z", "", None, ""),
        ("duplicate-call", "A", "c0", "", None, ""),
        ("missing-call", "B", "c0", "", None, ""),
    ]
    # a row without any place is told for both pools, one that lacks a decode instance for that alone; and all of them
    lost = schedule(replace(a, prefill_instance="d0", decode_instance="p0"), replace(b, decode_instance="p1"))
    told = verify(instance, lost).violations
    assert [(v.rule, v.workflow_id, v.instance) for v in told] == [
        ("unknown-instance", "A", "d0"),
        ("unknown-instance", "A", "p0"),
        ("unknown-instance", "B", "p1"),
    ]
    # a missing call before one that is placed wrongly hides nothing
    assert {"missing-call", "unknown-instance"} <= set(broken(instance, schedule(replace(b, prefill_instance=""))))
    told = verify(instance, schedule(a, replace(b, admitted=math.inf, decode_end=math.nan))).violations
    assert [(v.rule, v.workflow_id, v.instance) for v in told] == [("nan", "B", "")]


def test_a_call_in_the_wrong_place_is_still_held_to_its_release_and_its_admission() -> None:
    instance = two_calls()
    a, b = FLUID.calls
    early = schedule(a, replace(b, prefill_instance="", prefill_start=5.0, admitted=1.0))
    found = {v.rule: v for v in verify(instance, early).violations}
    assert found["before-release"].excess == pytest.approx(2.0)
    assert found["before-release"].instance == ""
    assert found["admitted-early"].excess == pytest.approx(11.0)


def test_overlap_is_told_at_the_call_that_comes_into_another() -> None:
    one = workflow("A", 0, call("x", 10, 4)), workflow("B", 0, call("x", 10, 4)), workflow("C", 0, call("x", 10, 4))
    instance = one_pair(*one, decode_model="fixed", max_batch=3)
    rows = [row(name, t, t + 3, 9, 10.5, 18.5, call="x") for name, t in (("A", 0.0), ("B", 3.0), ("C", 6.0))]
    assert broken(instance, schedule(*rows)) == []
    assert (
        broken(
            instance,
            schedule(rows[0], moved(schedule(*rows), 1, prefill_start=-0.8e-6, prefill_end=-0.8e-6).calls[1], rows[2]),
        )
        == []
    )
    late = row("B", 2.0, 5.0, 9, 10.5, 18.5, call="x")
    (told,) = verify(instance, schedule(rows[0], late, rows[2])).violations
    assert (told.rule, told.workflow_id, told.instance, told.unit) == ("overlap", "B", "p0", "s")
    assert told.excess == pytest.approx(1.0)
    assert told.message.endswith("busy until 3 s")


def test_both_capacities_are_used_to_the_last_token_and_place() -> None:
    # both hold 14 + 23 tokens from 15.22 to 22.4
    exact = two_calls(kv_capacity_tokens=37, max_batch=2)
    assert broken(exact, FLUID) == []
    (told,) = verify(two_calls(kv_capacity_tokens=36), FLUID).violations
    assert (told.rule, told.workflow_id, told.instance, told.excess, told.unit) == ("kv-over", "B", "d0", 1, "tokens")
    (told,) = verify(two_calls(max_batch=1), FLUID).violations
    assert (told.rule, told.workflow_id, told.instance, told.excess, told.unit) == ("batch-over", "B", "d0", 1, "calls")


def test_room_is_free_again_from_a_completion_on_and_not_before() -> None:
    flows = workflow("A", 0, call("x", 10, 4)), workflow("B", 0, call("x", 10, 4))
    one = one_pair(*flows, decode_model="fixed", max_batch=1)
    rows = row("A", 0, 3, 3, 4.5, 12.5, call="x"), row("B", 3, 6, 12.5, 14.0, 22.0, call="x")
    assert broken(one, schedule(*rows)) == []
    for by, expected in ((-0.5e-6, []), (-0.01, ["batch-over"])):
        plan = moved(schedule(*rows), 1, admitted=by, decode_start=by, decode_end=by)
        assert broken(one, plan) == expected
        tokens = one_pair(*flows, decode_model="fixed", kv_capacity_tokens=27)
        assert broken(tokens, plan) == [rule.replace("batch", "kv") for rule in expected]


def test_a_batch_is_known_until_a_broken_member_may_come_into_it() -> None:
    """A's decode end is not known. B's decode is judged as long as A cannot have joined, and not after that."""
    instance = two_calls()
    for start, expected in ((23.0, ["nan", "short-decode"]), (15.0, ["nan"])):
        # B alone from 17.72 takes 5.145 s; it claims 4 s
        late = row("A", start, start + 3, start + 3, start + 4.5, math.nan)
        plan = schedule(late, row("B", 7, 12, 15.22, 17.72, 21.72, prefill="p1"))
        found = broken(instance, plan)
        assert found == expected


def test_every_other_call_is_judged_though_one_has_no_times() -> None:
    fixed = two_calls(decode_model="fixed")
    plan = moved(
        replace(FIXED, calls=(replace(FIXED.calls[0], decode_end=math.nan), FIXED.calls[1])), 1, decode_end=1.0
    )
    assert broken(fixed, plan) == ["nan", "long-decode"]
    plan = moved(
        replace(FIXED, calls=(replace(FIXED.calls[0], prefill_end=math.nan), FIXED.calls[1])), 1, prefill_end=1.0
    )
    assert broken(fixed, plan) == ["nan", "long-prefill"]


def test_an_end_before_its_start_is_short_and_nothing_else_of_the_decode() -> None:
    plan = schedule(row("A", 10, 13, 13, 14.5, 14.0), FLUID.calls[1])
    assert broken(two_calls(), plan).count("short-decode") == 1  # of A; B alone is as long as it may be, or longer
    assert "short-decode" not in broken(two_calls(), FLUID)


# --- closed loops ----------------------------------------------------------------------------------------------------


def test_a_call_of_a_closed_loop_is_released_when_another_workflow_is_complete() -> None:
    flows = [workflow(name, 0.0, call("c", 10, 1)) for name in ("a", "b", "d")]
    loop = replace(one_pair(*flows, decode_model="fixed", max_batch=1), closed_loop=ClosedLoop(sessions=2))
    # 3 s of prefill, 1.5 of transfer, 2 of decode; at 6.5 the first is complete and d arrives
    rows = [
        row("a", 0, 3, 3, 4.5, 6.5, call="c"),
        row("b", 3, 6, 6.5, 8.0, 10.0, call="c"),
        row("d", 6.5, 9.5, 10, 11.5, 13.5, call="c"),
    ]
    report = verify(loop, schedule(*rows))
    assert report.violations == ()
    assert [one.latency for one in report.metrics.per_workflow] == [6.5, 10.0, 7.0]
    early = schedule(*rows[:2], row("d", 6.0, 9.0, 10, 11.5, 13.5, call="c"))
    (told,) = verify(loop, early).violations
    assert (told.rule, told.workflow_id, told.excess) == ("before-release", "d", 0.5)
    # more sessions than workflows: all are there from the start
    many = replace(loop, closed_loop=ClosedLoop(sessions=5))
    assert broken(many, early) == []
    kept = verify(replace(loop, closed_loop=ClosedLoop(sessions=2, warm_up=1)), schedule(*rows)).metrics
    assert (kept.workflows, kept.calls, kept.span, kept.makespan) == (2, 2, 13.5, 13.5)
    assert kept.mean_latency == (10.0 + 7.0) / 2
    last = verify(replace(loop, closed_loop=ClosedLoop(sessions=2, warm_up=2)), schedule(*rows)).metrics
    assert (last.workflows, last.span) == (1, 7.0)
    # what is not known of a is complete from the start: d may come whenever a may have been
    unknown = schedule(replace(rows[0], decode_end=math.nan), *early.calls[1:])
    assert broken(loop, unknown) == ["nan"]
    soon = schedule(*unknown.calls[:2], row("d", 0.5, 3.5, 10, 11.5, 13.5, call="c"))
    assert "before-release" not in broken(loop, soon)


# --- metrics ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 10, 19, 20, 21, 99, 100, 101, 200])
@pytest.mark.parametrize("percent", [50, 95, 99])
def test_quantiles_are_the_least_value_that_so_many_do_not_exceed(count: int, percent: int) -> None:
    values = [float(value) for value in np.random.default_rng(count).permutation(count)]
    found = smallest_for(values, percent)
    assert 100 * sum(value <= found for value in values) >= percent * count
    assert 100 * sum(value < found for value in values) < percent * count
    assert required_scale(values, percent / 100) == found


def test_quantiles_at_their_ends() -> None:
    assert math.isnan(smallest_for([], 50))
    assert required_scale([3.0, 1.0, 2.0], 1.0) == 3.0
    assert required_scale([3.0, 1.0, 2.0], 1e-9) == 1.0
    assert required_scale(list(range(100)), 0.07) == 6  # 0.07 * 100 is a little more than 7 in doubles
    assert required_scale(list(range(1000)), 0.0070004) == 7  # and this is more than 7
    assert required_scale(list(range(1000)), 0.007000004) == 7  # by four millionths
    assert required_scale(list(range(1000)), 0.0070000002) == 6  # by less than a millionth is rounding
    for q in (0.0, -0.5, 1.0000001, math.nan):
        with pytest.raises(InputError):
            required_scale([1.0], q)


def metrics_of(calls: list[CallMetrics], workflows: list[WorkflowMetrics], span: float) -> Metrics:
    numbers = dict.fromkeys((f for f in Metrics.__struct_fields__ if not f.startswith("per_")), 0.0)
    numbers |= {"workflows": len(workflows), "calls": len(calls), "span": span}
    ids = tuple(one.workflow_id for one in workflows)
    of = np.array([ids.index(one.workflow_id) for one in calls])
    times = {
        name: np.array([math.nan if getattr(one, name) is None else getattr(one, name) for one in calls])
        for name in ("queueing", "admission", "transfer", "ttft", "tpot")
    }
    call_ids = Texts(np.arange(len(calls)), tuple(one.call_id for one in calls))
    per_call = CallColumns(workflow_ids=Texts(of, ids), call_ids=call_ids, workflow=of, **times)
    columns = {name: np.array([getattr(one, name) for one in workflows]) for name in ("latency", "horizon", "ratio")}
    per_workflow = WorkflowColumns(workflow_id=ids, **columns)
    metrics = Metrics(**numbers, per_workflow=per_workflow.rows(), per_call=per_call.rows())
    assert list(metrics.per_call) == calls
    assert list(metrics.per_workflow) == workflows
    return metrics


def a_call(flow: str, name: str, **values: float | None) -> CallMetrics:
    zero = {"queueing": 0.0, "admission": 0.0, "transfer": 0.0, "ttft": 0.0, "tpot": 0.0}
    return CallMetrics(workflow_id=flow, call_id=name, **(zero | values))


def test_goodput_by_hand() -> None:
    calls = [
        a_call("u", "a", ttft=2.0, tpot=0.5),
        a_call("u", "b", ttft=1.0, tpot=None, queueing=3.0),
        a_call("v", "a", ttft=1.0, tpot=1.0),
        a_call("w", "a", ttft=4.0, tpot=2.0, admission=1.0, transfer=2.0),
    ]
    flows = [
        WorkflowMetrics(workflow_id=name, latency=latency, horizon=2.0, ratio=latency / 2)
        for name, latency in (("u", 3.0), ("v", 2.0), ("w", 8.0))
    ]
    metrics = metrics_of(calls, flows, 4.0)

    def within(**limits: float) -> tuple[float | None, float]:
        found = metrics.goodput(limits)
        calls_within, workflows_within = found["calls_within"], found["workflows_within"]
        assert found["workflow_goodput"] == pytest.approx(workflows_within * 3 / 4.0)
        assert found["call_goodput"] == (None if calls_within is None else pytest.approx(calls_within * 4 / 4.0))
        return calls_within, round(workflows_within * 3, 9)

    assert within(ttft=2.0) == (0.75, 2)
    assert within(ttft=1.0) == (0.5, 1)
    assert within(tpot=0.5) == (0.5, 1)  # a call of one token has none
    assert within(queueing=1.0) == (0.75, 2)
    assert within(admission=0.5) == (0.75, 2)
    assert within(transfer=1.0) == (0.75, 2)
    assert within(latency=3.0) == (None, 2)
    assert within(ratio=1.0) == (None, 1)
    assert within(ratio=1.5, latency=2.5) == (None, 1)  # both, not one of them
    assert within(tpot=1.0, latency=2.0) == (0.75, 1)
    assert within() == (None, 3)
    for limit, kept in ((2.0, 2), (2.0 - 1.8e-9, 2), (2.0 - 2.6e-9, 1)):  # over by less than 1e-9 of it is rounding
        assert within(ttft=limit)[1] == kept
    for limit, kept in ((3.0, 2), (3.0 - 2.7e-9, 2), (3.0 - 4e-9, 1)):
        assert within(latency=limit)[1] == kept
    assert [metrics.misses(scale) for scale in (0.9, 1.0, 1.5, 3.9, 4.0)] == [3, 2, 1, 1, 0]
    assert metrics.attainment(1.0) == pytest.approx(1 / 3)
    assert metrics.req(0.5) == 1.5
    assert list(metrics.to_frame().columns) == ["workflow_id", "latency", "horizon", "ratio"]


def test_a_report_counts_and_orders_its_violations() -> None:
    bad = moved(moved(FLUID, 0, decode_start=0.25), 1, prefill_start=0.5, decode_start=0.25)
    report = verify(two_calls(), bad)
    assert list(report.counts()) == [
        rule for rule in ("short-prefill", "long-transfer", "short-decode") if rule in report.counts()
    ]
    assert report.counts()["long-transfer"] == 2
    assert not report.ok
    assert report.metrics is None
    assert len(report.to_frame()) == len(report.violations)


def test_the_first_token_of_a_call_of_one_is_out_at_its_end() -> None:
    instance = one_pair(workflow("A", 0, call("x", 10, 1)), decode_model="fixed")
    metrics = verify(instance, schedule(row("A", 0, 3, 3, 4.5, 6.5 + 0.8e-6, call="x"))).metrics
    assert metrics.ttft_p50 == 6.5 + 0.8e-6


def test_quantiles_of_many_calls_and_workflows_are_those_of_their_values() -> None:
    flows = tuple(workflow(f"w{k:03}", 0.0, call("c", 5 + k % 7, 2 + k % 5, delay=k * k % 11)) for k in range(101))
    instance = one_pair(*flows)
    metrics = verify(instance, serial_schedule(instance, np.random.default_rng(0))).metrics
    assert metrics is not None
    ttft, tpot = [one.ttft for one in metrics.per_call], [one.tpot for one in metrics.per_call]
    ratio = [one.ratio for one in metrics.per_workflow]
    for percent in (50, 95, 99):
        assert getattr(metrics, f"ttft_p{percent}") == smallest(ttft, percent)
        assert getattr(metrics, f"tpot_p{percent}") == smallest(tpot, percent)
        assert getattr(metrics, f"req{percent}") == smallest(ratio, percent)


def test_violations_come_in_the_order_of_the_rules() -> None:
    plan = moved(moved(FLUID, 0, prefill_end=0.25), 1, prefill_end=-0.25)
    assert broken(two_calls(), plan) == ["short-prefill", "long-prefill", "admitted-early"]


def test_a_call_without_a_row_hides_nothing_of_any_instance() -> None:
    one = two_calls()
    decode = (*one.decode, replace(one.decode[0], id="d1"))
    links = (*one.links, *(replace(link, to="d1") for link in one.links))
    instance = replace(one, decode=decode, links=links)
    for place in ("d0", "d1"):
        short = row("B", 7, 12, 15.22, 17.72, 20.0, prefill="p1", decode=place)
        assert broken(instance, schedule(short)) == ["missing-call", "short-decode"]


def test_a_clock_that_cannot_tell_a_horizon_apart_is_refused() -> None:
    instance = two_calls()
    late = replace(instance, workflows=tuple(replace(flow, arrival=1e14) for flow in instance.workflows))
    with pytest.raises(InputError, match="too coarse"):
        verify(late, FLUID)


def test_what_is_no_schedule_is_told(tmp_path) -> None:
    with pytest.raises(InputError, match="expected a schedule"):
        verify(two_calls(), 3)
    file = tmp_path / "plan.json"
    file.write_bytes(FLUID.to_bytes())
    assert verify(two_calls(), file).ok
    assert verify(two_calls(), str(file)).ok


def test_links_are_those_between_the_two_places_of_a_call() -> None:
    slow = Link(source="p1", to="d0", latency=2.5, bandwidth=500)  # T(20) = 2.5 + 20 * 100 / 500 = 6.5
    instance = two_calls()
    instance = replace(instance, links=(slow, instance.links[0]))
    plan = schedule(FLUID.calls[0], row("B", 7, 12, 15.22, 21.72, 26.785, prefill="p1"))
    told = {v.rule for v in verify(instance, plan).violations}
    assert "long-transfer" not in told
    assert "instant-transfer" not in told
    assert "instant-transfer" in broken(instance, FLUID)


def test_prefill_is_measured_with_the_numbers_of_its_own_instance() -> None:
    instance = two_calls()
    fast = PrefillInstance(id="p1", gpu="X", prefill_coeffs=(0.5, 0.05, 0.0))  # P(20, 10) = 1
    instance = replace(instance, prefill=(instance.prefill[0], fast))
    assert broken(instance, FLUID) == ["long-prefill"]
    assert broken(instance, schedule(FLUID.calls[0], row("B", 11, 12, 15.22, 17.72, 24.125, prefill="p1"))) == []


def test_what_is_decoded_in_no_time_lacks_what_it_takes_alone() -> None:
    """Of A, m (g(1) + d2 (n + m / 2)) = 4 (1.5 + 0.01 * 12)."""
    plan = moved(FLUID, 0, decode_end=14.5 - 22.40)
    told = [v for v in verify(two_calls(), plan).violations if v.workflow_id == "A" and v.rule == "short-decode"]
    assert [v.excess for v in told] == [pytest.approx(6.48)]
