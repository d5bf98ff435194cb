"""What any online policy must lose: against all policies there are on tiny instances, and under every real one."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instances, one_pair, workflow
from msgspec.structs import replace

import solvers
from experiments.cli import BAD_INPUT, INTERRUPTED, OK, main
from hexsched.errors import InputError
from hexsched.model import Instance, Link, PrefillInstance, Workflow
from hexsched.simulator import simulate
from solvers.exact.cp import futures as of_policies
from solvers.exact.cp.futures import Known, Meeting, OnlineBound, Over, meeting, online_bound
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem

SECONDS = 20.0  # never reached on these sizes
POLICIES = "hexagent,fcfs,workflow-llf,atlas,triage"
LAST = 12  # all starts of the reference are before this


def whole(*flows: Workflow) -> Instance:
    """One prefill instance, n seconds a prefill; 1 + m seconds more until a call completes, however many decode."""
    made = one_pair(*flows, decode_model="fixed", max_batch=64, kv_capacity_tokens=10**6)
    return replace(
        made,
        kv_bytes_per_token=1,
        prefill=(PrefillInstance(id="p0", gpu="X", prefill_coeffs=(0, 1, 0)),),
        decode=tuple(replace(d, fixed_iteration_time=1.0) for d in made.decode),
        links=(Link(source="p0", to="d0", latency=1.0, bandwidth=1e15),),
    )


def schedules(instance: Instance) -> list[dict[str, tuple[int, int]]]:
    """All schedules of one call a workflow, or a chain of two: start and completion of each call, in whole seconds."""
    calls = [(w, c) for w in instance.workflows for c in w.calls]
    found = []
    for starts in itertools.product(range(LAST), repeat=len(calls)):
        made = {
            f"{w.workflow_id}{c.call_id}": (at, at + c.prompt_tokens + 1 + c.output_tokens)
            for (w, c), at in zip(calls, starts, strict=True)
        }
        busy = sorted((at, at + c.prompt_tokens) for (_, c), at in zip(calls, starts, strict=True))
        if any(end > begin for (_, end), (begin, _) in itertools.pairwise(busy)):
            continue
        if all(
            made[f"{w.workflow_id}{c.call_id}"][0]
            >= max([w.arrival, *(made[f"{w.workflow_id}{p}"][1] for p in c.parents)])
            for w, c in calls
        ):
            found.append(made)
    return found


def value(instance: Instance, made: dict[str, tuple[int, int]], objective: str) -> float:
    problem = offline_problem(instance)
    completed = [max(made[f"{w.workflow_id}{c.call_id}"][1] for c in w.calls) for w in instance.workflows]
    return read_objective(objective).value(problem.arrival, np.array(completed, float), problem.horizon)


def best_policy(
    one: Instance, other: Instance, objective: str, by_arrival: float, told_by: tuple[str, ...], over: Over
) -> float:
    """Least mean (worst) over pairs of schedules that are the same before both differ; written from the definition."""
    mine, others = schedules(one), schedules(other)
    values = [value(one, made, objective) for made in mine], [value(other, made, objective) for made in others]
    least, common = math.inf, set(mine[0]) & set(others[0])
    for (a, x), (b, y) in itertools.product(zip(mine, values[0], strict=True), zip(others, values[1], strict=True)):
        both = (x + y) / 2 if over == "mean" else max(x, y)
        if both >= least:
            continue
        differ = min([by_arrival, *(s[name][1] for name in told_by for s in (a, b))])
        if all(a[name][0] == b[name][0] or min(a[name][0], b[name][0]) >= differ for name in common):
            least = both
    return least


def long(name: str = "a", n: int = 6, m: int = 1) -> Workflow:
    return workflow(name, 0.0, call("x", n, m))


ARRIVAL = whole(long()), whole(long(), workflow("b", 1.0, call("x", 1, 0 + 1)))
LENGTH = (
    whole(workflow("a", 0.0, call("x", 1, 1), call("y", 4, 1, "x")), workflow("b", 2.0, call("x", 3, 1))),
    whole(workflow("a", 0.0, call("x", 1, 5), call("y", 4, 1, "x")), workflow("b", 2.0, call("x", 3, 1))),
)
CHILD = (
    whole(workflow("a", 0.0, call("x", 2, 2)), workflow("b", 0.0, call("x", 2, 2), call("y", 3, 1, "x"))),
    whole(workflow("a", 0.0, call("x", 2, 2), call("y", 3, 1, "x")), workflow("b", 0.0, call("x", 2, 2))),
)
CASES = {
    "arrival": (*ARRIVAL, 1.0, ()),
    "length": (*LENGTH, math.inf, ("ax",)),
    "child": (*CHILD, math.inf, ("ax", "bx")),
}


def online(scenarios: Any, objective: str, over: Over = "mean") -> OnlineBound:
    """The bound of the module, with what first come first served does as the policy that is known."""
    problems = [offline_problem(instance) for instance in scenarios]
    runs = [simulate(instance, "fcfs") for instance in scenarios]
    aim = read_objective(objective)
    values = [aim.value(run.arrival, run.completed, run.horizon) for run in runs]
    least = [0.0 if aim.kind == "misses" else 1.0] * len(runs)
    known = Known(float(np.mean(values)) if over == "mean" else max(values), [run.schedule for run in runs], least)
    return online_bound(problems, aim, known, over=over, seconds=SECONDS)


@pytest.mark.parametrize(
    ("objective", "over"),
    [
        ("max_ratio", "mean"),
        ("mean_ratio", "mean"),
        ("misses(1.2)", "mean"),
        ("max_ratio", "worst"),
        ("mean_ratio", "worst"),
    ],
)
@pytest.mark.parametrize("name", CASES)
def test_it_is_what_the_best_of_all_policies_has(name: str, objective: str, over: Over) -> None:
    *scenarios, by_arrival, told_by = CASES[name]
    least = best_policy(*scenarios, objective, by_arrival, told_by, over)
    found = online(scenarios, objective, over)
    assert found.is_best
    assert least * (1 - 1e-3) - 1e-6 <= found.value <= least * (1 + 1e-9)


@pytest.mark.parametrize("over", ["mean", "worst"])
def test_both_bounds_of_the_command_are_those_of_all_schedules(over: Over) -> None:
    """Not to know costs something: the long call starts at once in one future and waits in the other."""
    optima = [min(value(instance, s, "max_ratio") for s in schedules(instance)) for instance in ARRIVAL]
    best = float(np.mean(optima)) if over == "mean" else max(optima)
    report = solvers.clairvoyance(ARRIVAL, POLICIES, "max_ratio", over=over, time_limit=SECONDS, workers=1)
    assert report.clairvoyant_is_best
    assert report.clairvoyant_bound <= best * (1 + 1e-9)
    assert report.clairvoyant_value == pytest.approx(best, rel=1e-4)
    assert report.online_bound == pytest.approx(best_policy(*ARRIVAL, "max_ratio", 1.0, (), over), rel=1e-3)
    if over == "mean":
        assert report.online_bound > 1.04 * report.clairvoyant_value
    for loss in report.policies.values():
        assert loss.distance == pytest.approx(loss.clairvoyance + loss.in_reach, abs=1e-4)


def test_a_rule_that_holds_too_long_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Had the futures differed later than they do, the bound would lie above a policy: so the tests above can fail."""
    least = best_policy(*ARRIVAL, "max_ratio", 1.0, (), "mean")

    def late(*given: Any) -> Any:
        met = meeting(*given)
        return met._replace(known_by=met.known_by + 3.0)

    monkeypatch.setattr(of_policies, "meeting", late)
    assert online(ARRIVAL, "max_ratio").value > least * (1 + 1e-3)


def test_what_tells_futures_apart() -> None:
    one, other = (offline_problem(instance) for instance in LENGTH)
    assert meeting(one, other) == Meeting([(0, 0), (1, 1), (2, 2)], math.inf, ([0], [0]), ([], []))
    one, other = (offline_problem(instance) for instance in CHILD)
    assert meeting(one, other)[1:] == (math.inf, ([0, 1], [0, 2]), ([], []))
    one, other = (offline_problem(instance) for instance in ARRIVAL)
    assert meeting(one, other) == Meeting([(0, 0)], 1.0, ([], []), ([], []))


def test_lengths_tell_when_a_cache_may_refuse_or_when_they_are_told() -> None:
    tight = [replace(i, decode=tuple(replace(d, kv_capacity_tokens=10) for d in i.decode)) for i in LENGTH]
    one, other = (offline_problem(instance) for instance in tight)
    assert meeting(one, other) == Meeting([(0, 0), (1, 1), (2, 2)], math.inf, ([], []), ([0], [0]))
    assert meeting(one, other, True) == Meeting([(1, 1), (2, 2)], 0.0, ([], []), ([], []))


def test_a_refusal_tells_a_length_before_completion(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call is admitted at 2 s next to a short one, which ends at 3 s, and refused next to a long one."""
    made = (whole(workflow("a", 0.0, call("x", 1, m)), workflow("z", 0.0, call("x", 1, 6))) for m in (1, 4))
    tight = [replace(i, decode=tuple(replace(d, kv_capacity_tokens=10) for d in i.decode)) for i in made]
    assert online(tight, "max_ratio").value == pytest.approx((9 / 8 + 13 / 8) / 2, rel=1e-3)  # first come, first served
    monkeypatch.setattr(of_policies, "_may_refuse", lambda problem: False)
    assert online(tight, "max_ratio").value > (9 / 8 + 13 / 8) / 2 * 1.01


@settings(max_examples=4)
@given(
    instance=corner_instances(workflows=(2, 4), calls=(1, 2), decode_model="fixed"),
    objective=st.sampled_from(["max_ratio", "req(0.5)", "mean_ratio", "mean_latency", "misses(1.1)"]),
    over=st.sampled_from(["mean", "worst"]),
    estimator=st.sampled_from(["class_mean", "class_mean", "exact"]),
    seed=st.integers(0, 99),
)
def test_clairvoyant_then_online_then_every_policy(instance, objective, over, estimator, seed):
    """Also where caches are so small that a refusal tells a length."""
    drawn = solvers.futures(instance, 2, workflows=2, shared=int(seed % 2) + 1, seed=seed)
    report = solvers.clairvoyance(
        drawn, POLICIES, objective, over=over, estimator=estimator, time_limit=2, workers=1, seed=seed
    )
    assert report.clairvoyant_bound <= report.clairvoyant_value * (1 + 1e-9)
    assert report.clairvoyant_bound <= report.online_bound
    for loss in report.policies.values():  # the report itself refuses less than 1e-6 of a contradiction
        assert report.online_bound <= loss.value * (1 + 1e-6) + 1e-9


def test_futures_have_one_past() -> None:
    instance = replace(
        whole(*(workflow(f"w{k}", 2.0 * k, call("x", k + 1, 2 * k + 1), call("y", 1, 1, "x")) for k in range(5)))
    )
    drawn = solvers.futures(instance, 3, workflows=3, shared=2, calls=1, seed=1)
    assert drawn == solvers.futures(instance, 3, workflows=3, shared=2, calls=1, seed=1)
    assert len({tuple(c.output_tokens for w in i.workflows for c in w.calls) for i in drawn}) > 1
    for i in drawn:
        assert [len(w.calls) for w in i.workflows] == [1, 1, 1]
        pasts = [(w.workflow_id, w.arrival, w.calls[0].prompt_tokens) for w in i.workflows[:2]]
        assert pasts == [(w.workflow_id, w.arrival, w.calls[0].prompt_tokens) for w in drawn[0].workflows[:2]]
    for wrong in ({"count": 1}, {"workflows": 6}, {"shared": 0}, {"calls": 0}):
        with pytest.raises(InputError):
            solvers.futures(instance, **{"count": 2, **wrong})


def test_what_knows_more_is_told_apart() -> None:
    report = solvers.clairvoyance(ARRIVAL, "fcfs,hexagent(horizon=oracle)", "mean_ratio", time_limit=SECONDS, workers=1)
    assert report.policies["hexagent(horizon=oracle)"].knows_more
    assert report.policies["hexagent(horizon=oracle)"].in_reach is None
    assert not report.policies["fcfs"].knows_more


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (ARRIVAL[:1], "two or more futures, got 1"),
        ((ARRIVAL[0], replace(ARRIVAL[1], kv_bytes_per_token=2)), "future 2 has other kv_bytes_per_token"),
        ((whole(*(long(f"w{k}") for k in range(201))),) * 2, "402 calls together"),
        ((replace(ARRIVAL[0], decode_model="fluid"),) * 2, "--decode-model fixed"),
    ],
)
def test_what_are_no_futures_is_a_line(given: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        solvers.clairvoyance(given, "fcfs", "max_ratio", time_limit=1)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for file, instance in zip(files, ARRIVAL, strict=True):
        instance.save(file)
    asked = ("--objective", "max_ratio", "--policies", "fcfs,hexagent(horizon=oracle)", "--time-limit", 5)
    code, out, err = run("clairvoyance", *files, *asked, "--json")
    told = json.loads(out)
    assert code == OK
    assert told["online_bound"] <= told["policies"]["fcfs"]["value"]
    assert len(told["provenance"]["inputs"]) == 2
    assert "told what no online policy knows" in err
    for wrong, words in (
        ((*files, "--futures", 2), "draws from one instance, and 2 are given"),
        (files[:1], "expected two or more futures"),
        ((*files, "--over", "best"), "mean or worst"),
    ):
        code, _, err = run("clairvoyance", *wrong)
        assert code == BAD_INPUT
        assert words in err

    def stopped(*given: Any, **more: Any) -> OnlineBound:
        return OnlineBound(1.0, False, interrupted=True)

    monkeypatch.setattr("solvers.brackets.clairvoyance.online_bound", stopped)
    code, out, _ = run("clairvoyance", *files, *asked)
    assert code == INTERRUPTED
    assert "clairvoyant, at least" in out
