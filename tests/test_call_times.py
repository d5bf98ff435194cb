"""Stages of calls, TTFT, TPOT and what stays within thresholds (model M36 to M38)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instances, named_calls, one_pair, workflow

from hexsched.contract import releases
from hexsched.engine.first_token import first_token_times
from hexsched.errors import InputError
from hexsched.metrics.parts.call_times import CallTimes
from hexsched.metrics.parts.completions import Completions
from hexsched.metrics.parts.goodput import goodput
from hexsched.metrics.parts.thresholds import EXAMPLE, Thresholds, read_thresholds
from hexsched.simulator import replay_run, simulate
from hexsched.verifier import verify

pytestmark = pytest.mark.quick

STAGES = ("queueing", "prefill", "admission", "transfer", "decode")


@settings(max_examples=20)
@given(instance=corner_instances(), policy=st.sampled_from(("hexagent", "fcfs@jsq", "atlas")))
def test_the_stages_add_up(instance, policy):
    run = simulate(instance, policy)
    calls, frame = run.completions.calls, run.calls_to_frame()
    released = np.array(list(releases(instance, run.schedule).values()))
    assert calls.released == pytest.approx(released, abs=1e-9)
    assert sum(getattr(calls, name) for name in STAGES) == pytest.approx(calls.decode_end - released, abs=1e-9)
    assert min(getattr(calls, name).min() for name in STAGES) >= -1e-9
    before = sum(getattr(calls, name) for name in STAGES[:-1])
    assert (calls.ttft > before).all()
    assert (calls.ttft <= before + calls.decode + 1e-9).all()
    assert list(zip(frame["workflow_id"], frame["call_id"], strict=True)) == [
        name for name, _, _ in named_calls(instance)
    ]
    assert frame["ttft"].tolist() == calls.ttft.tolist()
    again = replay_run(instance, run.schedule).completions.calls
    assert again.ttft == pytest.approx(calls.ttft, abs=1e-6)


def first_tokens(instance, rows, compiled=True):
    """f_c of calls on the only decode instance; a row is prompt, output, start and end of the decode."""
    prompt, output, start, end = (np.array(column) for column in zip(*rows, strict=True))
    place = np.zeros(len(rows), dtype=np.int64)
    return first_token_times(instance, place, prompt, output, start.astype(float), end.astype(float), compiled).tolist()


ROWS = [(10, 90, 0.0, 300.0), (20, 90, 0.80125, 300.0), (7, 1, 50.0, 53.0)]


@pytest.mark.parametrize("compiled", [True, False])
def test_first_tokens_by_hand(compiled):
    work = workflow("w", 0.0, call("c", 10, 4))
    # alone: (1.5 + 0.1) * 0.5 + 0.01 * 0.5**2 / 2 = 0.80125 s for half a token; then a batch of two that holds 30.5
    # tokens takes 2.305 s for the first iteration and 0.02 s more for each, so 1.155 s for half of one, 2.315 for one
    told = first_tokens(one_pair(work), ROWS, compiled)
    assert told == pytest.approx([0.80125 + 1.155, 0.80125 + 2.315, 53.0], rel=1e-12)
    fixed = one_pair(work, decode_model="fixed")
    assert first_tokens(fixed, [(10, 4, 1.0, 9.0), (20, 1, 4.0, 6.0)], compiled) == [3.0, 6.0]

    for instance in (one_pair(work), fixed):
        run = simulate(instance, "fcfs")
        (row,) = run.schedule.calls
        iteration = 2.0 if instance is fixed else 1.6 + 0.005
        (first,) = run.completions.calls.ttft
        assert first == pytest.approx(row.decode_start + iteration, rel=1e-12)
        assert run.metrics.tpot_p50 == pytest.approx((row.decode_end - row.decode_start - iteration) / 3, rel=1e-12)
    single = simulate(one_pair(workflow("w", 0.0, call("c", 10, 1))), "fcfs")
    assert single.metrics.ttft_p50 == single.metrics.mean_latency
    assert math.isnan(single.metrics.tpot_p95)
    assert math.isnan(verify(single.instance, single.schedule).metrics.tpot_p95)


@settings(max_examples=15)
@given(instance=corner_instances(decode_model="fluid", workflows=(2, 6)))
def test_first_tokens_agree_with_numerical_integration(instance):
    """Each batch is followed in small steps of time; when a first token is said to be out, one token is out."""
    run = simulate(instance, "hexagent")
    sizes = {name: (one.prompt_tokens, one.output_tokens) for name, _, one in named_calls(instance)}
    first = dict(zip(sizes, run.completions.calls.first_token.tolist(), strict=True))
    for machine in instance.decode:
        rows = {(r.workflow_id, r.call_id): r for r in run.schedule.calls if r.decode_instance == machine.id}
        several = {name: first[name] for name in rows if sizes[name][1] > 1}
        assert all(first[name] == rows[name].decode_end for name in rows if name not in several)
        reached = tokens_out(machine, rows, {name: prompt for name, (prompt, _) in sizes.items()}, several)
        assert reached == pytest.approx(dict.fromkeys(several, 1.0), abs=1e-5)


def tokens_out(machine, rows, prompts, asked, steps=100):
    """How many tokens of each call are out at the time asked for: dv / dt = 1 / tau(B(t), K(t)), midpoint rule."""
    changes = sorted({*asked.values(), *(t for row in rows.values() for t in (row.decode_start, row.decode_end))})
    out, found = dict.fromkeys(rows, 0.0), {}
    for left, right in itertools.pairwise(changes):
        batch = [name for name, row in rows.items() if row.decode_start <= left < row.decode_end]
        step = (right - left) / steps
        held = sum(prompts[name] + out[name] for name in batch)
        passed = 0.0
        for _ in range(steps if batch else 0):
            half = passed + step / 2 / pace(machine, len(batch), held + len(batch) * passed)
            passed += step / pace(machine, len(batch), held + len(batch) * half)
        for name in batch:
            out[name] += passed
        found |= {name: out[name] for name, time in asked.items() if time == right}
    return found


def pace(machine, batch, held):
    """tau_j(B, K), seconds."""
    base = machine.decode_coeffs[0] + machine.decode_coeffs[1] * batch
    if machine.batch_curve is not None:
        base = float(np.interp(batch, *zip(*machine.batch_curve, strict=True)))
    return base + machine.decode_coeffs[2] * held


CALLS = CallTimes(
    workflow=np.array([0, 0, 1, 2]),
    output=np.array([3, 5, 2, 1]),
    released=np.array([0.0, 1.0, 1.0, 3.0]),
    prefill_start=np.array([0.5, 1.0, 1.0, 4.0]),
    prefill_end=np.array([1.0, 1.25, 1.5, 5.0]),
    admitted=np.array([1.0, 1.25, 1.5, 6.0]),
    decode_start=np.array([1.0, 1.5, 1.5, 6.0]),
    first_token=np.array([1.5, 2.0, 2.0, 9.0]),
    decode_end=np.array([2.5, 4.0, 3.0, 9.0]),
)
RUN = Completions(np.array([0.5, 1.0, 3.0]), np.array([4.0, 3.0, 9.0]), np.array([2.0, 2.0, 4.0]), CALLS)


@pytest.mark.parametrize(
    ("text", "calls", "workflows"),
    [
        ("ttft=1.5s", 3, 2),  # 1.5, 1, 1, 6
        ("ttft=1s", 2, 1),  # the first workflow has a call of 1.5 s
        ("tpot=0.5s", 3, 2),  # 0.5, 0.5, 1 and none
        ("ttft=1500ms,tpot=500ms", 2, 1),
        ("queueing=0.5s", 3, 2),
        ("admission=999ms", 3, 2),
        ("transfer=0.2s", 3, 2),
        ("ratio=1.5", None, 2),  # 1.75, 1, 1.5
        ("latency=3s", None, 1),
        ("tpot=0.5s,ratio=1.5", 3, 1),
        ("ttft=1us", 0, 0),
    ],
)
def test_within_thresholds_by_hand(text, calls, workflows):
    within = goodput(RUN, read_thresholds(text))
    assert within["workflows_within"] == workflows / 3
    assert within["workflow_goodput"] == workflows / 8.5
    assert within["calls_within"] == (None if calls is None else calls / 4)
    assert within["call_goodput"] == (None if calls is None else calls / 8.5)


def test_a_threshold_that_is_met_to_the_last_bit_but_one_is_met():
    once = Completions(np.zeros(1), np.array([0.1 + 0.2]), np.ones(1), CALLS)
    assert goodput(once, Thresholds(latency=0.3))["workflows_within"] == 1.0


@settings(max_examples=25)
@given(
    instance=corner_instances(),
    names=st.sets(st.sampled_from(Thresholds.names), min_size=1, max_size=3),
    share=st.floats(0, 1),
)
def test_the_verifier_recomputes_every_share(instance, names, share):
    run = simulate(instance, "hexagent")
    report = verify(instance, run.schedule)
    limits = {}
    for name in names:
        values = getattr(run.completions.calls if hasattr(CALLS, name) else run.completions, name)
        limits[name] = max(float(np.nanquantile(values, share)) if np.isfinite(values).any() else 1.0, 1e-3) * 1.001
    claimed = run.goodput(Thresholds(**limits))
    assert report.metrics.goodput(limits) == {
        name: value if value is None else pytest.approx(value, rel=1e-9) for name, value in claimed.items()
    }
    found = report.metrics.per_call
    assert [one.ttft for one in found] == pytest.approx(run.completions.calls.ttft, rel=1e-9, abs=1e-9)
    assert [math.nan if one.tpot is None else one.tpot for one in found] == pytest.approx(
        run.completions.calls.tpot, rel=1e-9, nan_ok=True
    )


def test_thresholds_are_written_in_one_way():
    assert str(read_thresholds(EXAMPLE)) == EXAMPLE
    assert str(read_thresholds(" ratio=4.0 , tpot = 0.05 s,ttft=2000ms")) == EXAMPLE
    assert read_thresholds("latency=1.5min").latency == 90.0
    assert read_thresholds("queueing=1e3us").given == {"queueing": 1e-3}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected NAME=VALUE"),
        ("ttft", "expected NAME=VALUE with commas between them, as in ttft=2s"),
        ("tftt=2s", "unknown name 'tftt'; did you mean 'ttft'?"),
        ("ttft=2s,ttft=3s", "ttft comes twice"),
        ("ttft=2", "ttft needs a unit, one of s, ms, us, min; got '2'"),
        ("tpot=50 msec", "tpot needs a unit"),
        ("ratio=4s", "ratio has no unit"),
        ("ratio=0", "ratio must be a number above 0, got '0'"),
        ("ttft=-1s", "ttft must be a number above 0"),
        ("ttft=1e999s", "ttft must be a number above 0"),
        ("ttft=nan", "ttft must be a number above 0"),
        ("ttft=1e5e5s", "ttft must be a number above 0"),
    ],
)
def test_bad_thresholds(text, told):
    with pytest.raises(InputError) as caught:
        read_thresholds(text)
    assert told in str(caught.value)
