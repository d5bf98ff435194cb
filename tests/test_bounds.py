"""Lower bounds: under every optimum and every schedule, and not for being trivial."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import cases
import numpy as np
import pytest
from extension import extended, recipe
from instances import corner_instance, one_pair
from msgspec.structs import replace
from reference import random_instance
from reference.exhaustive import Value, largest, mean_latency, mean_ratio, misses, optima, required

from experiments.cli import BAD_INPUT, OK, main
from hexsched.errors import InputError
from hexsched.model import Call, Instance, Workflow, write_instance
from hexsched.simulator import Run, simulate
from solvers.bounds import BOUNDS, preemptive_lp
from solvers.bounds.critical_path import BOUND as CRITICAL_PATH
from solvers.bounds.parts.bound import FRUITLESS, NO_TIME, Bound, Cost
from solvers.bounds.parts.linear import Program
from solvers.bounds.parts.pools import pools
from solvers.bounds.single_machine import preemptive
from solvers.brackets.portfolio import best_bound, bound
from solvers.problem.objective import read_objective
from solvers.problem.offline import OfflineProblem, fixed_problem

EXACT: Mapping[str, Value] = {
    "max_ratio": largest,
    "req(0.5)": required("0.5"),
    "mean_ratio": mean_ratio,
    "mean_latency": mean_latency,
    "misses(1.1)": misses(1.1),
}
TAIL_AND_MEAN = ("max_ratio", "req(0.6)", "mean_ratio", "mean_latency", "misses(1.3)", "misses(0.9)")
POLICIES = ("hexagent", "sjf", "workflow-llf", "edf@earliest-finish", "fcfs@jsq")
ROUNDING = 1e-9
SECONDS = 20.0  # never reached on these sizes; results must not depend on the machine
SHORT = 0.2
RANDOM_INSTANCES = 36


@pytest.fixture(autouse=True)
def fast(coarse_bounds: None) -> None:
    """Bounds as fast as they come."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``name`` runs over every registered bound."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", BOUNDS)


def contended(seed: int, workflows: tuple[int, int] = (2, 4), calls: tuple[int, int] = (1, 3)) -> Instance:
    """Arrivals closer together than the cluster can serve; corner cases for odd seeds, tight KV for many."""
    rng = np.random.default_rng(seed)
    draw = corner_instance if seed % 2 else random_instance
    drawn = draw(rng, decode_model="fixed", workflows=workflows, calls=calls)
    squeeze = 1.0 if seed % 5 == 0 else 0.1
    return replace(drawn, workflows=tuple(replace(w, arrival=w.arrival * squeeze) for w in drawn.workflows))


def tiny(seed: int) -> Instance:
    """Four calls or fewer on one or two instances a stage, all arriving close together."""
    rng = np.random.default_rng(seed)
    drawn = random_instance(rng, decode_model="fixed", workflows=(2, 2), calls=(1, 2))
    prefill, decode = drawn.prefill[: 1 + seed % 2], drawn.decode[:1]
    kept = {machine.id for machine in (*prefill, *decode)}
    return replace(
        drawn,
        prefill=prefill,
        decode=decode,
        links=tuple(link for link in drawn.links if {link.source, link.to} <= kept),
        workflows=tuple(replace(w, arrival=w.arrival / 20) for w in drawn.workflows),
    )


@cache
def policy_runs(seed: int) -> tuple[OfflineProblem, list[Run]]:
    """The instance ``contended(seed)``, and what ``POLICIES`` make of it."""
    instance = contended(seed)
    return fixed_problem(instance), [simulate(instance, policy) for policy in POLICIES]


def seconds(chosen: Bound) -> float:
    """For one value: what gets better the longer it takes is as valid after a short time."""
    return SECONDS if chosen.cost < Cost.ANY_TIME else SHORT


def applicable(chosen: Bound, text: str) -> bool:
    return read_objective(text).kind in chosen.objectives


@pytest.mark.parametrize("seed", range(4))
def test_no_bound_exceeds_the_optimum(name: str, seed: int) -> None:
    instance = tiny(seed)
    problem, chosen = fixed_problem(instance), BOUNDS.find(name)
    best = exhaustive(seed)
    for text in EXACT:
        if applicable(chosen, text):
            found = chosen.compute(problem, read_objective(text), seconds(chosen))
            assert found <= best[text] * (1 + ROUNDING), text


@cache
def exhaustive(seed: int) -> dict[str, float]:
    return optima(tiny(seed), EXACT)


@pytest.mark.parametrize("case", cases.OPTIMA)
def test_no_bound_exceeds_a_known_optimum(name: str, case: str) -> None:
    chosen, problem = BOUNDS.find(name), fixed_problem(cases.instance(case))
    for key, optimum in cases.OPTIMA[case].items():
        text = cases.NAMES.get(key, key)
        if applicable(chosen, text):
            assert chosen.compute(problem, read_objective(text), seconds(chosen)) <= optimum * (1 + ROUNDING), text


def test_no_bound_exceeds_a_policy(name: str) -> None:
    for seed in range(RANDOM_INSTANCES if BOUNDS[name].cost < Cost.ANY_TIME else RANDOM_INSTANCES // 3):
        check_rotated(name, seed)


@pytest.mark.campaign
def test_no_bound_exceeds_a_policy_of_many(name: str) -> None:
    for seed in range(12 * RANDOM_INSTANCES):
        check_rotated(name, seed)


def check_rotated(name: str, seed: int) -> None:
    """Two of the objectives, others for each seed."""
    rotated = seed % len(TAIL_AND_MEAN)
    check_against_policies(BOUNDS.find(name), seed, (TAIL_AND_MEAN[rotated], TAIL_AND_MEAN[rotated - 2]))


def check_against_policies(chosen: Bound, seed: int, objectives: tuple[str, ...]) -> None:
    problem, runs = policy_runs(seed)
    for text in objectives:
        aim = read_objective(text)
        if aim.kind not in chosen.objectives:
            continue
        found = chosen.compute(problem, aim, seconds(chosen))
        reached = min(aim.value(problem.arrival, run.completed, problem.horizon) for run in runs)
        assert found <= reached * (1 + ROUNDING), (seed, text)
        floor = CRITICAL_PATH.compute(problem, aim, SECONDS)
        assert found >= floor * (1 - ROUNDING), (seed, text)


def test_the_lps_see_what_the_critical_path_does_not() -> None:
    """One prefill and one decode instance with a batch of one: two equal calls arriving together run in turn."""
    instance = one_at_a_time()
    problem = fixed_problem(instance)
    alone = float(problem.horizon[0])
    decode = float(problem.transfer[0, 0, 0] + problem.decode[0, 0])
    optimum = (alone + decode) / alone  # the second decode starts when the first has ended
    for name in ("preemptive-lp", "time-indexed-lp"):
        found = BOUNDS.find(name).compute(problem, read_objective("max_ratio"), SECONDS)
        assert optimum * 0.9 < found <= optimum * (1 + ROUNDING), name
    mean = BOUNDS.find("time-indexed-lp").compute(problem, read_objective("mean_ratio"), SECONDS)
    assert 1 + (optimum - 1) / 2 * 0.7 < mean <= (1 + optimum) / 2 * (1 + ROUNDING)
    for name in ("load", "preemptive-lp", "time-indexed-lp"):
        assert BOUNDS.find(name).compute(problem, read_objective("misses(1.01)"), SECONDS) == 1.0, name
        assert BOUNDS.find(name).compute(problem, read_objective("req(0.5)"), SECONDS) == pytest.approx(1.0)


def one_at_a_time() -> Instance:
    twins = [
        Workflow(workflow_id=w, arrival=0.0, calls=(Call(call_id="c", prompt_tokens=5, output_tokens=10),))
        for w in "ab"
    ]
    return one_pair(*twins, decode_model="fixed", max_batch=1)


def test_calls_too_large_to_fit_together_are_counted_as_such() -> None:
    """Three calls of 0.4 M: no more than two at once, though KV tokens alone would let 2.5 in."""
    problem = fixed_problem(one_at_a_time())
    large = replace(one_at_a_time(), decode=(replace(one_at_a_time().decode[0], kv_capacity_tokens=37, max_batch=8),))
    shares = pools(fixed_problem(large)).demands
    assert np.allclose(shares[1][:, 0], 15 / 37)
    assert any(np.allclose(share[:, 0], 0.5) for share in shares)
    assert all(share.max() <= 1 for share in (*shares, *pools(problem).demands))


@pytest.mark.parametrize("seed", range(30))
def test_demands_admit_every_batch_that_fits(seed: int) -> None:
    """Dual feasible functions must not turn away what a policy had on one instance together."""
    problem, runs = policy_runs(seed)
    cluster = pools(problem)
    names = problem.names
    for run in runs:
        rows = {(row.workflow_id, row.call_id): row for row in run.schedule.calls}
        for machine, k in zip(problem.instance.decode, problem.decode_types.of, strict=True):
            there = [c for c, name in enumerate(names) if rows[name].decode_instance == machine.id]
            for moment in (rows[names[c]].admitted for c in there):
                held = [c for c in there if rows[names[c]].admitted <= moment < rows[names[c]].decode_end]
                for demand in cluster.demands:
                    assert demand[held, k].sum() <= 1 + ROUNDING


def test_paths_cover_all_calls_and_follow_precedence() -> None:
    for seed in range(20):
        problem = fixed_problem(contended(seed, calls=(1, 6)))
        paths = preemptive_lp.path_cover(problem)
        assert {c for path in paths for c in path} == set(range(problem.calls))
        for path in paths:
            for before, after in itertools.pairwise(path):
                assert before in problem.parents[after]


def test_without_time_each_call_is_a_path_of_its_own() -> None:
    """A workflow as wide as it has calls would take as many rounds."""
    problem = fixed_problem(contended(3, calls=(3, 6)))
    paths = preemptive_lp.path_cover(problem, stop=0.0)
    assert paths == [[c] for c in range(problem.calls)]
    assert len(preemptive_lp.path_cover(problem)) < problem.calls


def test_a_time_limit_of_nothing_still_gives_a_bound(name: str) -> None:
    problem = fixed_problem(contended(2))
    for text in TAIL_AND_MEAN:
        if applicable(BOUNDS.find(name), text):
            floor = CRITICAL_PATH.compute(problem, read_objective(text), 0.0)
            found = BOUNDS.find(name).compute(problem, read_objective(text), 0.0)
            assert found >= floor * (1 - ROUNDING) if read_objective(text).kind != "misses" else found >= 0


def test_portfolio_is_the_best_of_its_table() -> None:
    problem = fixed_problem(contended(4))
    for text in ("max_ratio", "mean_latency", "misses(1.1)"):
        best = best_bound(problem, read_objective(text), SECONDS)
        values = {row.bound: row.value for row in best.table}
        assert list(values) == list(BOUNDS)
        assert best.value == max(v for v in values.values() if v is not None) == values[best.source]
        assert all((values[name] is None) != applicable(BOUNDS.find(name), text) for name in values)


def test_portfolio_needs_a_bound_that_applies() -> None:
    problem = fixed_problem(contended(4))
    with pytest.raises(InputError, match="single-machine"):
        best_bound(problem, read_objective("mean_ratio"), SECONDS, [BOUNDS.find("load")])
    with pytest.raises(InputError, match="time limit"):
        best_bound(problem, read_objective("mean_ratio"), 0.0)


def test_unknown_bound_is_named_with_what_is_meant() -> None:
    with pytest.raises(InputError, match="did you mean 'load'"):
        BOUNDS.find("laod")


def test_bound_of_a_program_needs_no_accurate_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """min x + 2 y, x + y >= 1, boxes [0, 1]: weak duality holds for any dual, however wrong."""
    from types import SimpleNamespace

    program = Program("any")
    x, y = program.variables(2, 1.0, [1.0, 2.0])
    row = program.rows(-1.0)
    program.entries(row, [x, y], -1.0)
    assert program.lower_bound(SECONDS) == pytest.approx(1.0)
    for dual in (0.0, 0.5, 1.0, 1.5, 3.0):
        wrong = SimpleNamespace(status=0, ineqlin=SimpleNamespace(marginals=np.array([-dual])))
        monkeypatch.setattr("scipy.optimize.linprog", lambda *_, wrong=wrong, **__: wrong)
        found = program.lower_bound(SECONDS)
        assert found is not None
        assert found <= 1.0


def test_shortest_remaining_time_first() -> None:
    for first in (0.0, 1e7):
        flow, busy = preemptive(np.array([first, first + 1.0]), np.array([4.0, 1.0]), lambda _, left: left)
        assert flow.tolist() == [5.0, 1.0]
        assert busy.tolist() == [pytest.approx((0.5 * 1 + 3.5 * 3) / 4), 0.5]


def test_bound_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "i.json"
    write_instance(file, contended(4))
    assert main(["bound", str(file), "--objective", "max_ratio", "--bounds", "critical-path,load", "--json"]) == OK
    record = json.loads(capsys.readouterr().out)
    assert record["lower_bound"] == max(row["value"] for row in record["bounds"].values()) >= 1
    assert set(record["bounds"]) == {"critical-path", "load"}
    assert main(["bound", str(file), "--objective", "mean_ratio", "--bounds", "all"]) == OK
    assert "time-indexed-lp" in capsys.readouterr().out
    for wrong in (["--objective", "speed"], ["--objective", "max_ratio", "--bounds", "load,"]):
        assert main(["bound", str(file), *wrong]) == BAD_INPUT
        assert capsys.readouterr().err.count("\n") == 1


def test_every_bound_that_holds_in_fluid_is_computed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, instance = tmp_path / "i.json", replace(contended(4), decode_model="fluid")
    write_instance(file, instance)
    assert main(["bound", str(file), "--objective", "max_ratio", "--time-limit", "6", "--json"]) == OK
    rows = json.loads(capsys.readouterr().out)["bounds"]
    values = {name: row["value"] for name, row in rows.items()}
    left_out = {name: row["note"] for name, row in rows.items() if row["value"] is None}
    short_of_time = {name for name, note in left_out.items() if note in (FRUITLESS, NO_TIME)}
    assert set(left_out) - short_of_time == {"preemptive-lp", "time-indexed-lp"}
    assert all(BOUNDS[name].cost > Cost.AT_ONCE for name in short_of_time)
    reached = min(simulate(instance, policy).metrics.max_ratio for policy in POLICIES)
    assert all(1 <= value <= reached * (1 + ROUNDING) for value in values.values() if value is not None)
    assert main(["bound", str(file), "--objective", "max_ratio", "--bounds", "preemptive-lp"]) == BAD_INPUT
    assert "window-lp" in capsys.readouterr().err


def test_help_names_every_bound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bound", "--help"]) == OK
    told = "".join(capsys.readouterr().out.split())  # lines may end within a name
    assert not [name for name in BOUNDS if name not in told]


def test_a_bound_is_one_file(tmp_path: Path) -> None:
    with extended(BOUNDS, tmp_path, recipe("A bound")):
        value = bound(contended(4), "mean_latency", bounds="longest-call").value
    assert 0 < value <= fixed_problem(contended(4)).horizon.mean() * (1 + ROUNDING)
    assert "longest-call" not in BOUNDS
