"""What runs, comparisons and plain Python policies give back, beside what the schedules and the model say."""

from __future__ import annotations

import dataclasses
import math
import time
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from instances import call, corner_instance, one_pair, workflow
from msgspec.structs import replace
from reference.by_hand import row, schedule

from hexsched.engine.kernel import interpreted
from hexsched.engine.wallclock import new_histogram, record
from hexsched.errors import InputError
from hexsched.model import ClosedLoop, Instance
from hexsched.policies import order, policy
from hexsched.policies.estimators import read_estimator
from hexsched.simulator import Run, comparison, python_policy, retime, simulate
from hexsched.simulator.comparison import compare
from hexsched.simulator.retime import replay_run
from hexsched.simulator.run import UnservedError
from hexsched.simulator.views.calls import CallView
from hexsched.simulator.views.machines import DecodeView, PrefillView
from hexsched.simulator.views.view import View
from hexsched.simulator.warm_up import warm_up_replay, warm_up_simulator

pytestmark = pytest.mark.quick

TWO = one_pair(workflow("B", 1, call("c", 10, 4)), workflow("A", 0, call("x", 10, 4), call("y", 10, 1, "x", delay=1)))


def test_frames_of_a_run_are_its_schedule_and_its_times() -> None:
    began = time.perf_counter(), time.process_time()
    run = simulate(TWO, "fcfs", compiled=False)
    took = time.perf_counter() - began[0], time.process_time() - began[1]
    assert all(0 < mine <= all_of_it for mine, all_of_it in zip(run.engine_seconds, took, strict=True))
    frame, calls, rows = run.to_frame(), run.calls_to_frame(), run.schedule.calls
    assert frame["workflow_id"].tolist() == ["B", "A"]
    assert frame["calls"].tolist() == [1, 2]
    assert frame["arrival"].tolist() == run.arrival.tolist() == [1, 0]
    assert frame["completed"].tolist() == run.completed.tolist() == [rows[0].decode_end, rows[2].decode_end]
    assert frame["latency"].tolist() == [rows[0].decode_end - 1, rows[2].decode_end]
    assert frame["ratio"].tolist() == run.ratio.tolist() == (frame["latency"] / frame["horizon"]).tolist()
    assert frame["warm_up"].tolist() == [False, False]
    assert calls[["workflow_id", "call_id"]].to_numpy().tolist() == [["B", "c"], ["A", "x"], ["A", "y"]]
    assert calls["released"].tolist() == [1, 0, rows[1].decode_end + 1]
    assert calls["queueing"].tolist() == [r.prefill_start - t for r, t in zip(rows, calls["released"], strict=True)]
    assert calls["prefill"].tolist() == [r.prefill_end - r.prefill_start for r in rows]
    assert calls["admission"].tolist() == [r.admitted - r.prefill_end for r in rows]
    assert calls["transfer"].tolist() == [r.decode_start - r.admitted for r in rows]
    assert calls["decode"].tolist() == [r.decode_end - r.decode_start for r in rows]
    assert math.isnan(calls["tpot"][2])
    assert calls["tpot"][0] == pytest.approx(
        (calls["queueing"] + calls["prefill"] + calls["transfer"] + calls["decode"] - calls["ttft"])[0] / 3
    )
    assert run.decisions == 3 + 3 + 3  # each release, end of a prefill and completion comes at a moment of its own
    assert 0 < run.decision_latency < 1
    assert run.decision_latency <= run.decision_latency_p99 * run.decisions
    latency = new_histogram()
    for nanoseconds in [1_000] * 97 + [10**6] * 3:
        interpreted(record)(latency, nanoseconds)
    timed = dataclasses.replace(run, _latency=latency)
    assert (timed.decisions, timed.decision_latency) == (100, pytest.approx(0.97e-6 + 0.03e-3))
    assert 1e-3 <= timed.decision_latency_p99 <= 1.1e-3
    assert run.goodput("latency=1ms")["workflows_within"] == 0
    assert run.goodput("latency=9000s")["workflows_within"] == 1


def test_a_closed_loop_counts_what_comes_after_its_warm_up() -> None:
    flows = tuple(workflow(name, 0.0, call("c", 10, 1)) for name in ("d", "a", "b"))
    loop = replace(one_pair(*flows, decode_model="fixed"), closed_loop=ClosedLoop(sessions=1, warm_up=1))
    run = simulate(loop, "fcfs", compiled=False)
    assert run.warm_up == 1
    assert run.arrival.tolist() == [0, 6.5, 13.0]
    assert run.to_frame()["warm_up"].tolist() == [True, False, False]
    assert run.calls_to_frame()["warm_up"].tolist() == [True, False, False]
    assert (run.metrics.workflows, run.metrics.calls) == (2, 2)
    opened = run.open_instance()
    assert opened.closed_loop is None
    assert [flow.arrival for flow in opened.workflows] == [0, 6.5, 13.0]
    assert [flow.workflow_id for flow in opened.workflows] == ["d", "a", "b"]


def test_a_comparison_has_every_run_and_what_the_verifier_says() -> None:
    told: list[tuple[float, float]] = []
    runs = compare(TWO, "fcfs, sjf", progress=lambda done, total: told.append((done, total)))
    assert list(runs) == ["fcfs", "sjf"]
    assert len(runs) == 2
    assert runs["sjf"].schedule == simulate(TWO, "sjf").schedule
    frame = runs.to_frame()
    assert frame["policy"].tolist() == ["fcfs", "sjf"]
    assert frame["verified"].tolist() == [True, True]
    assert frame["mean_latency"].tolist() == [run.metrics.mean_latency for run in runs.values()]
    assert (frame["decision_latency"] > 0).all()
    assert runs.to_frame("ttft=9000s")["calls_within"].tolist() == [1, 1]
    flows = runs.workflows_to_frame()
    assert list(flows.columns[:2]) == ["policy", "workflow_id"]
    assert flows["policy"].tolist() == ["fcfs", "fcfs", "sjf", "sjf"]
    assert flows.index.tolist() == [0, 1, 2, 3]
    pd.testing.assert_frame_equal(flows.drop(columns="policy")[:2], runs["fcfs"].to_frame())
    done = [share for share, _ in told]
    assert done == sorted(done)
    assert {total for _, total in told} == {2}
    assert done[-1] == 2
    with pytest.raises(KeyError, match="did you mean 'fcfs'"):
        runs["fcsf"]
    flows = tuple(workflow(f"w{k}", 0, call("c", 10, 4)) for k in range(8))
    one = one_pair(*flows)
    links = (*one.links, replace(one.links[0], source="p1"))
    two = replace(one, prefill=(*one.prefill, replace(one.prefill[0], id="p1")), links=links)
    by_seed = [compare(two, "fcfs@random", seed=seed)["fcfs@random"].schedule for seed in range(3)]
    assert compare(two, "fcfs@random")["fcfs@random"].schedule == by_seed[0] == simulate(two, "fcfs@random").schedule
    assert by_seed[1] != by_seed[0] != by_seed[2]
    bare = compare(TWO, "fcfs", verify=False)
    assert bare.reports == {}
    assert bare.to_frame()["verified"].tolist() == [None]


def test_what_orders_and_places_is_told_once() -> None:
    heard: list[str] = []

    class Both:
        def key(self, one: CallView, now: float) -> float:
            return now

        def prefill(self, one: CallView, view: View) -> PrefillView:
            return view.prefill[0]

        def decode(self, one: CallView, view: View) -> DecodeView:
            return view.decode[0]

        def on_release(self, one: CallView) -> None:
            heard.append(one.workflow_id)

    simulate(TWO, Both)
    assert sorted(heard) == sorted(flow.workflow_id for flow in TWO.workflows for _ in flow.calls)


def test_progress_of_a_comparison_counts_parts_of_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []

    def halfway(instance: Any, policy: Any, *, progress: Any, **options: Any) -> Run:
        progress(1, 4)
        return simulate(instance, policy, **options)

    monkeypatch.setattr(comparison, "simulate", halfway)
    compare(TWO, "fcfs, sjf", progress=lambda done, total: told.append(done))
    assert told == [0.25, 1.25, 2]
    assert comparison.Comparison(TWO, [simulate(TWO, "fcfs")]).reports == {}


def test_progress_is_told_of_long_runs_of_plain_python() -> None:
    told: list[tuple[float, float]] = []
    flows = tuple(workflow(f"w{k:03}", 0, call("c", 10, 4)) for k in range(140))
    instance = one_pair(*flows, decode_model="fixed", kv_capacity_tokens=5000)
    run = simulate(instance, first_fit, compiled=False, progress=lambda done, total: told.append((done, total)))
    assert run.decisions <= 3 * 140
    assert run.metrics.calls == 140
    assert all(0 <= done <= total == 140 for done, total in told)
    assert any(0 < done < 140 for done, _ in told)
    assert len(told) <= 5  # once in 256 decisions


def test_noise_is_drawn_from_the_ids_and_the_seed() -> None:
    instance = one_pair(workflow("w", 0, call("a", 10, 1000), call("b", 10, 1000)), kv_capacity_tokens=5000)

    def drawn(text: str, seed: int) -> list[float]:
        found = read_estimator(text).estimates(instance, seed)
        assert found is not None
        return found.tolist()

    once = drawn("noise(0.3)", 0)
    assert drawn(" noise( 0.3 ) ", 0) == once
    assert len({*once, *drawn("noise(0.3)", 1)}) == 4
    # the logarithm of a factor of mean 1 and standard deviation s has variance ln(1 + s^2), mean minus half of that
    variance = math.log(1 + 0.3**2), math.log(1 + 10.0**2)
    z = [(math.log(m / 1000) + variance[0] / 2) / math.sqrt(variance[0]) for m in once]
    wide = [max(1000 * math.exp(math.sqrt(variance[1]) * one - variance[1] / 2), 1) for one in z]
    assert drawn("noise(10)", 0) == pytest.approx(wide)
    many = one_pair(*(workflow(f"w{k}", 0, call("a", 10, 900)) for k in range(2000)))
    factors = read_estimator("noise(0.3)").estimates(many, 0)
    assert factors is not None
    factors = factors / 900
    assert (factors.mean(), factors.std()) == pytest.approx((1.0, 0.3), abs=0.02)
    assert np.median(factors) == pytest.approx(1 / math.sqrt(1 + 0.3**2), abs=0.02)
    assert drawn("noise(0)", 0) == [1000, 1000]
    short = one_pair(*(workflow(f"w{k}", 0, call("a", 10, 1)) for k in range(30)))
    guesses = read_estimator("noise(2)").estimates(short, 0)
    assert guesses is not None
    assert guesses.min() == 1.0 < guesses.max()
    assert read_estimator("class_mean").class_mean
    assert not read_estimator("exact").class_mean
    assert not read_estimator("noise(1)").class_mean
    assert read_estimator("exact").estimates(instance, 0) is None
    for text in ("noise(10.001)", "noise(-0.1)", "noise(1", "noise()", "noise(1)x", "noise(x)"):
        with pytest.raises(InputError):
            read_estimator(text)


# --- plain Python ----------------------------------------------------------------------------------------------------


def first_fit(view: View) -> None:
    for ready in view.ready:
        idle = [one for one in view.prefill if one.idle]
        if idle:
            view.start(ready, idle[0])
    for waiting in view.prefilled:
        any(view.admit(waiting, place) for place in view.decode)


def test_a_projection_waits_for_what_runs_and_what_is_placed() -> None:
    # 3 s of prefill, 1.5 of transfer; a batch of one, 1.5 + 0.01 * 10 a token of four
    seen: dict[tuple[float, str], tuple[str, str, float]] = {}

    def decide(view: View) -> None:
        for waiting in (*view.ready, *view.prefilled):
            place = view.projected(waiting)
            seen.setdefault((view.now, waiting.workflow_id), (place.prefill.id, place.decode.id, place.seconds))
        first_fit(view)
        for waiting in view.ready:
            place = view.projected(waiting)
            seen.setdefault((-1.0, waiting.workflow_id), (place.prefill.id, place.decode.id, place.seconds))

    flows = (
        *(workflow(name, 0, call("c", 10, 4)) for name in "AB"),
        workflow("C", 500, call("c", 10, 4)),  # long after
    )
    simulate(one_pair(*flows), decide, compiled=False)
    alone = 4 * 1.6
    assert seen[0.0, "A"] == ("p0", "d0", pytest.approx(3 + 1.5 + alone))
    assert seen[0.0, "B"] == seen[0.0, "A"]  # A counts from its start on
    assert seen[-1.0, "B"] == ("p0", "d0", pytest.approx(3 + 3 + 1.5 + alone))
    assert seen[3.0, "A"] == ("p0", "d0", pytest.approx(1.5 + alone))
    assert seen[500.0, "C"] == seen[0.0, "A"]


def test_the_depth_of_a_call_takes_a_few_looks_at_each_call_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = (call(f"c{k}", 10, 4, *([f"c{k - 1}"] if k else [])) for k in range(6))
    depths: list[int] = []
    looks = [0]
    parents = CallView.parents.fget
    assert parents is not None

    def counted(one: CallView) -> tuple[CallView, ...]:
        looks[0] += 1
        assert looks[0] <= 3 * 6, "more looks than there are calls to look at"
        return parents(one)

    def decide(view: View) -> None:
        for ready in view.ready:
            if ready.call_id == "c5" and not depths:
                with monkeypatch.context() as patched:
                    patched.setattr(CallView, "parents", property(counted))
                    depths.append(ready.depth)
                    before = looks[0]
                    depths.append(ready.workflow.calls[0].depth)  # which is known by now
                    assert looks[0] == before
        first_fit(view)

    simulate(one_pair(workflow("A", 0, *chain)), decide, compiled=False)
    assert depths == [5, 0]


def test_what_plain_python_takes_counts_as_the_decision() -> None:
    def slow(view: View) -> None:
        time.sleep(0.02)
        first_fit(view)

    assert simulate(one_pair(workflow("A", 0, call("c", 10, 4))), slow, compiled=False).decision_latency >= 0.02


class Placed:
    """The first instances; notes what it sees when asked."""

    seen: ClassVar[list[tuple[str, float, int, int, float, float]]] = []

    def prefill(self, call: CallView, view: View) -> PrefillView:
        (one,) = view.prefill
        assert view.ready
        assert all(one.prefill is None for one in view.ready)
        assert all(one.decode is None for one in view.prefilled)
        now = view.projected(call).seconds
        self.seen.append((call.workflow_id, view.now, one.waiting, one.waiting_tokens, one.waiting_seconds, now))
        return one

    def decode(self, call: CallView, view: View) -> DecodeView:
        assert call in view.prefilled
        self.seen.append((call.workflow_id, view.now, view.decode[0].waiting, view.decode[0].admitted, 0.0, 0.0))
        return view.decode[0]


def test_a_placement_sees_what_it_has_placed() -> None:
    Placed.seen.clear()
    flows = (
        workflow("A", 0, call("c", 10, 4)),
        workflow("B", 0, call("c", 10, 4, h=4)),
        workflow("C", 0, call("c", 10, 4)),
        workflow("D", 1, call("c", 10, 4)),
    )
    order("seen", placement=Placed)(lambda call, now: now)
    run = simulate(one_pair(*flows, max_batch=1), "seen", compiled=False)
    prefills = [one[:5] for one in Placed.seen if one[5] > 0]
    b = 1 + 0.1 * 6 + 0.01 * (100 - 16)
    assert prefills == [
        ("A", 0.0, 0, 0, 0.0),
        ("B", 0.0, 1, 10, 3.0),
        ("C", 0.0, 2, 16, pytest.approx(3 + b)),
        ("D", 1.0, 2, 16, pytest.approx(b + 3)),
    ]
    # D: two seconds are left of A, then B and C; then its own, alone in its batch as nothing is admitted yet
    assert Placed.seen[3][5] == pytest.approx(2 + b + 3 + 3 + 1.5 + 4 * 1.6)
    decodes = [one[:4] for one in Placed.seen if one[5] == 0]
    assert decodes[0] == ("A", 3.0, 0, 0)
    assert decodes[1] == ("B", pytest.approx(3 + b), 0, 1)
    assert decodes[2] == ("C", pytest.approx(6 + b), 1, 1)
    assert [one.prefill_start for one in run.schedule.calls] == pytest.approx([0, 3, 3 + b, 6 + b])


@pytest.mark.parametrize(
    ("stage", "answer", "message"),
    [
        ("decode", lambda call, view: view.prefill[0], "expected one of view.decode"),
        ("decode", lambda call, view: view.decode[1], "which can never hold it"),
        ("prefill", lambda call, view: None, "expected one of view.prefill"),
        ("prefill", lambda call, view: view.decode[0], "expected one of view.prefill"),
    ],
)
def test_a_placement_names_an_instance_that_can_hold_the_call(stage, answer, message) -> None:
    one = one_pair(workflow("A", 0, call("c", 10, 4)))
    small = replace(one.decode[0], id="d1", kv_capacity_tokens=13)
    instance = replace(one, decode=(*one.decode, small), links=(*one.links, replace(one.links[0], to="d1")))
    right = {"prefill": lambda call, view: view.prefill[-1], "decode": lambda call, view: view.decode[0]}
    asked = type(
        "Asked", (), {k: lambda self, call, view, f=f: f(call, view) for k, f in (right | {stage: answer}).items()}
    )
    order("asked", placement=asked)(lambda call, now: now)
    with pytest.raises(InputError, match=message):
        simulate(instance, "asked", compiled=False)


@pytest.mark.parametrize("priority", [math.nan, math.inf, -math.inf, None, "1", True, np.float64(math.nan)])
def test_a_priority_is_a_finite_number(priority) -> None:
    order("odd")(lambda call, now: priority)
    if priority is True:
        assert simulate(TWO, "odd", compiled=False).metrics.calls == 3
        return
    with pytest.raises(InputError, match="expected a finite number"):
        simulate(TWO, "odd", compiled=False)


def test_a_priority_orders_calls_and_may_be_any_number() -> None:
    flows = tuple(workflow(name, 0, call("c", 10, 4)) for name in "ABC")
    wish = {"A": np.float32(3), "B": -7, "C": np.int64(1)}
    order("wished")(lambda call, now: wish[call.workflow_id])
    starts = [one.prefill_start for one in simulate(one_pair(*flows), "wished", compiled=False).schedule.calls]
    assert starts == [6, 0, 3]


def test_what_a_policy_may_not_do() -> None:
    def expect(message: str, act) -> None:
        def decide(view: View) -> None:
            act(view)
            first_fit(view)

        with pytest.raises(InputError, match=message):
            simulate(TWO, decide, compiled=False)

    expect("which is no prefill instance", lambda view: [view.start(one, view.decode[0]) for one in view.ready])
    expect("which is no decode instance", lambda view: [view.admit(one, view.prefill[0]) for one in view.prefilled])
    expect("which is not ready", lambda view: view.start(None, view.prefill[0]))
    expect("does not wait for admission", lambda view: view.admit(3, view.decode[0]))
    with pytest.raises(UnservedError, match="left 3 of 3 calls unserved"):
        simulate(TWO, lambda view: None, compiled=False)


def test_views_keep_their_order_when_calls_come_in_between() -> None:
    """B and D wait when A and C come: all four are listed by their ids."""
    listed: list[list[str]] = []
    flows = [workflow(name, at, call("c", 10, 4)) for name, at in (("0", 0), ("D", 1), ("B", 1), ("A", 2), ("C", 2))]

    def decide(view: View) -> None:
        listed.append([one.workflow_id for one in view.ready])
        first_fit(view)
        started = [one for one in listed[-1] if one not in [call.workflow_id for call in view.ready]]
        assert len(started) <= 1
        assert [one.workflow_id for one in view.ready] == [one for one in listed[-1] if one not in started]

    simulate(one_pair(*flows), decide, compiled=False)
    assert listed[:4] == [["0"], ["B", "D"], ["A", "B", "C", "D"], ["A", "B", "C", "D"]]


def test_views_keep_their_order_when_some_come_before_and_some_behind() -> None:
    listed: list[list[str]] = []
    flows = [workflow(name, at, call("c", 10, 4)) for name, at in (("0", 0), ("B", 1), ("A", 2), ("C", 2))]

    def decide(view: View) -> None:
        listed.append([one.workflow_id for one in view.ready])
        first_fit(view)

    simulate(one_pair(*flows), decide, compiled=False)
    assert listed[:3] == [["0"], ["B"], ["A", "B", "C"]]


def test_a_long_chain_knows_its_depth() -> None:
    depths: list[int] = []
    names = [f"{k:04}" for k in range(60)]
    chain = [call(name, 2, 1, *([before] if before else [])) for name, before in zip(names, ["", *names], strict=False)]

    def decide(view: View) -> None:
        if view.ready and view.ready[0].call_id == names[-1]:
            depths.append(view.ready[0].depth)
            depths.extend(one.depth for one in view.ready[0].workflow.calls)
        first_fit(view)

    simulate(one_pair(workflow("w", 0, *chain)), decide, compiled=False)
    assert depths == [59, *range(60)]


# --- replays ---------------------------------------------------------------------------------------------------------


def test_a_call_that_just_fits_is_replayed() -> None:
    exact = one_pair(workflow("A", 0, call("c0", 10, 4)), kv_capacity_tokens=14)
    (one,) = retime(exact, schedule(row("A", 5, 8, 9, 10.5, 17))).calls
    assert (one.prefill_start, one.admitted, one.decode_end) == (0, 3, pytest.approx(10.98))
    again = replay_run(exact, schedule(row("A", 5, 8, 9, 10.5, 17)), compiled=False)
    assert (again.schedule.calls[0], again.engine_seconds) == (one, (0.0, 0.0))  # no policy was run
    for name in ("prefill_start", "prefill_end", "admitted", "decode_start", "decode_end"):
        broken = schedule(replace(row("A", 5, 8, 9, 10.5, 17), **{name: math.nan}))
        with pytest.raises(InputError, match=f"{name} is nan"):
            retime(exact, broken)


def test_warming_up_asks_no_policy_of_plain_python() -> None:
    asked: list[View] = []
    mine = policy("asked-never")(lambda view: asked.append(view))
    del mine
    from hexsched.policies import read_policy

    warm_up_simulator([read_policy("asked-never"), read_policy("fcfs")])
    warm_up_replay()
    assert asked == []


def test_random_instances_need_no_compiled_code() -> None:
    instance: Instance = corner_instance(np.random.default_rng(8), workflows=(3, 3), calls=(2, 3))
    one, other = (simulate(instance, "hexagent", compiled=way).schedule.to_bytes() for way in (True, False))
    assert one == other


def test_an_object_without_the_method_that_is_asked_for_is_named() -> None:
    odd: Any = SimpleNamespace(name="odd", key=3)
    for name in ("key", "decide"):
        with pytest.raises(InputError, match=f"policy 'odd' has no method {name}"):
            python_policy._method(odd, odd, name)
