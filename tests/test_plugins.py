"""Orders and policies in plain Python: the same engine, nothing compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instance, corner_instances, one_pair, workflow
from msgspec.structs import replace

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.policies import (
    PLACEMENTS,
    Policy,
    policies,
    read_policy,
    register,
    register_order,
    register_policy,
    unregister,
)
from hexsched.simulator import simulate
from hexsched.simulator.view import CallView, View
from hexsched.verifier import verify

pytestmark = pytest.mark.quick

INSTANCE = corner_instance(np.random.default_rng(6), workflows=(6, 6), calls=(2, 5), arrivals="together")


def same_times(one: Schedule, other: Schedule) -> bool:
    """Whether two schedules differ in nothing but the name of their policy."""
    return replace(one, policy="") == replace(other, policy="")


# --- orders ----------------------------------------------------------------------------------------------------------

ORDERS = {
    "fcfs": lambda call, now: now,  # asked when the call enters a queue
    "workflow-fcfs": lambda call, now: call.arrival,
    "critical-path": lambda call, now: -call.path,
}


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("name", ORDERS)
@settings(max_examples=8)
@given(instance=corner_instances(), estimator=st.sampled_from(["exact", "noise(0.3)", "class_mean"]))
def test_an_order_in_python_equals_the_built_in(name, placement, instance, estimator):
    register_order("twin", "as the built-in")(ORDERS[name])
    try:
        ours, theirs = (
            simulate(instance, f"{one}@{placement}", estimator=estimator, seed=2).schedule for one in ("twin", name)
        )
    finally:
        unregister("twin")
    assert same_times(ours, theirs)


@pytest.mark.parametrize("seed", range(10))
def test_sjf_in_python_where_only_prefill_is_contended(seed):
    # what is left of a call after prefill is not on the view; with one roomy decode instance nobody asks
    instance = corner_instance(np.random.default_rng(seed), workflows=(6, 6), arrivals="together", room="loose")
    first = instance.decode[0]
    instance = replace(instance, decode=(first,), links=tuple(link for link in instance.links if link.to == first.id))
    register_order("by-best", "shortest first")(lambda call, now: call.best)
    for placement in ("plan", "jsq", "earliest-finish"):
        ours, theirs = (simulate(instance, f"{one}@{placement}").schedule for one in ("by-best", "sjf"))
        assert same_times(ours, theirs)


def test_an_order_is_asked_once_for_each_queue():
    asked: list[tuple[str, float]] = []

    @register_order("asks", "first come, first served")
    def key(call: CallView, now: float) -> float:
        asked.append((repr(call), now))
        return now

    schedule = simulate(INSTANCE, "asks").schedule
    expected = []
    for row in schedule.calls:
        name = f"<call {row.workflow_id}/{row.call_id}>"
        expected += [name, name]
    assert sorted(name for name, _ in asked) == sorted(expected)
    assert asked == sorted(asked, key=lambda one: one[1])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_priority_must_be_finite(bad):
    register_order("bad", "not finite")(lambda call, now: bad if call.call_id == "c1" else now)
    with pytest.raises(InputError, match=r"policy 'bad' gave <call w\d/c1> the priority"):
        simulate(INSTANCE, "bad")


@pytest.mark.parametrize("stage", ["order", "policy"])
def test_what_a_policy_raises_comes_through(stage):
    class Confused:
        def decide(self, view: View) -> None:
            raise ZeroDivisionError("mine")

    def confused(call: CallView, now: float) -> float:
        raise ZeroDivisionError("mine")

    if stage == "order":
        register_order("confused", "raises")(confused)
    else:
        register_policy("confused", "raises")(Confused)
    with pytest.raises(ZeroDivisionError, match="mine"):
        simulate(INSTANCE, "confused")


# --- whole policies --------------------------------------------------------------------------------------------------


class FirstFit:
    """Whatever comes first, on the first instance that will do."""

    def decide(self, view: View) -> None:
        for prefill in view.prefill:
            if prefill.idle and view.ready:
                view.start(view.ready[0], prefill)
        for waiting in list(view.prefilled):
            any(view.admit(waiting, decode) for decode in view.decode)


@settings(max_examples=40)
@given(instance=corner_instances(), estimator=st.sampled_from(["exact", "noise(0.3)", "class_mean"]))
def test_a_whole_policy(instance, estimator):
    register_policy("first-fit", "the first that will do", source="here")(FirstFit)
    try:
        run = simulate(instance, "first-fit", estimator=estimator)
    finally:
        unregister("first-fit")
    report = verify(instance, run.schedule)
    assert report.violations == ()
    assert report.metrics is not None
    assert run.metrics.max_ratio == pytest.approx(report.metrics.max_ratio, rel=1e-9)


@pytest.mark.parametrize("estimator", ["exact", "noise(0.3)", "class_mean"])
def test_python_policies_run_interpreted_too(estimator):
    register_policy("first-fit", "the first that will do")(FirstFit)
    register_order("by-arrival", "workflows in order")(lambda call, now: call.arrival)
    for name in ("first-fit", "by-arrival", "by-arrival@least-kv"):
        compiled, interpreted = (
            simulate(INSTANCE, name, estimator=estimator, compiled=way).schedule.to_bytes() for way in (True, False)
        )
        assert compiled == interpreted


def test_each_run_gets_a_policy_of_its_own():
    made = []

    @register_policy("counts", "how often it was made")
    class Counts(FirstFit):
        def __init__(self) -> None:
            made.append(self)

    for _ in range(3):
        simulate(INSTANCE, "counts")
    assert len(made) == 3


def run_with(decide: Any, instance: Instance = INSTANCE) -> None:
    """Run a policy that is one function."""
    register_policy("under-test", "misbehaves")(type("UnderTest", (), {"decide": lambda self, view: decide(view)}))
    simulate(instance, "under-test")


def first_fit(view: View) -> None:
    FirstFit().decide(view)


def leave_all(view: View) -> None:
    pass


def leave_one(view: View) -> None:
    view.prefilled[:] = [one for one in view.prefilled if one.call_id != "c0"]
    first_fit(view)


def start_on_busy(view: View) -> None:
    for ready in list(view.ready):
        view.start(ready, view.prefill[0])


def start_twice(view: View) -> None:
    if view.ready:
        ready = view.ready[0]
        view.start(ready, view.prefill[0])
        view.start(ready, view.prefill[-1])


def admit_before_prefill(view: View) -> None:
    for ready in view.ready:
        view.admit(ready, view.decode[0])


def admit_twice(view: View) -> None:
    waiting = list(view.prefilled)
    first_fit(view)
    for one in waiting:
        if one not in view.prefilled:
            view.admit(one, view.decode[0])


@pytest.mark.parametrize(
    ("decide", "message"),
    [
        (leave_all, f"policy 'under-test' left {INSTANCE.call_count} of {INSTANCE.call_count} calls unserved"),
        (leave_one, f"of {INSTANCE.call_count} calls unserved"),
        (start_on_busy, "which is busy"),
        (start_twice, "which is not ready"),
        (admit_before_prefill, "which does not wait for admission"),
        (admit_twice, "which does not wait for admission"),
    ],
)
def test_wrong_policies(decide, message):
    with pytest.raises(InputError) as caught:
        run_with(decide)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_admission_is_refused_without_room():
    refused = []

    def decide(view: View) -> None:
        if view.ready and view.prefill[0].idle:
            view.start(view.ready[0], view.prefill[0])
        for waiting in list(view.prefilled):
            if not view.admit(waiting, view.decode[0]):
                refused.append((waiting.workflow_id, view.now))
                assert waiting in view.prefilled

    run_with(decide, one_pair(workflow("A", 0, call("c", 10, 4)), workflow("B", 0, call("c", 10, 4)), max_batch=1))
    assert refused == [("B", 6.0)]  # and again only when A is done, which makes room


def test_a_view_answers_as_the_model_does():
    # P(20, 5) = 1 + 1.5 + 0.01 * (400 - 25), T(20) = 2.5, best = P + T + (1.5 + 0.2) * 4 + 0.08, g(8) = 5
    seen = []

    def decide(view: View) -> None:
        if view.ready:
            (ready,), (prefill,), (decode,) = view.ready, view.prefill, view.decode
            assert (ready.workflow_id, ready.call_id, ready.kind) == ("w", "c", "plan")
            assert (ready.prompt_tokens, ready.cached_tokens, ready.estimated_output_tokens) == (20, 5, 4)
            assert (ready.arrival, ready.released, ready.attained) == (1, 3, 0)
            assert ready.best == pytest.approx(6.25 + 2.5 + 6.88)
            assert ready.path == ready.horizon == pytest.approx(2 + 6.25 + 2.5 + 6.88)
            assert (view.now, prefill.id, prefill.idle, decode.id) == (3, "p0", True, "d0")
            assert prefill.seconds(ready) == pytest.approx(6.25)
            assert prefill.transfer_seconds(ready, decode) == pytest.approx(2.5)
            assert (decode.admitted, decode.max_batch, decode.kv_capacity, decode.kv_reserved) == (0, 8, 1000, 0)
            assert decode.can_hold(ready)
            assert decode.iteration_seconds(1, 100) == pytest.approx(1.5 + 1)
            seen.append(view.now)
        first_fit(view)

    run_with(decide, one_pair(workflow("w", 1, call("c", 20, 4, h=5, delay=2, kind="plan"))))
    assert seen == [3]


def test_iteration_time_of_a_batch_larger_than_the_workload():
    # g(8) = 1 + 0.5 * 8 on an instance for 8 calls, however few calls there are in all
    def decide(view: View) -> None:
        assert view.decode[0].iteration_seconds(8, 100) == pytest.approx(5 + 1)
        first_fit(view)

    run_with(decide, one_pair(workflow("w", 0, call("c", 20, 4))))


# --- the registry ----------------------------------------------------------------------------------------------------


def test_a_name_is_taken_once():
    with pytest.raises(InputError, match="policy name 'fcfs' is taken"):
        register(Policy("fcfs", "again"))


@pytest.mark.parametrize("name", ["", "My Policy", "a@b", "a(b)", "-a"])
def test_a_name_can_be_written(name):
    with pytest.raises(InputError, match="use lower-case letters"):
        register(Policy(name, "unreadable"))


def test_a_whole_policy_takes_no_placement():
    register_policy("first-fit", "the first that will do")(FirstFit)
    with pytest.raises(InputError, match="'first-fit' does its own placement, '@jsq' does not apply"):
        read_policy("first-fit@jsq")


def test_unregistered_is_unknown():
    register_order("gone", "soon")(lambda call, now: now)
    assert "gone" in [one.name for one in policies()]
    unregister("gone")
    with pytest.raises(InputError, match="unknown policy 'gone'"):
        read_policy("gone")
