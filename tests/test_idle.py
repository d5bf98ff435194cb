"""Idle stretches are cut out of what is solved exactly, and nothing changes but the calendar."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import corner_instance
from msgspec.structs import replace
from reference import exhaustive, serial_schedule

from hexsched.model import Instance
from hexsched.simulator import simulate
from solvers.brackets.solve import solve_with
from solvers.exact import FORMULATIONS
from solvers.problem.certificate import certified_value
from solvers.problem.idle import without_idle
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem
from solvers.problem.result import Options

VALUES = {
    "max_ratio": exhaustive.largest,
    "mean_ratio": exhaustive.mean_ratio,
    "mean_latency": exhaustive.mean_latency,
    "req(0.5)": exhaustive.required("0.5"),
    "misses(1.2)": exhaustive.misses(1.2),
}
SPANS = (1e-3, 1.0, 60.0, 86_400.0, 15_768_000.0)  # seconds between arrivals, up to half a year
QUICK = Options(time_limit=10.0, workers=1, isolate=False)


def apart(seed: int, seconds: float, workflows: int = 2, calls: tuple[int, int] = (1, 2)) -> Instance:
    """Workflows that get in each other's way, if they arrive so closely that they can; the first not at 0."""
    rng = np.random.default_rng([seed, workflows])
    drawn = corner_instance(
        rng, workflows=(workflows, workflows), calls=calls, decode_model="fixed", arrivals="together", room="barely"
    )
    flows = tuple(replace(flow, arrival=seconds * (k + 0.5)) for k, flow in enumerate(drawn.workflows))
    return replace(drawn, workflows=flows)


@pytest.mark.parametrize("seconds", SPANS)
@pytest.mark.parametrize("seed", range(3))
def test_the_optimum_stays_what_it_is(seed: int, seconds: float) -> None:
    instance = apart(seed, seconds)
    short = without_idle(fixed_problem(instance))
    assert short is not None
    before, after = (exhaustive.optima(each, VALUES) for each in (instance, short.problem.instance))
    assert before == pytest.approx(after, rel=1e-6)


@given(seed=st.integers(0, 10_000), seconds=st.sampled_from(SPANS), policy=st.sampled_from(["fcfs", "sjf", "serial"]))
@settings(max_examples=40, deadline=None)
def test_the_way_back_makes_no_schedule_worse(seed: int, seconds: float, policy: str) -> None:
    problem = fixed_problem(apart(seed, seconds, workflows=4, calls=(1, 3)))
    short = without_idle(problem)
    assert short is not None
    instance = short.problem.instance
    if policy == "serial":  # all orders, so that groups are mixed where they can be
        made = serial_schedule(instance, np.random.default_rng(seed))
    else:
        made = simulate(instance, policy).schedule
    for name in VALUES:
        objective = read_objective(name)
        there = certified_value(short.problem, objective, made)
        back = certified_value(problem, objective, short.back(made))
        assert there is not None
        assert back is not None
        assert back[0] <= there[0] * (1 + 1e-6)


def test_a_year_is_cut_down_to_the_work() -> None:
    near, far = (without_idle(fixed_problem(apart(1, seconds, workflows=3))) for seconds in (1e5, 3e7))
    assert near is not None
    assert far is not None
    assert far.problem.arrival == pytest.approx(near.problem.arrival)
    assert far.problem.arrival.max() < 1e5
    assert list(far.group) == [0, 1, 2]


def test_what_has_no_idle_time_is_left_alone() -> None:
    instance = apart(1, 0.0, workflows=3)
    assert without_idle(fixed_problem(instance)) is None


@pytest.mark.parametrize("seconds", [1e-3, 86_400.0, 15_768_000.0])
@pytest.mark.parametrize("objective", ["max_ratio", "mean_ratio", "req(0.5)", "misses(1.2)"])
@pytest.mark.parametrize("formulation", [name for name in FORMULATIONS if name != "choco"])  # it has no mean_ratio
def test_bound_optimum_and_schedules_are_in_order_whatever_the_span(
    formulation: str, objective: str, seconds: float
) -> None:
    instance = apart(2, seconds)
    optimum = exhaustive.optima(instance, {objective: VALUES[objective]})[objective]
    result = solve_with(instance, formulation, objective, options=QUICK, start_policies=())
    assert result.objective is not None
    assert result.lower_bound <= optimum * (1 + 1e-6)
    assert result.objective >= optimum * (1 - 1e-6)
    if FORMULATIONS.find(formulation).exact:
        assert result.status == "optimal"
    problem = fixed_problem(instance)
    for policy in ("fcfs", "hexagent"):
        value = certified_value(problem, read_objective(objective), simulate(instance, policy).schedule)
        assert value is not None
        assert optimum <= value[0] * (1 + 1e-6)
