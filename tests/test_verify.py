"""The verifier: schedules computed by hand, every rule broken on purpose, the cases of an independent program."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import cases
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import instances, random_instance, serial_schedule
from reference.by_hand import row, schedule, two_calls
from reference.formulas import base_time
from scipy.integrate import solve_ivp

from hexsched.errors import InputError
from hexsched.model import (
    Call,
    DecodeInstance,
    Instance,
    Link,
    PrefillInstance,
    Schedule,
    ScheduledCall,
    Workflow,
    read_schedule,
)
from hexsched.verifier import RULES, verify
from hexsched.verifier.metrics import required_scale

pytestmark = pytest.mark.quick

replace = msgspec.structs.replace


def change(plan: Schedule, k: int, **fields: object) -> Schedule:
    """The schedule with some fields of row ``k`` changed."""
    rows = list(plan.calls)
    rows[k] = replace(rows[k], **fields)
    return replace(plan, calls=tuple(rows))


def rules_broken(instance: Instance, plan: Schedule) -> set[str]:
    report = verify(instance, plan)
    assert (report.metrics is None) == bool(report.violations)
    return set(report.counts())


# A decodes alone from 14.5: 2 tokens take (1.5 + 0.01 * 10) * 2 + 0.01 * 2**2 / 2 = 3.22, until 17.72, where B joins.
# Both get 2 tokens, holding 12 + 20 at first: (2 + 0.01 * 32) * 2 + 0.01 * 2 * 2**2 / 2 = 4.68, until 22.40: A is done.
# B alone, holding 22, gets its third in (1.5 + 0.01 * 22) * 1 + 0.01 * 1**2 / 2 = 1.725, at 24.125.
# B's transfer starts 2.5 earlier, at 15.22; its prefill has long been over.
FLUID = schedule(
    row("A", 10, 13, 13, 14.5, 22.40),
    row("B", 7, 12, 15.22, 17.72, 24.125, prefill="p1"),
)
CURVE = {"decode_coeffs": (100, 100, 0.01), "batch_curve": ((1, 1.5), (3, 2.5))}
# theta is 2: 4 tokens take 8 s, 3 take 6 s, whatever else is in the batch.
FIXED = schedule(row("A", 10, 13, 13, 14.5, 22.5), row("B", 7, 12, 15.22, 17.72, 23.72, prefill="p1"))


@pytest.mark.parametrize(
    ("instance", "plan"),
    [(two_calls(), FLUID), (two_calls(**CURVE), FLUID), (two_calls(decode_model="fixed"), FIXED)],
    ids=["fluid", "batch_curve", "fixed"],
)
def test_schedule_computed_by_hand_is_accepted(instance, plan):
    assert verify(instance, plan).violations == ()


def test_metrics_by_hand():
    # H_A = 3 + 1.5 + (1.5 + 0.1) * 4 + 0.01 * 4**2 / 2 = 10.98; H_B = 5 + 2.5 + (1.5 + 0.2) * 3 + 0.01 * 9 / 2 = 12.645
    metrics = verify(two_calls(), FLUID).metrics
    a, b = 12.40 / 10.98, 17.125 / 12.645
    assert (metrics.workflows, metrics.calls) == (2, 2)
    assert metrics.req50 == pytest.approx(a, rel=1e-12)
    assert metrics.req95 == metrics.req99 == metrics.max_ratio == pytest.approx(b, rel=1e-12)
    assert metrics.mean_ratio == pytest.approx((a + b) / 2, rel=1e-12)
    assert metrics.mean_latency == pytest.approx((12.40 + 17.125) / 2, rel=1e-12)
    assert metrics.makespan == 24.125
    assert [metrics.misses(scale) for scale in (1.0, 1.2, 1.4)] == [2, 1, 0]
    assert metrics.attainment(1.2) == 0.5
    assert list(metrics.to_frame()["workflow_id"]) == ["A", "B"]


def test_horizon_takes_the_best_pair_that_can_hold_the_call_and_the_longest_path():
    # fast holds 10 tokens only: the small calls (2 + 2) take 1 + 0 + 2 * 1 there, the large one (8 + 4) needs slow.
    machine = {"gpu": "X", "decode_coeffs": (0, 0, 0.5), "max_batch": 1}
    small = {"prompt_tokens": 2, "output_tokens": 2}
    instance = Instance(
        format="hexsched-instance/1",
        decode_model="fixed",
        kv_bytes_per_token=0,
        prefill=(PrefillInstance(id="p0", gpu="X", prefill_coeffs=(1, 0, 0)),),
        decode=(
            DecodeInstance(id="fast", fixed_iteration_time=1, kv_capacity_tokens=10, **machine),
            DecodeInstance(id="slow", fixed_iteration_time=5, kv_capacity_tokens=12, **machine),
        ),
        links=(
            Link(source="p0", to="fast", latency=0, bandwidth=1),
            Link(source="p0", to="slow", latency=0.25, bandwidth=1),
        ),
        workflows=(
            Workflow(
                workflow_id="w",
                arrival=0,
                calls=(
                    Call(call_id="last", parents=("left", "right"), delay=0.5, **small),  # 3.5
                    Call(call_id="left", parents=("first",), prompt_tokens=8, output_tokens=4),  # 1 + 0.25 + 20
                    Call(call_id="right", parents=("first",), delay=4, **small),  # 7
                    Call(call_id="first", **small),  # 3
                ),
            ),
        ),
    )
    plan = schedule(
        row("w", 0, 1, 1, 1, 3, call="first", decode="fast"),
        row("w", 3, 4, 4, 4.25, 24.25, call="left", decode="slow"),
        row("w", 7, 8, 8, 8, 10, call="right", decode="fast"),
        row("w", 24.75, 25.75, 25.75, 25.75, 27.75, call="last", decode="fast"),
    )
    report = verify(instance, plan)
    assert report.violations == ()
    assert report.metrics.per_workflow[0].horizon == 3 + 21.25 + 3.5
    assert report.metrics.max_ratio == 1


@pytest.mark.parametrize(
    ("count", "q", "rank"),
    [
        (100, 0.07, 7),
        (100, 0.95, 95),
        (100, 0.99, 99),
        (3, 0.5, 2),
        (4, 0.5, 2),
        (1, 0.01, 1),
        (7, 1.0, 7),
        (10, 0.3, 3),
    ],
)
def test_req_is_the_smallest_scale_that_enough_workflows_meet(count, q, rank):
    ratios = list(np.random.default_rng(0).permutation(np.arange(1.0, count + 1)))
    assert required_scale(ratios, q) == rank
    enough = Fraction(str(q))
    meets = [s for s in ratios if Fraction(sum(ratio <= s for ratio in ratios), count) >= enough]
    assert required_scale(ratios, q) == min(meets)


@pytest.mark.parametrize("q", [0, -0.1, 1.01, math.nan])
def test_req_rejects_a_share_outside_0_to_1(q):
    with pytest.raises(InputError, match="q must be above 0 and at most 1"):
        required_scale([1.0], q)


@pytest.mark.parametrize("speed", [1e-3, 1, 1e3])
@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
def test_decode_tolerance_is_in_seconds_on_slow_and_fast_instances(speed, decode_model):
    instance = two_calls(decode_coeffs=(speed, 0, 0), decode_model=decode_model)
    d0 = replace(instance.decode[0], fixed_iteration_time=speed)
    instance = replace(instance, decode=(d0,), workflows=instance.workflows[:1])
    plan = schedule(row("A", 10, 13, 13, 14.5, 14.5 + 4 * speed))
    end = plan.calls[0].decode_end
    assert rules_broken(instance, change(plan, 0, decode_end=end + 1e-8)) == set()
    assert rules_broken(instance, change(plan, 0, decode_end=end + 1e-5)) == {"long-decode"}
    (short,) = verify(instance, change(plan, 0, decode_end=end - 1e-5)).violations
    assert (short.rule, short.unit) == ("short-decode", "s")
    assert short.excess == pytest.approx(1e-5, rel=0.05)


def after_each_other(gap: float, **options: object) -> tuple[Instance, Schedule]:
    """Two equal calls on one decode instance, the second admitted ``gap`` seconds after the first completes."""
    instance = two_calls(decode_model="fixed", **options)
    call = instance.workflows[0].calls
    instance = replace(
        instance,
        workflows=tuple(Workflow(workflow_id=name, arrival=0, calls=call) for name in ("A", "B")),
    )
    again = 12.5 + gap  # 3 s of prefill, 1.5 s of transfer, 8 s of decode
    return instance, schedule(
        row("A", 0, 3, 3, 4.5, 12.5), row("B", 3, 6, again, again + 1.5, again + 9.5, prefill="p1")
    )


@pytest.mark.parametrize(
    ("rule", "options", "excess"), [("kv-over", {"kv_capacity_tokens": 27}, 1), ("batch-over", {"max_batch": 1}, 1)]
)
def test_completion_at_the_instant_of_an_admission_frees_first(rule, options, excess):
    for gap in (0.5, 0, -1e-9):
        assert rules_broken(*after_each_other(gap, **options)) == set()
    (violation,) = verify(*after_each_other(-1e-3, **options)).violations
    assert (violation.rule, violation.workflow_id, violation.instance) == (rule, "B", "d0")
    assert violation.excess == excess


def test_calls_in_transfer_hold_their_reservation():
    instance, plan = after_each_other(-1.0, kv_capacity_tokens=28, max_batch=2)
    assert rules_broken(instance, plan) == set()
    assert rules_broken(*after_each_other(-1.0, kv_capacity_tokens=27, max_batch=2)) == {"kv-over"}


def test_overlap_with_a_prefill_that_started_long_before():
    # On p0 A runs from 0 to 3; B and C fit behind each other within it.
    instance = two_calls()
    instance = replace(
        instance, workflows=tuple(replace(instance.workflows[0], workflow_id=w, arrival=0) for w in "ABC")
    )
    plan = schedule(
        row("A", 0, 3, 3, 4.5, 22), row("B", 1, 1.25, 3, 4.5, 22), row("C", 1.5, 1.75, 3, 4.5, 22, prefill="p0")
    )
    overlaps = {(v.workflow_id, v.excess) for v in verify(instance, plan).violations if v.rule == "overlap"}
    assert overlaps == {("B", 2.0), ("C", 1.5)}


def test_decode_tolerance_is_in_seconds_in_a_large_batch():
    # g(B) = B: 20 equal calls that start together take 20 * 4 s, and 5e-6 s is but 2.5e-7 tokens for each.
    instance = two_calls(decode_coeffs=(0, 1, 0), max_batch=20, kv_capacity_tokens=280)
    names = [f"w{k}" for k in range(20)]
    instance = replace(
        instance, workflows=tuple(replace(instance.workflows[0], workflow_id=w, arrival=0) for w in names)
    )
    plan = schedule(*(row(w, 3 * k, 3 * k + 3, 60, 61.5, 141.5) for k, w in enumerate(names)))
    assert rules_broken(instance, plan) == set()
    early = schedule(*(replace(claim, decode_end=141.5 - 5e-6) for claim in plan.calls))
    assert verify(instance, early).counts() == {"short-decode": 20}


# --- one rule broken at random -------------------------------------------------------------------------------------

Broken = tuple[Instance, Schedule]
Breaker = Callable[[Instance, Schedule, np.random.Generator], Broken]


def amount(rng: np.random.Generator) -> float:
    """Seconds, 1e-5 to 1: small next to every duration, or large."""
    return float(10 ** rng.uniform(-5, 0))


def pick(plan: Schedule, rng: np.random.Generator) -> tuple[int, ScheduledCall]:
    k = int(rng.integers(len(plan.calls)))
    return k, plan.calls[k]


def pick_two(plan: Schedule, side: str) -> tuple[int, int]:
    """Two rows on one instance, earlier first: with more calls than instances there are two."""
    seen: dict[str, int] = {}
    for k, claim in enumerate(plan.calls):
        if getattr(claim, side) in seen:
            return seen[getattr(claim, side)], k
        seen[getattr(claim, side)] = k
    raise AssertionError("too few calls")


def shift(field: str, sign: int) -> Breaker:
    """Move one time earlier or later."""

    def breaker(instance: Instance, plan: Schedule, rng: np.random.Generator) -> Broken:
        k, claim = pick(plan, rng)
        return instance, change(plan, k, **{field: getattr(claim, field) + sign * amount(rng)})

    return breaker


def break_unknown_call(instance, plan, rng):
    k, _ = pick(plan, rng)
    return instance, change(plan, k, **{str(rng.choice(["workflow_id", "call_id"])): "ghost"})


def break_duplicate_call(instance, plan, rng):
    k, claim = pick(plan, rng)
    return instance, replace(plan, calls=(*plan.calls[: k + 1], claim, *plan.calls[k + 1 :]))


def break_missing_call(instance, plan, rng):
    k, _ = pick(plan, rng)
    return instance, replace(plan, calls=(*plan.calls[:k], *plan.calls[k + 1 :]))


def break_nan(instance, plan, rng):
    k, _ = pick(plan, rng)
    field = rng.choice(["prefill_start", "prefill_end", "admitted", "decode_start", "decode_end"])
    return instance, change(plan, k, **{str(field): float(rng.choice([math.nan, math.inf, -math.inf]))})


def break_unknown_instance(instance, plan, rng):
    k, claim = pick(plan, rng)
    fields = [{"prefill_instance": "p9"}, {"decode_instance": ""}, {"prefill_instance": claim.decode_instance}]
    return instance, change(plan, k, **fields[rng.integers(3)])


def break_before_release(instance, plan, rng):
    k, claim = pick(plan, rng)
    (workflow,) = [w for w in instance.workflows if w.workflow_id == claim.workflow_id]
    (call,) = [c for c in workflow.calls if c.call_id == claim.call_id]
    done = {c.call_id: c.decode_end for c in plan.calls if c.workflow_id == claim.workflow_id}
    release = max([workflow.arrival, *(done[parent] for parent in call.parents)]) + call.delay
    start = release - amount(rng)
    return instance, change(plan, k, prefill_start=start, prefill_end=start + claim.prefill_end - claim.prefill_start)


def break_overlap(instance, plan, rng):
    first, second = pick_two(plan, "prefill_instance")
    running, claim = plan.calls[first], plan.calls[second]
    start = running.prefill_end - min(amount(rng), 0.9 * (running.prefill_end - running.prefill_start))
    return instance, change(
        plan, second, prefill_start=start, prefill_end=start + claim.prefill_end - claim.prefill_start
    )


def break_admitted_early(instance, plan, rng):
    k, claim = pick(plan, rng)
    return instance, change(plan, k, admitted=claim.prefill_end - amount(rng))


def break_kv_over(instance, plan, rng):
    _, claim = pick(plan, rng)
    (call,) = [
        c
        for w in instance.workflows
        for c in w.calls
        if (w.workflow_id, c.call_id) == (claim.workflow_id, claim.call_id)
    ]
    room = replace(instance.decode[0], id="room")  # every call fits on decode[0]; keeps the instance itself valid
    decode = [
        replace(d, kv_capacity_tokens=call.prompt_tokens + call.output_tokens - 1)
        if d.id == claim.decode_instance
        else d
        for d in instance.decode
    ]
    links = [Link(source=p.id, to="room", latency=0, bandwidth=1e9) for p in instance.prefill]
    return replace(instance, decode=(*decode, room), links=(*instance.links, *links)), plan


def break_batch_over(instance, plan, rng):
    first, second = pick_two(plan, "decode_instance")
    instance = replace(instance, decode=tuple(replace(d, max_batch=1) for d in instance.decode))
    return instance, change(plan, second, admitted=plan.calls[first].decode_end - min(amount(rng), 0.2))


BREAKERS: dict[str, Breaker] = {
    "unknown-call": break_unknown_call,
    "duplicate-call": break_duplicate_call,
    "missing-call": break_missing_call,
    "nan": break_nan,
    "unknown-instance": break_unknown_instance,
    "before-release": break_before_release,
    "short-prefill": shift("prefill_end", -1),
    "long-prefill": shift("prefill_end", 1),
    "overlap": break_overlap,
    "admitted-early": break_admitted_early,
    "instant-transfer": shift("decode_start", -1),
    "long-transfer": shift("decode_start", 1),
    "kv-over": break_kv_over,
    "batch-over": break_batch_over,
    "short-decode": shift("decode_end", -1),
    "long-decode": shift("decode_end", 1),
}
UNREADABLE = ["unknown-call", "duplicate-call", "missing-call", "nan", "unknown-instance"]
SEEDS = st.integers(0, 2**32 - 1)


def test_every_rule_has_a_breaker():
    assert list(BREAKERS) == list(RULES)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, decode_model=st.sampled_from(["fluid", "fixed"]))
def test_broken_rule_is_named(rule, seed, decode_model):
    rng = np.random.default_rng(seed)
    instance = random_instance(rng, decode_model=decode_model, workflows=(2, 3), calls=(2, 4))
    plan = serial_schedule(instance, rng)
    assert verify(instance, plan).violations == ()
    assert rule in rules_broken(*BREAKERS[rule](instance, plan, rng))


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, first=st.sampled_from(UNREADABLE), second=st.sampled_from(["short-prefill", "long-transfer"]))
def test_broken_row_does_not_hide_what_is_wrong_with_another(seed, first, second):
    rng = np.random.default_rng(seed)
    instance = random_instance(rng, workflows=(2, 3), calls=(2, 4))
    plan = serial_schedule(instance, rng)
    _, claim = pick(plan, rng)
    field, later = {"short-prefill": ("prefill_end", -0.01), "long-transfer": ("decode_start", 0.01)}[second]
    others = replace(plan, calls=tuple(c for c in plan.calls if c is not claim))
    broken_instance, broken = BREAKERS[first](instance, others, rng)
    both = replace(broken, calls=(*broken.calls, replace(claim, **{field: getattr(claim, field) + later})))
    found = {(v.rule, v.workflow_id, v.call_id) for v in verify(broken_instance, both).violations}
    assert (second, claim.workflow_id, claim.call_id) in found
    assert first in {rule for rule, _, _ in found}


@settings(max_examples=100, deadline=None)
@given(instance=instances(), seed=SEEDS, start=st.sampled_from([0.0, 1e6, 1e7]))
def test_rounding_and_row_order_do_not_matter_even_late(instance, seed, start):
    rng = np.random.default_rng(seed)
    late = replace(instance, workflows=tuple(replace(w, arrival=w.arrival + start) for w in instance.workflows))
    plan = serial_schedule(late, rng)
    report = verify(late, plan)
    assert report.violations == ()
    rows = [plan.calls[k] for k in rng.permutation(len(plan.calls))]
    assert verify(late, replace(plan, calls=tuple(rows))) == report
    noise = iter(1 + rng.uniform(-4, 4, 5 * len(rows)) * 2.0**-52)
    times = ("prefill_start", "prefill_end", "admitted", "decode_start", "decode_end")
    rounded = [replace(c, **{name: getattr(c, name) * float(next(noise)) for name in times}) for c in rows]
    assert rules_broken(late, replace(plan, calls=tuple(rounded))) == set()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308, 0.0])
@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
def test_absurd_times_are_reported_and_crash_nothing(value, decode_model):
    instance = two_calls(decode_model=decode_model)
    rows = [row(name, *[value] * 5) for name in ("A", "B")]
    expected = "short-prefill" if math.isfinite(value) else "nan"
    assert expected in rules_broken(instance, schedule(*rows))
    assert "before-release" in rules_broken(instance, schedule(row("A", -1e308, 1e308, -1e308, 1e308, -1e308), rows[1]))


def test_empty_schedule_misses_every_call():
    assert verify(two_calls(), schedule()).counts() == {"missing-call": 2}


def test_broken_time_makes_no_later_decode_on_its_instance_look_wrong():
    report = verify(two_calls(), change(FLUID, 0, decode_end=math.nan))
    assert report.counts() == {"nan": 1}


def test_decode_shorter_than_the_batch_allows_is_found_though_it_fits_a_smaller_batch():
    alone = (1.5 + 0.2) * 3 + 0.01 * 9 / 2  # B as if A were not there
    broken = verify(two_calls(), change(FLUID, 1, decode_end=17.72 + alone)).violations
    assert ("short-decode", "B") in {(v.rule, v.workflow_id) for v in broken}


# --- fluid decode against a numerical integration of its differential equation ---------------------------------------


def integrate(machine: DecodeInstance, batch: int, held: float, now: float, until: float, left: float):
    """Advance a constant batch until a time or until ``left`` more tokens each; returns (time, tokens, finished)."""

    def rate(_, v):
        return [1 / (base_time(machine, batch) + machine.decode_coeffs[2] * (held + batch * v[0]))]

    def finished(_, v):
        return v[0] - left

    finished.terminal = True
    run = solve_ivp(rate, (now, until), [0.0], events=finished, rtol=1e-11, atol=1e-11)
    return float(run.t[-1]), float(run.y[0, -1]), run.status == 1


def integrate_completions(machine: DecodeInstance, starts: list[float], calls: list[Call]) -> list[float]:
    """Completions when every member of the batch advances at 1 / tau(B, K), K growing with what has come out."""
    done = [0.0] * len(calls)
    completions: dict[int, float] = {}
    now = 0.0
    while len(completions) < len(calls):
        members = [k for k in range(len(calls)) if starts[k] <= now and k not in completions]
        until = min([s for s in starts if s > now], default=1e6)
        if not members:
            now = until
            continue
        held = sum(calls[k].prompt_tokens + done[k] for k in members)
        left = {k: calls[k].output_tokens - done[k] for k in members}
        first = min(left, key=left.__getitem__)
        now, tokens, finished = integrate(machine, len(members), held, now, until, left[first])
        for k in members:
            done[k] += tokens
        if finished:
            completions[first] = now
    return [completions[k] for k in range(len(calls))]


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS)
def test_fluid_decode_agrees_with_numerical_integration(seed):
    rng = np.random.default_rng(seed)
    drawn = random_instance(rng, workflows=(2, 6), calls=(1, 1), output=(1, 80))
    machine = replace(
        drawn.decode[0], kv_capacity_tokens=10**6, max_batch=8, batch_curve=((1, 0.02), (3, 0.05), (8, 0.06))
    )
    instance = replace(
        drawn,
        prefill=(PrefillInstance(id="p0", gpu="X", prefill_coeffs=(0.001, 0, 0)),),
        decode=(machine,),
        links=(Link(source="p0", to=machine.id, latency=0.001, bandwidth=1e18),),
        kv_bytes_per_token=0,
        workflows=tuple(replace(w, arrival=0) for w in drawn.workflows),
    )
    calls = [replace(w.calls[0], delay=0) for w in drawn.workflows]
    instance = replace(
        instance, workflows=tuple(replace(w, calls=(c,)) for w, c in zip(instance.workflows, calls, strict=True))
    )
    starts = [0.01 + float(s) for s in np.cumsum(rng.uniform(0.002, 1.0, len(calls)))]
    ends = integrate_completions(machine, starts, calls)
    plan = schedule(
        *(
            row(w.workflow_id, s - 0.002, s - 0.001, s - 0.001, s, e, call=w.calls[0].call_id, decode=machine.id)
            for w, s, e in zip(instance.workflows, starts, ends, strict=True)
        )
    )
    assert verify(instance, plan).violations == ()
    k = int(rng.integers(len(calls)))
    assert "long-decode" in rules_broken(instance, change(plan, k, decode_end=ends[k] + 1e-4))


# --- the report ------------------------------------------------------------------------------------------------------


def test_report_as_frame_and_html():
    good = verify(two_calls(), FLUID)
    assert good.ok
    assert good.to_frame().empty
    assert "valid" in good._repr_html_()
    assert "max ratio" in good._repr_html_()
    bad = verify(two_calls(), replace(change(FLUID, 0, prefill_instance="<b>"), policy="<i>"))
    assert not bad.ok
    assert list(bad.to_frame().columns) == ["rule", "workflow_id", "call_id", "instance", "message", "excess", "unit"]
    assert list(bad.to_frame()["rule"]) == ["unknown-instance"]
    assert "&lt;b&gt;" in bad._repr_html_()
    assert "<b>'" not in bad._repr_html_()
    assert "<i>" not in bad._repr_html_()


def test_long_report_is_cut_in_html():
    many = replace(
        two_calls(),
        workflows=tuple(replace(two_calls().workflows[0], workflow_id=f"w{k}") for k in range(25)),
    )
    page = verify(many, schedule())._repr_html_()
    assert "missing-call (25)" in page
    assert "and 15 more" in page


def test_violation_says_what_would_be_right():
    (violation,) = verify(two_calls(), change(FLUID, 0, prefill_start=11.0)).violations
    assert str(violation) == "short-prefill: call 'c0' of workflow 'A': prefill takes 2 s instead of 3 s"
    assert violation.excess == 1.0


# --- cases with known answers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cases.EXPECTED)
def test_known_schedule_is_accepted_with_its_metrics(name):
    report = verify(cases.instance(name), read_schedule(cases.schedule_file_of(name)))
    assert report.violations == ()
    for figure, value in cases.EXPECTED[name].items():
        assert getattr(report.metrics, figure) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("row", cases.BROKEN, ids=lambda row: f"{row['case']}-{row['rule']}")
def test_known_broken_schedule_is_rejected_by_rule(row):
    assert row["rule"] in rules_broken(*cases.broken(row))
