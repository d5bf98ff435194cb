"""The verifier's batches in arrays, against the same followed change by change."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from msgspec.structs import asdict, replace

import hexsched as hx
from hexsched.model import DecodeInstance
from hexsched.verifier.batches import TOGETHER, batches_of
from hexsched.verifier.physics import fluid_tokens


def machine(growth):
    return DecodeInstance(
        id="d",
        gpu="any",
        decode_coeffs=(0.01, 0.0001, growth),
        fixed_iteration_time=0.1,
        kv_capacity_tokens=10**9,
        max_batch=10**4,
    )


def by_the_book(growth, start, end, prompt):
    """Tokens of each call and the time of its first one; joins and leaves in the order of time, joins first."""
    changes = sorted([(t, 0, c) for c, t in enumerate(start)] + [(t, 1, c) for c, t in enumerate(end)])
    got = dict.fromkeys(range(len(start)), 0.0)
    first, inside, now = {}, [], 0.0
    for time, leaves, call in changes:
        if inside and time > now:
            pace = 0.01 + 0.0001 * len(inside) + growth * sum(prompt[c] + got[c] for c in inside)
            slope = growth * len(inside)
            iterations = 2 * (time - now) / (pace + sqrt(pace**2 + 2 * slope * (time - now)))
            for c in inside:
                left = 1.0 - got[c]
                if 0 < left <= iterations:
                    first[c] = now + pace * left + slope * left**2 / 2
                got[c] += iterations
        now = time
        inside = [c for c in inside if c != call] if leaves else [*inside, call]
    return np.array(list(got.values())), first


@pytest.mark.parametrize("growth", [0.0, 1e-7, 1e-6])
@pytest.mark.parametrize(("calls", "together"), [(1, 1), (40, 3), (1000, 30)])
def test_tokens_and_first_tokens_are_by_the_book(growth, calls, together):
    rng = np.random.default_rng(calls)
    start = np.sort(rng.uniform(0, 60 * calls / together, calls)).round(1)  # so that some come at one time
    end = start + rng.exponential(60, calls).round(1) + 0.1
    prompt = rng.integers(1, 3000, calls).astype(float)
    batches = batches_of(machine(growth), start, end, prompt)
    tokens, first = by_the_book(growth, start.tolist(), end.tolist(), prompt.tolist())
    np.testing.assert_allclose(batches.tokens(), tokens, rtol=1e-9)
    known = list(first)
    np.testing.assert_allclose(batches.first_tokens()[known], list(first.values()), rtol=1e-12)
    assert len(known) > calls / 3


def test_over_many_changes_they_are_those_of_the_loop():
    rng = np.random.default_rng(1)
    calls = 2 * TOGETHER
    start = np.sort(rng.uniform(0, 3 * calls, calls))
    given = machine(1e-7), start, start + rng.exponential(60, calls) + 0.1, rng.integers(1, 3000, calls).astype(float)
    batches = batches_of(*given)
    np.testing.assert_allclose(batches.tokens(), fluid_tokens(*given), rtol=1e-9)
    assert (np.diff(batches.done) >= 0).all()


def test_batches_that_do_not_settle_are_left_to_the_loop(monkeypatch):
    monkeypatch.setattr("hexsched.verifier.batches.MOST_ROUNDS", 1)
    given = machine(1e-6), np.arange(0.0, 40), np.arange(0.0, 40) + 20, np.ones(40)
    assert batches_of(*given) is None
    assert batches_of(machine(0.0), *given[1:]) is not None  # where nothing depends on tokens, one is enough


def test_times_too_large_settle_at_once():
    far = np.array([0.0, 1e300]), np.array([1e300, np.finfo(float).max]), np.array([1.0, 1.0])
    with np.errstate(all="ignore"):
        assert batches_of(machine(1e-7), *far) is not None


@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
def test_the_report_is_the_same(decode_model, monkeypatch):
    """With arrays for every instance that serves anything, and with the loop; so of a schedule that is wrong."""
    instance = replace(hx.instance("demo", "bfcl", workflows=30, arrivals="fixed:2"), decode_model=decode_model)
    schedule = hx.simulate(instance, "fcfs").schedule
    late = schedule.calls[40]
    broken = (*schedule.calls[:40], replace(late, decode_end=late.decode_end + 1), *schedule.calls[41:])
    by_loop = [hx.verify(instance, each) for each in (schedule, replace(schedule, calls=broken))]
    monkeypatch.setattr("hexsched.verifier.claims.MANY", 1)
    in_arrays = [hx.verify(instance, each) for each in (schedule, replace(schedule, calls=broken))]
    assert [report.ok for report in in_arrays] == [True, False]
    for one, other in zip(by_loop, in_arrays, strict=True):
        assert other.counts() == one.counts()
        excesses = [[violation.excess for violation in report.violations] for report in (one, other)]
        assert excesses[1] == pytest.approx(excesses[0], rel=1e-6)
    for name, value in asdict(by_loop[0].metrics).items():
        if isinstance(value, float):
            assert getattr(in_arrays[0].metrics, name) == pytest.approx(value, rel=1e-9), name
