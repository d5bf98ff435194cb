"""Any time of day: no bound above a policy over spans from milliseconds to months, and clocks that are too coarse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import corner_instance
from msgspec.structs import replace

from experiments.cli import BAD_INPUT, OK, main
from hexsched.engine.horizon import horizons
from hexsched.errors import InputError, InputWarning
from hexsched.model import Instance, write_instance
from hexsched.simulator import Run, simulate
from hexsched.verifier import verify
from solvers.bounds import BOUNDS, time_indexed_lp
from solvers.bounds.parts.bound import Cost
from solvers.bounds.parts.linear import GaveUpError, Program
from solvers.problem.idle import Parts
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem

TEXTS = ("max_ratio", "req(0.6)", "mean_ratio", "mean_latency", "misses(1.3)")
SECONDS = 20.0  # never reached on these sizes
SHORT = 0.2  # of what gets better the longer it takes, and is as valid
ROUNDING = 1e-6
MONTH = 30 * 86400.0
UNIX = 1.7e9  # seconds


@pytest.fixture(autouse=True)
def fast(coarse_bounds: None) -> None:
    """Bounds as fast as they come."""


def at(instance: Instance, span: float, offset: float = 0.0) -> Instance:
    """The instance with its arrivals spread over ``span`` seconds from ``offset`` on, in the same proportions."""
    arrivals = np.array([w.arrival for w in instance.workflows])
    spread = arrivals / arrivals.max() if arrivals.max() > 0 else arrivals
    moved = (spread * span + offset).tolist()
    flows = tuple(replace(w, arrival=a) for w, a in zip(instance.workflows, moved, strict=True))
    return replace(instance, workflows=flows)


def unless_refused(instance: Instance) -> Run | None:
    try:
        return simulate(instance, "fcfs")
    except InputError:
        return None


def exponents(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(np.log10(low), np.log10(high)).map(lambda exponent: 10.0**exponent)


@settings(max_examples=settings.default.max_examples // 2)  # each runs every bound
@given(
    seed=st.integers(0, 2**32 - 1),
    span=exponents(1e-3, 6 * MONTH),
    offset=st.sampled_from([0.0, 1e4, UNIX]),
    text=st.sampled_from(TEXTS),
)
def test_no_bound_exceeds_a_policy_at_any_time(seed: int, span: float, offset: float, text: str) -> None:
    instance = at(corner_instance(np.random.default_rng(seed), workflows=(2, 4), calls=(1, 3)), span, offset)
    problem = offline_problem(instance)
    run = simulate(instance, "hexagent")
    assert verify(instance, run.schedule).ok
    completed = problem.completed(run.schedule)
    objective = read_objective(text)
    value = objective.value(problem.arrival, completed, problem.horizon)
    for name, bound in BOUNDS.items():
        if bound.holds_for(problem, objective):
            seconds = SECONDS if bound.cost < Cost.ANY_TIME else SHORT
            for compute in (bound.compute, bound.value):
                assert compute(problem, objective, seconds) <= value * (1 + ROUNDING), name


@given(seed=st.integers(0, 2**32 - 1), span=exponents(1e-3, 6 * MONTH), offset=exponents(1e9, 1e19))
def test_ratios_are_1_or_more_or_the_clock_is_refused(seed: int, span: float, offset: float) -> None:
    drawn = corner_instance(np.random.default_rng(seed), workflows=(2, 4), calls=(1, 3))
    instance = at(drawn, span, offset)
    run = unless_refused(instance)
    if run is None:
        assert np.spacing(offset + span) > 1e-7 * min(horizons(drawn).values())
        return
    metrics = verify(instance, run.schedule).metrics
    assert metrics is not None
    assert min(w.ratio for w in metrics.per_workflow) >= 1 - ROUNDING


@pytest.mark.parametrize("name", BOUNDS)
def test_two_far_apart_are_alone(name: str) -> None:
    """Alone on the cluster, whatever the hour: 1 is the optimum, and no bound may say more."""
    drawn = corner_instance(np.random.default_rng(3), workflows=(2, 2), calls=(1, 1), decode_model="fixed")
    for hours in (1, 4, 24, 1000):
        problem = offline_problem(at(drawn, 3600.0 * hours))
        for text in TEXTS:
            objective = read_objective(text)
            if BOUNDS[name].holds_for(problem, objective):
                best = objective.value(problem.arrival, problem.arrival + problem.horizon, problem.horizon)
                assert BOUNDS[name].compute(problem, objective, SECONDS) <= best * (1 + ROUNDING), (hours, text)


def stretches(seed: int, count: int, gap: float) -> tuple[Instance, Instance]:
    """An instance, and ``count`` copies of it one after another, ``gap`` seconds from one to the next."""
    one = corner_instance(np.random.default_rng(seed), workflows=(3, 3), calls=(1, 2), arrivals="together")
    flows = [
        replace(w, workflow_id=f"{w.workflow_id}-{k}", arrival=w.arrival + k * gap)
        for k in range(count)
        for w in one.workflows
    ]
    return one, replace(one, workflows=tuple(flows))


@pytest.mark.parametrize("seed", range(3))
def test_idle_stretches_split_a_problem(seed: int) -> None:
    """What lies between two idle stretches has the same bounds as by itself, whatever the time of day."""
    one, many = stretches(seed, 3, MONTH)
    alone, whole = offline_problem(one), offline_problem(many)
    parts = Parts(whole)
    assert [sorted(m.tolist()) for m in parts.members] == [[k, k + 3, k + 6] for k in range(3)]
    for text in ("max_ratio", "mean_ratio", "mean_latency"):
        for name in ("single-machine", "window-lp"):
            expected = BOUNDS[name].compute(alone, read_objective(text), SECONDS)
            assert BOUNDS[name].value(whole, read_objective(text), SECONDS) == pytest.approx(expected, rel=1e-6)
    expected = BOUNDS["window-lp"].compute(alone, read_objective("misses(1.01)"), SECONDS)
    assert BOUNDS["window-lp"].value(whole, read_objective("misses(1.01)"), SECONDS) == 3 * expected


def test_without_an_idle_stretch_there_is_one_part() -> None:
    _, many = stretches(0, 3, 1e-3)
    whole = offline_problem(many)
    assert len(Parts(whole)) == 1
    assert Parts(whole)[0] is whole


def test_only_idle_ticks_are_left_out() -> None:
    """Every tick that a call covers has a row of its own, in order, and no other has."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        begin = rng.integers(0, 60, 6)
        end = begin + rng.integers(0, 9, 6)
        covered = sorted({t for a, b in zip(begin, end, strict=True) for t in range(a, b)})
        busy = time_indexed_lp._Stretches(begin, end)
        assert busy.count == len(covered)
        assert busy.place(np.array(covered, dtype=int)).tolist() == list(range(len(covered)))


def test_a_program_that_is_too_large_is_left_out_and_told() -> None:
    program = Program("any", most=10)
    columns = program.variables(4, 1.0)
    with pytest.warns(InputWarning, match="more than 10 numbers"), pytest.raises(GaveUpError):
        program.entries(program.rows(0.0, 4), columns, 1.0)
    late = Program("any", stop=0.0)
    with pytest.raises(GaveUpError, match="time was up"):
        late.variables(1, 1.0)


def test_a_clock_that_is_too_coarse_is_refused(tmp_path, capsys) -> None:
    """Unix microseconds read as seconds: a step of 0.25 s swallows what happens."""
    drawn = corner_instance(np.random.default_rng(3), workflows=(2, 2), calls=(1, 1))
    file, schedule = tmp_path / "i.json", tmp_path / "s.json"
    write_instance(file, at(drawn, 10.0))
    assert main(["simulate", str(file), "--policy", "fcfs", "-o", str(schedule)]) == OK
    write_instance(file, at(drawn, 10.0, 1e16 * min(horizons(drawn).values())))
    capsys.readouterr()
    for command in (
        ["simulate", str(file), "--policy", "fcfs"],
        ["bound", str(file), "--objective", "max_ratio"],
        ["verify", str(file), str(schedule)],
    ):
        assert main(command) == BAD_INPUT
        assert "too coarse" in capsys.readouterr().err
