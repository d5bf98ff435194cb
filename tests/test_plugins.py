"""Orders and policies in plain Python: the same engine, nothing compiled."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instance, corner_instances, one_pair, workflow
from msgspec.structs import replace

from hexsched.contract import releases
from hexsched.errors import InputError, InputWarning
from hexsched.model import Instance, Schedule
from hexsched.policies import (
    PLACEMENTS,
    Policy,
    as_policy,
    order,
    placement,
    policies,
    policy,
    read_policies,
    read_policy,
    register,
    unregister,
)
from hexsched.simulator import simulate
from hexsched.simulator.views.calls import CallView, WorkflowView
from hexsched.simulator.views.machines import DecodeView, PrefillView
from hexsched.simulator.views.view import View
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
    order("twin", summary="as the built-in")(ORDERS[name])
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
    order("by-best", summary="shortest first")(lambda call, now: call.best)
    for where in ("plan", "jsq", "earliest-finish"):
        ours, theirs = (simulate(instance, f"{one}@{where}").schedule for one in ("by-best", "sjf"))
        assert same_times(ours, theirs)


def test_an_order_is_asked_once_for_each_queue():
    asked: list[tuple[str, float]] = []

    @order("asks", summary="first come, first served")
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


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 10**400])
def test_a_priority_must_be_finite(bad):
    order("bad", summary="not finite")(lambda call, now: bad if call.call_id == "c1" else now)
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
        order("confused", summary="raises")(confused)
    else:
        policy("confused", summary="raises")(Confused)
    with pytest.raises(ZeroDivisionError, match="mine"):
        simulate(INSTANCE, "confused")


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda call: call.output_tokens, "a call has no 'output_tokens': .*estimated_output_tokens"),
        (lambda call: call.prompt_token, "a call has no 'prompt_token': did you mean 'prompt_tokens'"),
        (lambda call: call.zzz, "a call has no 'zzz': known are .*arrival.*workflow_id"),
        (lambda call: call.workflow.horizn, "a workflow has no 'horizn': did you mean 'horizon'"),
    ],
)
def test_what_is_not_shown_is_told(ask, told):
    order("asks", summary="asks for it")(lambda call, now: ask(call))
    with pytest.raises(AttributeError, match=told):
        simulate(INSTANCE, "asks")


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
    policy("first-fit", summary="the first that will do", source="here")(FirstFit)
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
    policy("first-fit", summary="the first that will do")(FirstFit)
    order("by-arrival", summary="workflows in order")(lambda call, now: call.arrival)
    for name in ("first-fit", "by-arrival", "by-arrival@least-kv"):
        compiled, interpreted = (
            simulate(INSTANCE, name, estimator=estimator, compiled=way).schedule.to_bytes() for way in (True, False)
        )
        assert compiled == interpreted


def test_each_run_gets_a_policy_of_its_own():
    made = []

    @policy("counts", summary="how often it was made")
    class Counts(FirstFit):
        def __init__(self) -> None:
            made.append(self)

    for _ in range(3):
        simulate(INSTANCE, "counts")
    assert len(made) == 3


def run_with(decide: Any, instance: Instance = INSTANCE) -> None:
    """Run a policy that is one function."""
    policy("under-test", summary="misbehaves")(type("UnderTest", (), {"decide": lambda self, view: decide(view)}))
    simulate(instance, "under-test")


def first_fit(view: View) -> None:
    FirstFit().decide(view)


def leave_all(view: View) -> None:
    pass


def leave_one(view: View) -> None:
    for ready, prefill in zip(view.ready, [one for one in view.prefill if one.idle], strict=False):
        view.start(ready, prefill)
    for waiting in view.prefilled:
        if waiting.call_id != "c0":
            any(view.admit(waiting, decode) for decode in view.decode)


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
    waiting = view.prefilled
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
    with pytest.raises(InputError, match="policy name 'fcfs' is that of a policy of hexsched; choose another"):
        register(Policy("fcfs", "again"))


@pytest.mark.parametrize("name", ["", "My Policy", "a@b", "a(b)", "-a"])
def test_a_name_can_be_written(name):
    with pytest.raises(InputError, match="use lower-case letters"):
        register(Policy(name, "unreadable"))


def test_a_whole_policy_takes_no_placement():
    policy("first-fit", summary="the first that will do")(FirstFit)
    with pytest.raises(InputError, match="'first-fit' does its own placement, '@jsq' does not apply"):
        read_policy("first-fit@jsq")


def test_unregistered_is_unknown():
    order("gone", summary="soon")(lambda call, now: now)
    assert "gone" in [one.name for one in policies()]
    unregister("gone")
    with pytest.raises(InputError, match="unknown policy 'gone'"):
        read_policy("gone")


# --- what may stand where a policy is asked for ----------------------------------------------------------------------


def by_size(call: CallView, now: float, *, weight: float = 1.0, longest: bool = True) -> float:
    """The longest prompt first."""
    return -weight * call.prompt_tokens if longest else weight * call.prompt_tokens


class Sized:
    """As ``by_size``."""

    def __init__(self, weight: float = 1.0, longest: bool = True) -> None:
        self.weight, self.longest = weight, longest

    def key(self, call: CallView, now: float) -> float:
        return by_size(call, now, weight=self.weight, longest=self.longest)


def times(policy: Any, instance: Instance = INSTANCE) -> Schedule:
    return replace(simulate(instance, policy).schedule, policy="")


def test_functions_classes_and_objects_are_policies():
    longest, shortest = times(by_size), times(partial(by_size, longest=False))
    assert longest != shortest
    assert times(Sized) == times(Sized()) == times(lambda call, now: -call.prompt_tokens) == longest
    assert times(Sized(longest=False)) == shortest
    assert times(FirstFit) == times(FirstFit()) == times(first_fit)
    names = [one.name for one in read_policies([by_size, Sized(longest=False), FirstFit, "fcfs,sjf@jsq"])]
    assert names == ["by-size", "sized(longest=off)", "first-fit", "fcfs", "sjf@jsq"]


def test_decorated_things_go_by_their_name():
    named = order("of-mine", summary="mine", placement="jsq")(by_size)
    assert named is by_size
    assert as_policy(by_size).name == "of-mine"
    assert (read_policy("of-mine").placement, read_policy("of-mine").summary) == ("jsq", "mine")
    del by_size.__hexsched_policy__
    order(Sized)
    assert read_policy("sized").summary == "As ``by_size``"
    assert as_policy(Sized(weight=2.0)).name == "sized(weight=2.0)"
    assert times(Sized(longest=False)) == times("sized(longest=off)")
    del Sized.__hexsched_policy__


def test_options_of_ones_own():
    order("sized")(by_size)
    order("by-mode")(by_mode)
    del by_size.__hexsched_policy__
    assert read_policy("sized").options == {"weight": 1.0, "longest": "on"}
    assert times("sized(weight=0.5)") == times("sized") != times("sized(longest=off)") == times("sized(weight=-1)")
    for text, message in [
        ("sized(width=1)", "policy 'sized' has no option 'width'; it has weight, longest"),
        ("sized(weight=x)", "option 'weight' of policy 'sized' must be a number, got 'x'"),
        ("sized(weight=nan)", "must be from -1e9 to 1e9, got nan"),
        ("sized(longest=maybe)", "must be on or off, got 'maybe'"),
        ("by-mode(mode=c)", "must be a or b, got 'c'"),
        ("by-mode(depth=1.5)", "must be a whole number"),
    ]:
        with pytest.raises(InputError, match=message.replace("(", r"\(")):
            read_policy(text)


def by_mode(call: CallView, now: float, *, mode: Literal["a", "b"] = "a", depth: int = 1) -> float:
    return now


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (
            3,
            "a name, key(call, now), or a class or object with decide(view) or key(call, now); got 3",
        ),
        (int, "int has none of them"),
        (lambda: 0, "policy 'lambda': expected key(call, now) or decide(view), got <lambda>()"),
        (lambda call, now, *, width: 0, "argument 'width' has no default, so it is no option"),
        (lambda call, now, *, width=None: 0, "the default of option 'width' is None; expected a number, a text"),
    ],
)
def test_what_is_no_policy_is_told(thing, message):
    with pytest.raises(InputError) as caught:
        simulate(INSTANCE, thing)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_of_one_name_are_told():
    with pytest.raises(InputError, match="two different policies are called 'lambda'; name one of them"):
        read_policies([lambda call, now: now, lambda call, now: -now])
    assert len(read_policies([by_size, by_size])) == 1


def test_a_name_of_ones_own_can_be_given_anew():
    order("again")(lambda call, now: now)
    assert times("again") == times("fcfs")
    with pytest.warns(InputWarning, match="policy 'again' is defined again"):
        order("again")(lambda call, now: -call.prompt_tokens)
    assert times("again") == times(by_size)


def test_an_object_is_fresh_in_each_run():
    counter = Counting()
    assert times(counter) == times(counter) == times(Counting)
    assert counter.calls == 0


class Counting:
    """In the order of a count that goes on."""

    def __init__(self) -> None:
        self.calls = 0

    def key(self, call: CallView, now: float) -> float:
        self.calls += 1
        return self.calls


# --- what a view gives, and what is told -----------------------------------------------------------------------------


def test_a_loop_that_starts_calls_visits_all_of_them():
    seen = []

    def decide(view: View) -> None:
        for ready in view.ready:
            seen.append(ready.call_id)
            idle = [one for one in view.prefill if one.idle]
            if idle:
                view.start(ready, idle[0])
        for waiting in view.prefilled:
            view.admit(waiting, view.decode[0])

    run_with(decide, one_pair(*(workflow(f"w{k}", 0, call(f"c{k}", 10, 4)) for k in range(4))))
    assert seen[:4] == ["c0", "c1", "c2", "c3"]


def test_what_may_be_observed_of_calls_and_instances():
    # P(10) = 1 + 1 + 1 = 3, T(10) = 1.5, and a batch of one takes 1.5 s a token and 0.01 for each token held
    at: dict[float, dict[str, Any]] = {}

    def decide(view: View) -> None:
        (prefill,), (decode,) = view.prefill, view.decode
        first = next((flow for flow in {one.workflow for one in (*view.ready, *view.prefilled)}), None)
        if view.ready:
            place = view.projected(view.ready[0])
            assert (place.prefill, place.decode) == (prefill, decode)
        at[view.now] = {
            "calls": [] if first is None else [one.call_id for one in first.calls],
            "ready": [(one.call_id, one.depth, [p.call_id for p in one.parents], one.kind) for one in view.ready],
            "running": (prefill.running and prefill.running.call_id, [one.call_id for one in decode.running]),
            "room": (decode.kv_reserved, decode.kv_room, decode.batch, decode.kv_tokens),
            "projected": place.seconds if view.ready else None,
        }
        for ready in view.ready:
            assert (ready.prefill, ready.decode, ready.prefill_end, ready.admitted, ready.completed) == (None,) * 5
            view.start(ready, prefill)
            assert (ready.prefill, ready.prefill_end, prefill.running) == (prefill, view.now + 3, ready)
        for waiting in view.prefilled:
            assert view.admit(waiting, decode)
            assert (waiting.decode, waiting.admitted, decode.running) == (decode, view.now, (waiting,))

    run_with(decide, one_pair(workflow("w", 0, call("a", 10, 2), call("b", 10, 2, "a", kind="vote"))))
    first, second, third = list(at)[:3]
    alone = 2 * (1.5 + 0.01 * 10) + 0.01 * 2**2 / 2  # model M16
    assert (first, second, third) == (0, 3, pytest.approx(3 + 1.5 + alone))
    assert at[0]["projected"] == pytest.approx(3 + 1.5 + 2 * (1.5 + 0.01 * 10))  # its own tokens do not count there
    assert at[0]["ready"] == [("a", 0, [], "")]
    assert at[third]["ready"] == [("b", 1, ["a"], "vote")]
    assert at[third]["calls"] == ["a", "b"]
    assert at[3]["room"] == (0, 1000, 0, 0)
    assert at[3]["running"] == (None, [])


def test_a_policy_is_told_what_happened():
    told: list[tuple[float, str, str]] = []

    class Told(FirstFit):
        def on_release(self, call: CallView) -> None:
            told.append((call.released, "release", call.call_id))

        def on_prefill_end(self, call: CallView) -> None:
            assert call.prefill_end is not None
            told.append((call.prefill_end, "prefilled", call.call_id))

        def on_completion(self, call: CallView) -> None:
            assert call.completed is not None
            told.append((call.completed, "done", call.call_id))

        def on_workflow_end(self, workflow: WorkflowView) -> None:
            assert all(call.completed is not None for call in workflow.calls)
            told.append((max(call.completed or 0 for call in workflow.calls), "end", workflow.workflow_id))

    class ToldOrder(Told):
        decide = None

        def key(self, call: CallView, now: float) -> float:
            return now

    for one, like in ((Told, FirstFit), (ToldOrder, "fcfs")):
        told.clear()
        run = simulate(INSTANCE, one)
        rows = run.schedule.calls
        expected = [(row.prefill_end, "prefilled", row.call_id) for row in rows]
        expected += [(row.decode_end, "done", row.call_id) for row in rows]
        ends = zip(run.completed.tolist(), INSTANCE.workflows, strict=True)
        expected += [(end, "end", flow.workflow_id) for end, flow in ends]
        expected += [(at, "release", call_id) for (_, call_id), at in releases(INSTANCE, run.schedule).items()]
        assert sorted(told) == sorted(expected)
        assert [at for at, *_ in told] == sorted(at for at, *_ in told)
        assert replace(run.schedule, policy="") == times(like)


# --- placements ------------------------------------------------------------------------------------------------------


class Shortest:
    """Join the shortest queue."""

    def prefill(self, call: CallView, view: View) -> PrefillView:
        return min(view.prefill, key=lambda one: one.waiting + (not one.idle))

    def decode(self, call: CallView, view: View) -> DecodeView:
        return min((one for one in view.decode if one.can_hold(call)), key=lambda one: one.waiting + one.admitted)


class LeastKv:
    """Least KV cache taken."""

    def prefill(self, call: CallView, view: View) -> PrefillView:
        def tokens(one: PrefillView) -> int:
            running = one.running
            return one.waiting_tokens + (0 if running is None else running.prompt_tokens - running.cached_tokens)

        return min(view.prefill, key=tokens)

    def decode(self, call: CallView, view: View) -> DecodeView:
        return next(one for one in view.decode if one.can_hold(call))


@settings(max_examples=25)
@given(instance=corner_instances(), estimator=st.sampled_from(["exact", "class_mean"]))
def test_a_placement_in_python_equals_the_built_in(instance, estimator):
    placement("shortest")(Shortest)
    try:
        for name in ("workflow-fcfs", "atlas", "hexagent(risk=off)"):
            ours, theirs = (
                simulate(instance, f"{name}@{one}", estimator=estimator).schedule for one in ("shortest", "jsq")
            )
            assert same_times(ours, theirs)
    finally:
        unregister("shortest")


def test_a_placement_can_be_given_in_many_ways():
    one_order = {"fcfs@shortest": None}
    placement(Shortest)
    expected = times("fcfs@jsq")
    assert all(times(name) == expected for name in one_order)
    order("mine", placement="shortest")(lambda call, now: now)
    order("mine-too", placement=Shortest)(lambda call, now: now)
    order("mine-object", placement=Shortest())(lambda call, now: now)
    assert times("mine") == times("mine-too") == times("mine-object") == expected
    assert times("mine@least-kv") == times("fcfs@least-kv")

    class Both(Shortest):
        def key(self, call: CallView, now: float) -> float:
            return now

    assert times(Both) == times(Both()) == expected
    del Shortest.__hexsched_policy__


@pytest.mark.parametrize("seed", range(8))
def test_prompt_tokens_that_wait(seed):
    instance = corner_instance(np.random.default_rng(seed), workflows=(6, 6), arrivals="together", room="loose")
    first = instance.decode[0]
    instance = replace(instance, decode=(first,), links=tuple(link for link in instance.links if link.to == first.id))
    assert times(order("x", placement=LeastKv)(lambda call, now: now), instance) == times("fcfs@least-kv", instance)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (lambda call, view: None, r"policy 'mine' placed <call w\d/c0> on None; expected one of view.prefill"),
        (lambda call, view: view.decode[0], r"on <decode instance d0>; expected one of view.prefill"),
        (lambda call, view: view.start(call, view.prefill[0]), "a placement says where a call goes"),
    ],
)
def test_wrong_placements(place, message):
    wrong = type("Wrong", (Shortest,), {"prefill": lambda self, call, view: place(call, view)})
    order("mine", placement=wrong)(lambda call, now: now)
    with pytest.raises(InputError, match=message):
        simulate(INSTANCE, "mine")


def test_a_placement_needs_both_methods_and_no_options():
    with pytest.raises(InputError, match="placement 'half' has no method decode"):
        placement(type("Half", (), {"prefill": Shortest.prefill}))
    with pytest.raises(InputError, match="placement name 'jsq' is that of a placement of hexsched"):
        placement("jsq")(Shortest)


def test_a_function_of_other_arguments_is_told_with_what_it_takes():
    with pytest.raises(InputError, match=r"^order 'lambda' takes \(call\), expected \(call, now\)$"):
        order(lambda call: 3.0)
    with pytest.raises(InputError, match=r"^policy 'lambda' takes \(call, now\), expected \(view\)$"):
        policy(lambda call, now: 3.0)
