"""Closed loops: so many workflows under way, the next arrives when one is complete (model M39)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instances, one_pair, workflow
from msgspec.structs import replace
from tiny_grid import Inline, plan_of

from experiments.cli import BAD_INPUT, OK, main
from experiments.grid.run import run_plan
from experiments.store import Store, read_table
from hexsched.errors import InputError
from hexsched.model import ClosedLoop, Instance, read_instance, write_instance
from hexsched.simulator import retime, simulate
from hexsched.verifier import verify
from solvers.brackets.gap import gap
from solvers.brackets.solve import solve_with
from solvers.problem.offline import offline_problem

pytestmark = pytest.mark.quick

POLICIES = ("hexagent", "fcfs@jsq", "workflow-fcfs", "atlas")


@st.composite
def loops(draw, **corners):
    """A corner instance whose workflows come in a closed loop."""
    drawn = draw(corner_instances(workflows=(2, 8), calls=(1, 3), arrivals="together", **corners))
    sessions = draw(st.integers(1, len(drawn.workflows)))
    warm_up = draw(st.integers(0, len(drawn.workflows) - 1))
    return replace(drawn, closed_loop=ClosedLoop(sessions=sessions, warm_up=warm_up))


def test_arrivals_by_hand():
    # prefill of 10 tokens takes 3 s, the transfer 1.5 s, a token 2 s: a takes 6.5 s with one token, b 8.5 s with two
    flows = [workflow(name, 0.0, call("c", 10, m)) for name, m in (("b", 2), ("a", 1), ("d", 1), ("e", 1))]
    loop = replace(one_pair(*flows, decode_model="fixed"), closed_loop=ClosedLoop(sessions=2))
    run = simulate(loop, "fcfs")
    # at 0 come b and a, the first two of the file; a is served first, having the lesser id
    assert run.completed.tolist() == [11.5, 6.5, 13.0, 18.0]
    assert run.arrival.tolist() == [0.0, 0.0, 6.5, 11.5]
    assert run.metrics.mean_latency == (11.5 + 6.5 + 6.5 + 6.5) / 4
    one = simulate(replace(loop, closed_loop=ClosedLoop(sessions=1)), "fcfs")
    assert one.arrival.tolist() == [0.0, 8.5, 15.0, 21.5]
    assert one.metrics.max_ratio == 1.0


@settings(max_examples=25)
@given(loop=loops(), policy=st.sampled_from(POLICIES))
def test_as_many_are_under_way_as_there_are_sessions(loop, policy):
    run = simulate(loop, policy)
    sessions, count = loop.closed_loop.sessions, len(loop.workflows)
    assert run.arrival[:sessions].tolist() == [0.0] * sessions
    assert run.arrival[sessions:].tolist() == np.sort(run.completed)[: count - sessions].tolist()
    for time in {*run.arrival.tolist(), *run.completed.tolist()}:
        arrived, complete = int((run.arrival <= time).sum()), int((run.completed <= time).sum())
        assert arrived - complete == min(sessions, count - complete)


@settings(max_examples=25)
@given(loop=loops(), policy=st.sampled_from(POLICIES))
def test_schedules_are_valid_and_metrics_leave_out_the_warm_up(loop, policy):
    run = simulate(loop, policy)
    report = verify(loop, run.schedule)
    assert report.violations == ()
    for name, value in run.metrics.items():
        assert getattr(report.metrics, name) == pytest.approx(value, rel=1e-9, nan_ok=True), name
    kept = slice(loop.closed_loop.warm_up, None)
    assert run.metrics.workflows == len(loop.workflows[kept])
    assert run.metrics.calls == sum(len(flow.calls) for flow in loop.workflows[kept]) == len(report.metrics.per_call)
    assert run.metrics.max_ratio == run.ratio[kept].max()
    assert run.metrics.mean_queueing == pytest.approx(run.calls_to_frame().query("not warm_up")["queueing"].mean())
    assert run.to_frame()["warm_up"].sum() == loop.closed_loop.warm_up
    assert run.goodput("latency=3s,ttft=1s") == pytest.approx(report.metrics.goodput({"latency": 3.0, "ttft": 1.0}))


@settings(max_examples=15)
@given(loop=loops(), policy=st.sampled_from(POLICIES))
def test_the_open_instance_of_a_run_has_the_same_run(loop, policy):
    """Policies see no difference between arrivals that are given and arrivals that follow."""
    run = simulate(loop, policy)
    opened = run.open_instance()
    assert opened.closed_loop is None
    assert simulate(opened, policy).schedule.to_bytes() == run.schedule.to_bytes()
    assert verify(opened, run.schedule).ok
    assert simulate(loop, policy, compiled=False).schedule.to_bytes() == run.schedule.to_bytes()
    assert verify(loop, retime(loop, run.schedule)).ok
    assert Instance.from_bytes(loop.to_bytes()) == loop
    offline_problem(opened)


@settings(max_examples=10)
@given(loop=loops(), policy=st.sampled_from(POLICIES))
def test_enough_sessions_are_everything_at_once(loop, policy):
    every = replace(loop, closed_loop=ClosedLoop(sessions=len(loop.workflows) + 5))
    assert simulate(every, policy).schedule == simulate(replace(loop, closed_loop=None), policy).schedule


@settings(max_examples=15)
@given(loop=loops())
def test_nobody_starts_before_its_turn(loop):
    """The schedule of all at once breaks the loop wherever more were under way than there are sessions."""
    open_loop = replace(loop, closed_loop=None)
    one = replace(loop, closed_loop=ClosedLoop(sessions=1))
    schedule = simulate(open_loop, "fcfs").schedule
    assert verify(open_loop, schedule).ok
    starts = min(row.prefill_start for row in schedule.calls if row.workflow_id == loop.workflows[1].workflow_id)
    ends = [row.decode_end for row in schedule.calls if row.workflow_id == loop.workflows[0].workflow_id]
    if starts < min(max(ends), min(row.decode_end for row in schedule.calls)):
        assert {violation.rule for violation in verify(one, schedule).violations} == {"before-release"}
    lacking = replace(schedule, calls=schedule.calls[1:])
    assert "missing-call" in verify(one, lacking).counts()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sessions": 0}, "closed_loop: sessions must be at least 1, got 0"),
        ({"sessions": 1, "warm_up": -1}, "closed_loop: warm_up must be at least 0, got -1"),
        ({"sessions": 1, "warm_up": 2}, "closed_loop: warm_up must be less than the number of workflows (2), got 2"),
        ({"sessions": 1, "pause": 2}, "unknown field 'pause'"),
        ({"warm_up": 1}, "missing required field 'sessions'"),
        ({"sessions": 1.5}, "closed_loop.sessions"),
    ],
)
def test_bad_loops(changes, told):
    import msgspec

    flows = [workflow(name, 0.0, call("c", 10, 2)) for name in "ab"]
    content = msgspec.json.decode(one_pair(*flows).to_bytes()) | {"closed_loop": changes}
    with pytest.raises(InputError) as caught:
        Instance.from_bytes(msgspec.json.encode(content))
    assert told in str(caught.value)


def test_given_arrivals_and_a_closed_loop_contradict():
    with pytest.raises(ValueError, match="arrivals follow from completions, so that of workflow 'a' must be 0"):
        replace(one_pair(workflow("a", 1.0, call("c", 10, 2))), closed_loop=ClosedLoop(sessions=1))


def test_bounds_and_solvers_refuse(tmp_path, capsys):
    loop = one_pair(workflow("a", 0.0, call("c", 10, 2)), decode_model="fixed")
    loop = replace(loop, closed_loop=ClosedLoop(sessions=1))
    told = "arrivals that are given, in this closed loop they follow from the schedule"
    for attempt in (
        lambda: offline_problem(loop),
        lambda: gap(loop, ["fcfs"], "mean_ratio", time_limit=1.0),
        lambda: solve_with(loop, "cpsat", "mean_ratio"),
    ):
        with pytest.raises(InputError, match=told):
            attempt()
    path = tmp_path / "i.json"
    write_instance(path, loop)
    for command in (("bound",), ("solve",), ("gap", "--policies", "fcfs")):
        assert main([command[0], str(path), "--objective", "mean_ratio", *command[1:]]) == BAD_INPUT
        assert told in capsys.readouterr().err


def test_the_commands(tmp_path, capsys):
    w, i, s, opened = (str(tmp_path / name) for name in ("w.jsonl", "i.json", "s.json", "o.json"))
    assert main(["workload", "generate", "react", "--workflows", "6", "--arrivals", "fixed:3", "-o", w]) == OK
    assert main(["compile", "demo", w, "--closed-loop", "2", "--warm-up", "1", "-o", i]) == OK
    assert "2 sessions, warm-up of 1 workflows" in capsys.readouterr().out
    loop = read_instance(i)
    assert loop.closed_loop == ClosedLoop(sessions=2, warm_up=1)
    assert main(["simulate", i, "--policy", "fcfs", "-o", s, "--open-instance", opened]) == OK
    assert main(["verify", i, s]) == OK
    assert main(["verify", opened, s]) == OK
    assert [flow.arrival for flow in read_instance(opened).workflows] == simulate(loop, "fcfs").arrival.tolist()
    assert main(["compare", i, "--policies", "fcfs,hexagent", "-o", str(tmp_path)]) == OK
    assert (tmp_path / "workflows.csv").read_text().count("\n") == 1 + 2 * 5
    capsys.readouterr()
    for words, told in (
        (("--closed-loop", "2", "--arrivals", "fixed:1"), "give --arrivals or --closed-loop, not both"),
        (("--warm-up", "2"), "give --closed-loop as well"),
        (("--closed-loop", "2", "--warm-up", "6"), "the warm-up must leave some of the 6 workflows, got 6"),
    ):
        assert main(["compile", "demo", w, *words]) == BAD_INPUT
        assert told in capsys.readouterr().err


GRID = """\
clusters: demo
workloads: [react, lats]
workflows: 6
loads: ["closed-loop:1", "closed-loop:3", at-once]
policies: [fcfs, hexagent]
warm_up: 2
"""


def test_a_grid_of_closed_loops(tmp_path: Path):
    plan = plan_of(tmp_path, GRID)
    with Store.writing(tmp_path / "s") as store:
        assert not run_plan(plan, store, Inline()).failed
    runs = read_table(tmp_path / "s", "runs")
    assert runs["verified"].all()
    workflows = read_table(tmp_path / "s", "workflows").groupby("key").size()
    counted = {key: 4 if load.startswith("closed") else 6 for key, load in zip(runs["key"], runs["load"], strict=True)}
    assert workflows.to_dict() == counted
    alone = runs[runs["load"] == "closed-loop:1"]
    assert alone["max_ratio"].max() < runs[runs["load"] == "at-once"]["max_ratio"].max()
    for load, told in (("closed-loop:1.5", "a whole number above 0"), ("closed-loop", "expected closed-loop:NUMBER")):
        with pytest.raises(InputError, match=told):
            plan_of(tmp_path, GRID.replace("closed-loop:1", load))
    with Store.writing(tmp_path / "t") as store:
        run_plan(plan_of(tmp_path, GRID.replace("warm_up: 2", "warm_up: 6")), store, Inline())
    told = read_table(tmp_path / "t", "errors")["error"]
    assert len(told) == 8
    assert all("a warm-up of 6 leaves none of 6 workflows" in line for line in told)
