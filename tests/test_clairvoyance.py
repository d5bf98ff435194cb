"""What any online policy must lose: against all policies there are on tiny instances, and under every real one."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from campaigns.clairvoyance import bound as of_policies
from campaigns.clairvoyance.bound import meeting, online_bound
from instances import call, one_pair, workflow
from msgspec.structs import replace

from hexsched.model import Instance, Link, PrefillInstance, Workflow
from hexsched.simulator import simulate
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem

SECONDS = 20.0  # never reached on these sizes
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


def best_policy(one: Instance, other: Instance, objective: str, by_arrival: float, told_by: tuple[str, ...]) -> float:
    """Least mean over pairs of schedules that are the same before the two differ; written from the definition."""
    mine, others = schedules(one), schedules(other)
    values = [value(one, made, objective) for made in mine], [value(other, made, objective) for made in others]
    least, common = math.inf, set(mine[0]) & set(others[0])
    for (a, x), (b, y) in itertools.product(zip(mine, values[0], strict=True), zip(others, values[1], strict=True)):
        if x + y >= least:
            continue
        differ = min([by_arrival, *(s[name][1] for name in told_by for s in (a, b))])
        if all(a[name][0] == b[name][0] or min(a[name][0], b[name][0]) >= differ for name in common):
            least = x + y
    return least / 2


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


def fcfs(scenarios: Any, objective: str) -> tuple[float, list[Any]]:
    runs = [simulate(instance, "fcfs") for instance in scenarios]
    aim = read_objective(objective)
    return float(np.mean([aim.value(r.arrival, r.completed, r.horizon) for r in runs])), [r.schedule for r in runs]


@pytest.mark.parametrize("objective", ["max_ratio", "mean_ratio", "misses(1.2)"])
@pytest.mark.parametrize("name", CASES)
def test_it_is_what_the_best_of_all_policies_has(name: str, objective: str) -> None:
    *scenarios, by_arrival, told_by = CASES[name]
    known, made = fcfs(scenarios, objective)
    least = best_policy(*scenarios, objective, by_arrival, told_by)
    found = online_bound(scenarios, objective, known, SECONDS, schedules=made)
    assert found.is_best
    assert least * (1 - 1e-3) - 1e-6 <= found.value <= least * (1 + 1e-9)
    optima = [min(value(instance, s, objective) for s in schedules(instance)) for instance in scenarios]
    alone = online_bound(scenarios, objective, known, SECONDS, clairvoyant=True)
    assert np.mean(optima) * (1 - 1e-3) - 1e-6 <= alone.value <= np.mean(optima) * (1 + 1e-9)
    assert alone.value <= found.value


def test_not_to_know_costs_something() -> None:
    """The long call starts at once in one future and waits in the other; before 1 s nobody knows which it is."""
    known, _ = fcfs(ARRIVAL, "max_ratio")
    online = online_bound(ARRIVAL, "max_ratio", known, SECONDS).value
    assert online > 1.04 * online_bound(ARRIVAL, "max_ratio", known, SECONDS, clairvoyant=True).value


def test_a_rule_that_holds_too_long_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Had the futures differed later than they do, the bound would lie above a policy: so the tests above can fail."""
    least = best_policy(*ARRIVAL, "max_ratio", 1.0, ())
    known, _ = fcfs(ARRIVAL, "max_ratio")

    def late(one: Any, other: Any) -> Any:
        alike, known_by, telling = meeting(one, other)
        return alike, known_by + 3.0, telling

    monkeypatch.setattr(of_policies, "meeting", late)
    assert online_bound(ARRIVAL, "max_ratio", known, SECONDS).value > least * (1 + 1e-3)


def test_calls_that_tell_futures_apart() -> None:
    one, other = (offline_problem(instance) for instance in LENGTH)
    assert meeting(one, other) == ([(0, 0), (1, 1), (2, 2)], math.inf, ([0], [0]))
    one, other = (offline_problem(instance) for instance in CHILD)
    assert meeting(one, other)[1:] == (math.inf, ([0, 1], [0, 2]))
    one, other = (offline_problem(instance) for instance in ARRIVAL)
    assert meeting(one, other) == ([(0, 0)], 1.0, ([], []))
