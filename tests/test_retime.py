"""Replaying the decisions of a schedule."""

from __future__ import annotations

import contextlib
import itertools
import math

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from instances import call, corner_instances, named_calls, one_pair, workflow
from msgspec.structs import replace
from reference import serial_schedule
from reference.by_hand import row, schedule, two_calls

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule, ScheduledCall
from hexsched.simulator import replay_run, retime, simulate
from hexsched.verifier import verify

SIDES = (("prefill_instance", "prefill_start"), ("decode_instance", "admitted"))


def check_same_decisions(instance: Instance, decided: Schedule, retimed: Schedule) -> None:
    """Same calls on the same instances, and nothing that came strictly before another now comes after it."""
    was = {(one.workflow_id, one.call_id): one for one in decided.calls}
    now = {(one.workflow_id, one.call_id): one for one in retimed.calls}
    assert list(now) == [name for name, _, _ in named_calls(instance)]
    for side, moment in SIDES:
        assert {name: getattr(one, side) for name, one in now.items()} == {
            name: getattr(one, side) for name, one in was.items()
        }
        for a, b in itertools.permutations(was, 2):
            same_instance = getattr(was[a], side) == getattr(was[b], side)
            if same_instance and getattr(was[a], moment) < getattr(was[b], moment):
                assert getattr(now[a], moment) <= getattr(now[b], moment)


@settings(max_examples=8)
@given(instance=corner_instances())
def test_a_retimed_run_is_valid_and_makes_the_same_decisions(policy_name, instance):
    decided = simulate(instance, policy_name).schedule
    retimed = retime(instance, decided)
    assert verify(instance, retimed).violations == ()
    assert retimed.policy == decided.policy
    check_same_decisions(instance, decided, retimed)


@settings(max_examples=40)
@given(instance=corner_instances(), seed=st.integers(0, 2**32 - 1))
def test_a_retimed_schedule_with_pauses_is_valid_and_makes_the_same_decisions(instance, seed):
    decided = serial_schedule(instance, np.random.default_rng(seed))
    retimed = retime(instance, decided)
    assert verify(instance, retimed).violations == ()
    check_same_decisions(instance, decided, retimed)


@settings(max_examples=8)
@given(instance=corner_instances(decode_model="fixed"))
def test_fixed_nothing_gets_later(policy_name, instance):
    # When durations do not depend on what else runs, each step waits only for steps that are no later than before.
    # (In ``fluid`` that is not so: a call that joins a batch earlier slows the others.)
    decided = simulate(instance, policy_name).schedule
    for was, now in zip(decided.calls, retime(instance, decided).calls, strict=True):
        assert now.prefill_start <= was.prefill_start
        assert now.admitted <= was.admitted
        assert now.decode_end <= was.decode_end


@pytest.mark.parametrize("placement", ["round-robin", "random", "jsq", "least-kv", "earliest-finish"])
@settings(max_examples=20)
@given(instance=corner_instances())
def test_first_come_first_served_is_its_own_replay(placement, instance):
    # It leaves nothing idle that its order would let start, and its order is that of entering the queues.
    decided = simulate(instance, f"fcfs@{placement}").schedule
    assert retime(instance, decided) == decided


@settings(max_examples=8)
@given(instance=corner_instances())
def test_retiming_a_run_twice_changes_nothing_more(policy_name, instance):
    once = retime(instance, simulate(instance, policy_name).schedule)
    admissions = [(one.decode_instance, one.admitted) for one in once.calls]
    assume(len(set(admissions)) == len(admissions))  # times do not tell the order of admissions at one instant
    assert retime(instance, once) == once


def test_admissions_at_one_instant_go_by_the_end_of_prefill():
    # A goes first. B, prefilled a second before A, is kept waiting for it; both are then admitted at 13 s.
    instance = two_calls()
    order = schedule(row("A", 10, 13, 13, 14.5, 22.4), row("B", 7, 12, 15.22, 17.72, 24.125, prefill="p1"))
    once = retime(instance, order)
    assert [one.admitted for one in once.calls] == [13, 13]
    assert [one.admitted for one in retime(instance, once).calls] == [13, 12]


def test_idle_time_goes_and_order_stays_by_hand():
    # B first though it is prefilled later: A waits for it. Times from the model's formulas, see ``one_pair``.
    instance = one_pair(workflow("A", 0, call("c0", 10, 4)), workflow("B", 0, call("c0", 20, 2)))
    order = schedule(row("A", 50, 53, 90, 91.5, 97.98), row("B", 60, 67, 80, 82.5, 85.92))
    retimed = retime(instance, order)
    # A prefills 0-3, B 3-10; B is admitted at 10, A right after it; B decodes from 12.5, A from 11.5
    # A alone for 1 s: 1.6 v + 0.005 v^2 = 1, then both
    alone = (-1.6 + math.sqrt(1.6**2 + 0.02)) / 0.01
    tau = 2 + 0.01 * (10 + alone + 20)
    b_end = 12.5 + tau * 2 + 0.02 * 2**2 / 2
    left = 4 - alone - 2
    a_end = b_end + (1.5 + 0.01 * (10 + alone + 2)) * left + 0.01 * left**2 / 2
    expected = [row("A", 0, 3, 10, 11.5, a_end), row("B", 3, 10, 10, 12.5, b_end)]
    for one, wanted in zip(retimed.calls, expected, strict=True):
        assert msgspec.structs.astuple(one) == pytest.approx(msgspec.structs.astuple(wanted), abs=1e-12)


def test_replay_run_measures_what_it_replays():
    instance = one_pair(workflow("A", 0, call("c0", 10, 4)), workflow("B", 0, call("c0", 20, 2)))
    run = replay_run(instance, simulate(instance, "sjf").schedule)
    report = verify(instance, run.schedule)
    assert report.metrics is not None
    assert run.metrics.mean_ratio == pytest.approx(report.metrics.mean_ratio, rel=1e-12)
    assert list(run.to_frame()["workflow_id"]) == ["A", "B"]


def test_interpreted_replay_is_the_same(policy_name):
    instance = one_pair(
        workflow("A", 0, call("c0", 10, 4), call("c1", 12, 9, "c0", delay=0.5)),
        workflow("B", 0, call("c0", 20, 2)),
        max_batch=2,
    )
    decided = simulate(instance, policy_name).schedule
    assert retime(instance, decided, compiled=False).to_bytes() == retime(instance, decided).to_bytes()


# --- schedules that cannot be replayed -------------------------------------------------------------------------------

CHAIN = one_pair(
    workflow("w", 0, call("a", 10, 4), call("b", 20, 2, "a")), workflow("v", 0, call("c", 30, 5)), max_batch=1
)
GOOD = simulate(CHAIN, "fcfs").schedule


def edited(position: int, **changes: object) -> tuple[ScheduledCall, ...]:
    """The calls of ``GOOD`` with one of them changed."""
    calls = list(GOOD.calls)
    calls[position] = replace(calls[position], **changes)
    return tuple(calls)


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        (GOOD.calls[:-1], "lacks call v/c"),
        ((), "lacks call w/a"),
        ((*GOOD.calls, GOOD.calls[0]), "call w/a twice"),
        (edited(0, call_id="z"), "call w/z, which the instance has not"),
        (edited(0, prefill_instance="p7"), "prefill_instance 'p7' is unknown; known are p0"),
        (edited(1, decode_instance="p0"), "decode_instance 'p0' is unknown; known are d0"),
        (edited(0, prefill_start=math.nan), "prefill_start is nan"),
        (edited(2, admitted=math.inf), "admitted is inf"),
        (edited(2, prefill_start=-math.inf), "prefill_start is -inf"),
        (edited(1, prefill_start=-1.0), "wait for each other"),  # b before its parent a
        (edited(1, admitted=-1.0), "wait for each other"),
    ],
)
def test_bad_schedules(calls, message):
    with pytest.raises(InputError) as caught:
        retime(CHAIN, replace(GOOD, calls=calls))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_call_that_does_not_fit_where_it_is_placed():
    small = replace(CHAIN.decode[0], id="d1", kv_capacity_tokens=30)
    links = (*CHAIN.links, replace(CHAIN.links[0], to="d1"))
    instance = replace(CHAIN, decode=(*CHAIN.decode, small), links=links)
    with pytest.raises(InputError, match="call v/c does not fit on 'd1': it needs 35 KV tokens, the cache holds 30"):
        retime(instance, replace(GOOD, calls=edited(2, decode_instance="d1")))


@settings(max_examples=60)
@given(instance=corner_instances(), seed=st.integers(0, 2**32 - 1))
def test_any_order_is_replayed_or_refused(instance, seed):
    # never a hang, never an invalid schedule
    rng = np.random.default_rng(seed)
    decided = simulate(instance, "fcfs").schedule
    shaken = replace(
        decided,
        calls=tuple(
            replace(one, prefill_start=float(rng.integers(4)), admitted=float(rng.integers(4)))
            if rng.random() < 0.3
            else one
            for one in decided.calls
        ),
    )
    with contextlib.suppress(InputError):
        retimed = retime(instance, shaken)
        assert verify(instance, retimed).violations == ()
        check_same_decisions(instance, shaken, retimed)
