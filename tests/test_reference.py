"""The token by token reference: checked by hand, then used to measure what fluid decode gives away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import instances, replay_tokens, serial_schedule
from reference.by_hand import row, schedule, two_calls

from hexsched.model import Schedule
from hexsched.verifier import verify

ORDER = schedule(row("A", 10, 13, 13, 14.5, 22.40), row("B", 7, 12, 15.22, 17.72, 24.125, prefill="p1"))


def test_iterations_by_hand():
    # A's KV is there at 14.5: one iteration alone, 1.5 + 0.01 * 10, until 16.1. B's came at 15.5 and joins then.
    # Three iterations together: 2 + 0.01 * (11 + 20), then * (12 + 21), then * (13 + 22). Both are done.
    run = replay_tokens(two_calls(), ORDER)
    end = 16.1 + 2.31 + 2.33 + 2.35
    expected = [row("A", 10, 13, 13, 14.5, end), row("B", 7, 12, 13, 16.1, end, prefill="p1")]
    for claim, wanted in zip(run.calls, expected, strict=True):
        for name in ("prefill_start", "prefill_end", "admitted", "decode_start", "decode_end"):
            assert getattr(claim, name) == pytest.approx(getattr(wanted, name), abs=1e-12)


def test_admission_waits_for_room_by_hand():
    # One place: A's four iterations alone take 1.6 + 1.61 + 1.62 + 1.63; only then is B admitted, 2.5 s of transfer.
    run = replay_tokens(two_calls(max_batch=1), ORDER)
    assert run.calls[0].decode_end == pytest.approx(14.5 + 6.46, abs=1e-12)
    assert run.calls[1].admitted == run.calls[0].decode_end
    assert run.calls[1].decode_end == pytest.approx(20.96 + 2.5 + 1.70 + 1.71 + 1.72, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(instance=instances(output=(1, 100)), seed=st.integers(0, 2**32 - 1))
def test_token_run_keeps_every_rule_but_the_fluid_pace(instance, seed):
    run = replay_tokens(instance, serial_schedule(instance, np.random.default_rng(seed)))
    assert set(verify(instance, run).counts()) <= {"long-transfer", "short-decode", "long-decode"}


def order(plan: Schedule, side: str, moment: str) -> list[tuple[str, str, str]]:
    """(instance, workflow, call) in the order of a moment on each instance."""
    rows = sorted(plan.calls, key=lambda claim: getattr(claim, moment))
    return sorted(((getattr(c, side), c.workflow_id, c.call_id) for c in rows), key=lambda place: place[0])


@settings(max_examples=40, deadline=None)
@given(instance=instances(), seed=st.integers(0, 2**32 - 1))
def test_retimed_decisions_are_a_valid_schedule(instance, seed):
    from hexsched.simulator import retime

    decided = serial_schedule(instance, np.random.default_rng(seed))
    retimed = retime(instance, decided)
    assert verify(instance, retimed).violations == ()
    for side, moment in (("prefill_instance", "prefill_start"), ("decode_instance", "admitted")):
        assert order(retimed, side, moment) == order(decided, side, moment)


def test_fluid_decode_is_close_to_whole_tokens():
    from reference.fluid_error import fluid_errors

    errors = np.abs(fluid_errors(200, seed=0))
    print(f"median {np.median(errors):.4%}, worst {errors.max():.4%} over {len(errors)} workflows")
    assert np.median(errors) < 0.01
    assert errors.max() < 0.1
