"""The MILP solvers: each proves the same optimum, says what it is, and claims no more than it may."""

from __future__ import annotations

import _thread
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pulp
import pytest
from instances import tiny_flow_shop
from reference import exhaustive
from test_compare_formulations import SMALL

from experiments.cli import BAD_INPUT, OK, main
from experiments.formulations.comparison import crossed, plan, unaffected
from experiments.formulations.rows import as_frame, read_rows
from experiments.library.names import instance
from hexsched.errors import InputError
from solvers.brackets.solve import solve_with
from solvers.exact.milp import cp_sat
from solvers.exact.milp.answer import Effort
from solvers.exact.milp.backends import BACKENDS
from solvers.exact.milp.interruptible import run_interruptibly
from solvers.exact.milp.time_indexed import TimeIndexed, grid
from solvers.exact.milp.time_windows import target_windows
from solvers.exact.milp_time_indexed import Pulses
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem
from solvers.problem.result import Options

INSTALLED = [name for name, solver in BACKENDS.items() if solver.available()]
OBJECTIVES = {
    "max_ratio": exhaustive.largest,
    "req(0.5)": exhaustive.required("0.5"),
    "mean_ratio": exhaustive.mean_ratio,
    "mean_latency": exhaustive.mean_latency,
    "misses(1.1)": exhaustive.misses(1.1),
}
EFFORT = Effort(10.0, 1, 0, lambda incumbent, bound: None)


@pytest.fixture(scope="module")
def optima() -> dict[str, float]:
    return exhaustive.optima(tiny_flow_shop(1), OBJECTIVES)


@pytest.mark.parametrize("text", OBJECTIVES)
@pytest.mark.parametrize("name", INSTALLED)
def test_every_solver_proves_the_exhaustive_optimum(name: str, text: str, optima: dict[str, float]) -> None:
    options = Options(time_limit=20, workers=1, solver=name)
    result = solve_with(tiny_flow_shop(1), "milp_disjunctive", text, options=options, start_policies=())
    assert result.status == "optimal", result
    assert result.objective == pytest.approx(optima[text], rel=1e-6)
    assert result.lower_bound <= optima[text] * (1 + 1e-9)
    if result.report is not None:
        said = result.report
        assert (said.solver, said.threads) == (name, 1)
        assert said.version[0].isdigit()
        assert said.status in ("optimal", "infeasible", "feasible")


def random_milp(seed: int, with_start: bool) -> pulp.LpProblem:
    """A covering problem with fractions in whole and continuous variables, signs of both kinds, and equations."""
    rng = np.random.default_rng(seed)
    lp = pulp.LpProblem("random", pulp.LpMinimize)
    count = int(rng.integers(3, 7))
    kinds = [pulp.LpInteger if rng.random() < 0.5 else pulp.LpContinuous for _ in range(count)]
    inside = rng.uniform(-2, 3, count)
    x = [lp.add_variable(f"x_{k}", -3, 4, kind) for k, kind in enumerate(kinds)]
    inside = np.array([round(v) if kind == pulp.LpInteger else v for v, kind in zip(inside, kinds, strict=True)])
    for _ in range(count):
        weights = rng.normal(size=count).round(3)
        lp += pulp.lpSum(w * v for w, v in zip(weights, x, strict=True)) <= float(weights @ inside + rng.uniform(0, 1))
    weights = rng.normal(size=count)
    lp += pulp.lpSum(w * v for w, v in zip(weights, x, strict=True)) == float(weights @ inside)
    lp.setObjective(pulp.lpSum(w * v for w, v in zip(rng.normal(size=count), x, strict=True)))
    if with_start:
        for v, value in zip(x, inside, strict=True):
            v.varValue = float(value)
    return lp


@pytest.mark.parametrize("name", [name for name in INSTALLED if name not in ("HiGHS", "CP-SAT")])
def test_solvers_agree_on_random_models(name: str) -> None:
    for seed in range(3 if name == "CBC" else 15):
        ours = random_milp(seed, with_start=False)
        best = BACKENDS["HiGHS"].solve(ours, EFFORT)
        value = pulp.value(ours.objective)
        lp = random_milp(seed, with_start=seed % 2 == 0)
        answer = BACKENDS[name].solve(lp, EFFORT)
        assert (answer.status, best.status) == ("optimal", "optimal")
        assert answer.bound == pytest.approx(value, abs=1e-5 * max(abs(value), 1))


def test_cp_sat_proves_no_more_than_there_is_on_any_lattice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarse steps make weak bounds, never wrong ones, and refute nothing that has a solution."""
    for steps in (2, 16, 2**7):
        monkeypatch.setattr(cp_sat, "STEPS", steps)
        monkeypatch.setattr(cp_sat, "FEWEST_STEPS", steps)
        for seed in range(15):
            ours = random_milp(seed, with_start=False)
            BACKENDS["HiGHS"].solve(ours, EFFORT)
            value = pulp.value(ours.objective)
            answer = cp_sat.solve(random_milp(seed, with_start=seed % 2 == 0), EFFORT)
            assert answer.status == "optimal"
            assert answer.bound is not None
            assert answer.bound <= value + 1e-6 * max(abs(value), 1)


def test_cp_sat_needs_bounds() -> None:
    lp = pulp.LpProblem("open", pulp.LpMinimize)
    x, y = (lp.add_variable(name) for name in "xy")
    lp += x + y >= 1
    lp.setObjective(x + 2 * y)
    assert cp_sat.solve(lp, EFFORT).message.startswith("CP-SAT needs bounds of all variables")
    lp += x + y <= 5
    lp += x >= -1
    lp += y >= -2
    answer = cp_sat.solve(lp, EFFORT)  # which the rows imply
    assert answer.bound == pytest.approx(3 + 2 * -2, abs=1e-3)


@pytest.mark.parametrize("name", INSTALLED)
def test_no_solver_calls_infeasible_what_has_a_solution(name: str) -> None:
    """The presolve of HiGHS 1.14 did, of this model."""
    problem, goal = fixed_problem(tiny_flow_shop(37)), read_objective("max_ratio")
    known = target_windows(problem, 2.64, 0)  # the optimum is below 2.623
    model = TimeIndexed(problem, goal, known, grid(problem, known, 15 * problem.calls), Pulses)
    assert BACKENDS[name].solve(model.lp, EFFORT).status == "optimal"


@pytest.mark.parametrize("name", [name for name in INSTALLED if name not in ("CBC",)])
def test_a_start_is_kept_where_there_is_no_time(name: str) -> None:
    lp = random_milp(4, with_start=True)
    start = pulp.value(lp.objective)
    answer = BACKENDS[name].solve(lp, replace(EFFORT, seconds=0.0))
    assert answer.status in ("optimal", "feasible", "unknown")
    if answer.solved:
        assert pulp.value(lp.objective) <= start + 1e-6


def test_work_is_asked_to_stop_at_ctrl_c_and_errors_pass() -> None:
    asked = threading.Event()

    def work() -> None:
        time.sleep(0.2)  # until somebody waits
        _thread.interrupt_main()
        assert asked.wait(30)

    run_interruptibly(work, asked.set)
    assert asked.is_set()
    with pytest.raises(ZeroDivisionError):
        run_interruptibly(lambda: 1 / 0, asked.set)


def test_solvers_are_crossed_with_the_milps_alone() -> None:
    problems = {SMALL: instance(SMALL)}
    arms = crossed(["cpsat", "milp_event"], ["HiGHS", "cp-sat", "HiGHS"])
    tasks = plan(problems, ["max_ratio"], arms, time_limit=5.0)
    assert [task.method for task in tasks] == ["cpsat", "milp_event/HiGHS", "milp_event/CP-SAT"]
    assert unaffected(arms, ["HiGHS"]) == ["cpsat"]
    with pytest.raises(InputError, match="unknown solver 'Gurubi'; did you mean Gurobi"):
        crossed(["milp_event"], ["Gurubi"])


def test_rows_say_what_solved_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["compare-formulations", SMALL, "--formulations", "milp_disjunctive", "--time-limit", "5", "--objective"]
    assert main([*argv, "mean_ratio", "--solvers", "CP-SAT", "-o", str(tmp_path)]) == OK
    rows = read_rows(tmp_path)
    assert [row.asked_solver for row in rows] == ["CP-SAT"]
    for row in rows:
        assert row.solver in (row.asked_solver, "")  # empty where nothing was left to solve
        if row.solver:
            assert row.solver_version
            assert row.solver_threads is not None
    assert list(as_frame(rows)["formulation"]) == ["milp_disjunctive/CP-SAT"]
    missing = next((name for name in BACKENDS if name not in INSTALLED), None)
    if missing is not None:
        capsys.readouterr()
        assert main([*argv, "mean_ratio", "--solvers", missing]) == BAD_INPUT
        written = capsys.readouterr().err
        assert f"solver {missing} is not installed; " in written
        assert "installed: HiGHS" in written
        assert ("hexsched[solvers]" in written) == (missing == "SCIP")
        assert written.count("\n") == 1
