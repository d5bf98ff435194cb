"""The verifier's batches in arrays, against the same followed change by change."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from hexsched.model import DecodeInstance
from hexsched.verifier.batches import FEW, TOGETHER, batches_of


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


@pytest.mark.parametrize("growth", [0.0, 1e-7, 1e-3])
@pytest.mark.parametrize(("calls", "together"), [(1, 1), (40, 3), (1000, 30)])  # the last one by rounds, or by one
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


@pytest.mark.parametrize("growth", [1e-7, 1e-3])
def test_both_ways_to_go_on_agree(growth, monkeypatch):
    """Over several times as many changes as are looked at together, by rounds and change by change."""
    rng = np.random.default_rng(1)
    calls = 2 * TOGETHER
    start = np.sort(rng.uniform(0, 3 * calls, calls))
    end = start + rng.exponential(60, calls) + 0.1
    given = machine(growth), start, end, rng.integers(1, 3000, calls).astype(float)
    together = batches_of(*given)
    monkeypatch.setattr("hexsched.verifier.batches.FEW", TOGETHER + 1)
    one_by_one = batches_of(*given)
    assert FEW < TOGETHER
    np.testing.assert_allclose(together.tokens(), one_by_one.tokens(), rtol=1e-9)
    np.testing.assert_allclose(together.pace, one_by_one.pace, rtol=1e-9)
    assert (np.diff(together.done) >= 0).all()


def test_times_without_an_end_settle_at_once():
    far = np.array([0.0, 1e300]), np.array([1e300, np.finfo(float).max]), np.array([1.0, 1.0])
    with np.errstate(all="ignore"):
        tokens = batches_of(machine(1e-7), *far).tokens()
    assert len(tokens) == 2
