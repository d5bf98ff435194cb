"""The MILPs: against exhaustive search and each other, and what solvers and PuLP get wrong if one lets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import cases
import numpy as np
import pulp
import pytest
from instances import corner_instance
from msgspec import structs
from reference import exhaustive

from hexsched.errors import InputError
from hexsched.model import Instance
from solvers.brackets.solve import result as solution
from solvers.exact import (
    milp_disjunctive,
    milp_event,
    milp_linear_ordering,
    milp_on_off,
    milp_placement,
    milp_positional,
    milp_step,
    milp_time_indexed,
)
from solvers.exact.milp import backends, cbc, highs
from solvers.exact.milp.answer import Answer, Effort
from solvers.exact.milp.energy import LOOKED_AT, decode_cuts, prefill_cuts
from solvers.exact.milp.forbidden import ForbiddenSets
from solvers.exact.milp.leaving_out import run_last
from solvers.exact.milp.model import LimitedProblem, Limits, OutOfTimeError, write_model
from solvers.exact.milp.modes import decode_modes
from solvers.exact.milp.time_indexed import Starts, TimeIndexed, grid, sum_of
from solvers.exact.milp.time_windows import Windows, target_windows, windows
from solvers.problem.bracket import Bracket
from solvers.problem.certificate import certified_value
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import OfflineProblem, fixed_problem
from solvers.problem.result import Options, SolveResult
from solvers.schedules.list_schedule import best_list_schedule
from solvers.schedules.timetable import from_schedule, to_schedule

CONTINUOUS = (milp_disjunctive, milp_event, milp_linear_ordering, milp_positional)
MODELS = (
    milp_disjunctive.Disjunctive,
    milp_event.OnOffEvents,
    milp_linear_ordering.LinearOrdering,
    milp_positional.Positional,
)
EXACT = (*CONTINUOUS, milp_time_indexed, milp_step, milp_on_off)
STARTS = (milp_time_indexed.Pulses, milp_step.Steps, milp_on_off.OnOff)
EVERY = (*EXACT, milp_placement)
OBJECTIVES = {
    "max_ratio": exhaustive.largest,
    "mean_ratio": exhaustive.mean_ratio,
    "mean_latency": exhaustive.mean_latency,
    "req(0.5)": exhaustive.required("0.5"),
    "misses(1.2)": exhaustive.misses(1.2),
}
SHORT = Options(time_limit=5.0, workers=1)


def on_some_grid(problem: OfflineProblem, goal: Objective, known: Windows) -> TimeIndexed:
    """The time-indexed model on a coarse grid."""
    return TimeIndexed(problem, goal, known, grid(problem, known, 100), milp_time_indexed.Pulses)


def crowded(seed: int, calls: int = 4) -> Instance:
    """That many calls that get in each other's way: all at once, with little room."""
    rng = np.random.default_rng([calls, seed])
    while True:
        drawn = corner_instance(
            rng, workflows=(2, 3), calls=(1, 3), decode_model="fixed", arrivals="together", room="barely"
        )
        if sum(len(flow.calls) for flow in drawn.workflows) == calls and len(drawn.prefill) + len(drawn.decode) < 5:
            return drawn


def on_one_pair(drawn: Instance) -> Instance:
    """The same calls on the first instance of each pool."""
    first = {drawn.prefill[0].id, drawn.decode[0].id}
    links = tuple(link for link in drawn.links if {link.source, link.to} == first)
    return structs.replace(drawn, prefill=drawn.prefill[:1], decode=drawn.decode[:1], links=links)


def certified(module: ModuleType, problem: OfflineProblem, goal: Objective, options: Options = SHORT) -> SolveResult:
    """Solve and certify; a bound above a verified schedule raises here."""
    bracket = Bracket(goal, options.time_limit, options.on_progress)
    outcome = module.FORMULATION.solve(problem, bracket, options)
    bracket.check()
    return solution(module.FORMULATION, bracket, outcome)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Re-timing is compiled on first use; that is not to come off the time limit of a test."""
    problem, goal = fixed_problem(crowded(0)), read_objective("max_ratio")
    certified_value(problem, goal, to_schedule(problem, best_list_schedule(problem, goal), "list"))


@pytest.fixture
def worst_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """List schedules that put everything on one pair, so that finding better is left to the solver."""

    def first_pair(problem: OfflineProblem, goal: Objective, placed: object = None, **_: float) -> object:
        first = np.zeros(problem.calls, dtype=int)
        fits = [int(np.flatnonzero(np.isfinite(row))[-1]) for row in problem.decode]
        return best_list_schedule(problem, goal, (first, np.array(fits)))

    monkeypatch.setattr("solvers.exact.parts.start.best_list_schedule", first_pair)
    monkeypatch.setattr("solvers.exact.milp.drive.search_from", lambda *_, **__: None)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.usefixtures("worst_start")
def test_continuous_formulations_find_and_prove_the_exhaustive_optimum(seed: int) -> None:
    instance = crowded(seed)
    problem = fixed_problem(instance)
    best = exhaustive.optima(instance, OBJECTIVES)
    for name in OBJECTIVES:
        modules = CONTINUOUS if seed == 0 else (milp_disjunctive,)
        for module in modules:
            result = certified(module, problem, read_objective(name))
            assert result.objective == pytest.approx(best[name], rel=1e-6), (module, name)
            assert result.lower_bound == pytest.approx(best[name], rel=1e-4), (module, name, result)
            assert result.status == "optimal"


@pytest.mark.parametrize("seed", [0, 1, 2, pytest.param(3, marks=pytest.mark.campaign), 4])
@pytest.mark.usefixtures("worst_start")
def test_what_the_disjunctive_model_calls_optimal_survives_retiming(seed: int) -> None:
    """Calls admitted at the same time once counted for each other in a circle, and no one saw them all."""
    rng = np.random.default_rng([8, seed])
    drawn = corner_instance(
        rng, workflows=(3, 4), calls=(2, 2), decode_model="fixed", arrivals="together", delays="none", room="barely"
    )
    patient = replace(SHORT, time_limit=30.0)
    result = certified(milp_disjunctive, fixed_problem(on_one_pair(drawn)), read_objective("max_ratio"), patient)
    assert result.status == "optimal", result


@pytest.mark.parametrize("name", ["max_ratio", "mean_ratio", "misses(1.2)"])
@pytest.mark.usefixtures("worst_start")
def test_time_indexed_brackets_the_exhaustive_optimum(name: str) -> None:
    instance = crowded(1)
    best = exhaustive.optima(instance, {name: OBJECTIVES[name]})[name]
    result = certified(milp_time_indexed, fixed_problem(instance), read_objective(name), replace(SHORT, time_limit=1.0))
    assert result.lower_bound <= best * (1 + 1e-6) <= result.objective * (1 + 2e-6)


@pytest.mark.parametrize("name", ["max_ratio", "mean_latency"])
def test_disaggregated_precedence_cuts_nothing_but_fractions(name: str) -> None:
    """On one grid, all variables and both ways of saying precedence have the same optimum, near the real one."""
    instance, goal = crowded(1), read_objective(name)
    problem = fixed_problem(instance)
    best = exhaustive.optima(instance, {name: OBJECTIVES[name]})[name]
    known = windows(problem, goal, best)
    ticks = grid(problem, known, 200)
    bounds = [
        highs.solve(TimeIndexed(problem, goal, known, ticks, starts, said).lp, _limits()).bound
        for starts in STARTS
        for said in (True, False)
    ]
    assert bounds == pytest.approx([bounds[0]] * len(bounds), rel=1e-5)
    assert 0.8 * best <= bounds[0] <= best * (1 + 1e-6)


@pytest.mark.parametrize("module", EVERY)
def test_tiny_cases_reach_their_published_optima(module: ModuleType) -> None:
    optima = cases.OPTIMA
    names = {"max_ratio": "max_ratio", "mean_ratio": "mean_ratio", "req50": "req(0.5)"}
    for case in ("tiny-02", "tiny-04"):
        problem = fixed_problem(cases.instance(case))
        for key, name in names.items():
            result = certified(module, problem, read_objective(name), replace(SHORT, time_limit=1.0))
            assert result.lower_bound <= optima[case][key] * (1 + 1e-6)
            if module.FORMULATION.exact:
                assert result.objective == pytest.approx(optima[case][key], rel=1e-3)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("build", MODELS)
def test_a_known_schedule_satisfies_every_row(build: type, name: str) -> None:
    """A start that breaks a row would be thrown away by the solver, silently."""
    for seed in range(6):
        problem, goal = fixed_problem(crowded(seed, calls=6)), read_objective(name)
        found = certified_value(problem, goal, to_schedule(problem, best_list_schedule(problem, goal), "list"))
        assert found is not None
        model = build(problem, goal, windows(problem, goal, found[0]))
        model.load(from_schedule(problem, found[1]))
        assert _broken(model.lp) == []
        assert pulp.value(model.lp.objective) == pytest.approx(found[0], rel=1e-8)


@pytest.mark.parametrize("starts", STARTS)
def test_a_known_schedule_satisfies_every_row_on_every_grid(starts: type[Starts]) -> None:
    problem, goal = fixed_problem(crowded(3, calls=6)), read_objective("mean_ratio")
    found = certified_value(problem, goal, to_schedule(problem, best_list_schedule(problem, goal), "list"))
    assert found is not None
    known = windows(problem, goal, found[0])
    for pulses in (50, 300, 1000):
        model = TimeIndexed(problem, goal, known, grid(problem, known, pulses), starts)
        model.load(from_schedule(problem, found[1]))
        assert _broken(model.lp) == []
        for c in range(problem.calls):
            ticks = [pulp.value(sum_of(one.when(1.0))) or 0.0 for one in model.x[c]]
            assert sum(ticks) == pytest.approx(float(model.ticks.down(model.start[c].varValue)))


@pytest.mark.parametrize("build", [*MODELS, on_some_grid])
def test_a_target_is_met_where_it_can_be_and_only_there(build: Callable[..., Any]) -> None:
    """Just above the exhaustive optimum there is a schedule, just below it there is none."""
    for seed in range(3):
        instance = crowded(seed)
        problem = fixed_problem(instance)
        best = exhaustive.optima(instance, {name: OBJECTIVES[name] for name in ("max_ratio", "req(0.5)")})
        for name, value in best.items():
            goal = read_objective(name)
            spare = goal.dropped(problem.workflows)
            above = build(problem, goal, target_windows(problem, value * (1 + 1e-5), spare))
            assert highs.solve(above.lp, _limits()).status == "optimal"
            if above.exact:
                found = certified_value(problem, goal, to_schedule(problem, above.timetable(), "met"))
                assert found is not None
                assert found[0] <= value * (1 + 2e-5)
            if value > 1 + 1e-3 and above.exact:
                below = build(problem, goal, target_windows(problem, value * (1 - 1e-4), spare))
                assert highs.solve(below.lp, _limits()).status == "infeasible"


@pytest.mark.parametrize("looked_at", [LOOKED_AT, 1000])
def test_energy_cuts_hold_for_every_schedule_in_the_windows(looked_at: int) -> None:
    """A schedule breaks no cut, and there are cuts that something could break."""
    found = 0
    for seed in range(8):
        problem, goal = fixed_problem(crowded(seed, calls=7)), read_objective("max_ratio")
        plan = best_list_schedule(problem, goal)
        value = goal.value(problem.arrival, plan.workflow_completed(problem), problem.horizon)
        known = target_windows(problem, value, 0)
        modes = [decode_modes(row) for row in problem.hold]
        for cut in prefill_cuts(known, looked_at):
            assert sum(w for (c, i), w in cut.weight.items() if plan.prefill[c] == i) <= cut.most * (1 + 1e-5)
        for cut in (cuts := decode_cuts(known, modes, looked_at)):
            on = [
                w
                for (c, k), w in cut.weight.items()
                if modes[c][k].decode == plan.decode[c] and plan.prefill[c] in modes[c][k].sources
            ]
            assert sum(on) <= cut.most * (1 + 1e-5)
        found += len(cuts) + len(prefill_cuts(known, looked_at))
    assert found > 0


def test_workflows_left_out_come_last() -> None:
    problem = fixed_problem(crowded(0, calls=6))
    plan = run_last(problem, best_list_schedule(problem, read_objective("max_ratio")), {0})
    found = certified_value(problem, read_objective("max_ratio"), to_schedule(problem, plan, "last"))
    assert found is not None
    others = plan.completed(problem)[problem.workflow != 0]
    assert plan.start[problem.workflow == 0].min() >= others.max()


def test_what_is_learned_are_sets_that_do_not_fit() -> None:
    """From a plan with everything at once: overlapping prefills, and minimal sets that are too much."""
    problem = fixed_problem(crowded(1, calls=6))
    plan = best_list_schedule(problem, read_objective("max_ratio"))
    assert not ForbiddenSets(problem).learn(plan)
    at_once = replace(plan, start=np.zeros(6), admitted=np.zeros(6))
    sets = ForbiddenSets(problem)
    assert sets.learn(at_once)
    assert not sets.learn(at_once)
    for j, members in sets.decode:
        full = problem.kv[list(members)].sum() > problem.capacity[j] or len(members) > problem.max_batch[j]
        assert full, (j, members)


@pytest.mark.parametrize("module", EXACT)
def test_a_model_that_takes_too_long_to_build_leaves_the_start(module: ModuleType) -> None:
    problem = fixed_problem(crowded(2, calls=8))
    result = certified(module, problem, read_objective("mean_ratio"), replace(SHORT, time_limit=1e-9))
    assert result.schedule is not None
    with pytest.raises(OutOfTimeError, match="after 0 rows"):
        LimitedProblem("late", Limits(until=0.0)).__iadd__(pulp.LpAffineExpression() <= 1)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_windows_keep_an_optimal_schedule(name: str) -> None:
    """However bad the value they come from, the deadlines let the optimum through."""
    for seed in range(3):
        instance, goal = crowded(seed, calls=3), read_objective(name)
        problem = fixed_problem(instance)
        best = exhaustive.optima(instance, {name: OBJECTIVES[name]})[name]
        for value in (best, best * 1.5 + (goal.kind == "misses")):
            model = milp_disjunctive.Disjunctive(problem, goal, windows(problem, goal, value))
            answer = highs.solve(model.lp, _limits())
            assert answer.status == "optimal"
            assert answer.bound == pytest.approx(best, rel=1e-5, abs=1e-6)


def test_cbc_gives_status_and_bound() -> None:
    if not cbc.available():
        pytest.skip("no CBC")
    problem, goal = fixed_problem(crowded(0)), read_objective("max_ratio")
    ours = certified(milp_disjunctive, problem, goal, replace(SHORT, solver="CBC"))
    assert ours.status == "optimal"
    assert ours.objective == pytest.approx(certified(milp_disjunctive, problem, goal).objective, rel=1e-6)


def test_cbc_log_after_a_time_out() -> None:
    log = (
        "Continuous objective value is 1.0 - 0.00 seconds\n\nResult - Stopped on time limit\n\n"
        "Objective value:                3.50000000\nLower bound:                    2.250\nGap: 0.36\n"
    )
    assert cbc.read_log(log) == Answer("feasible", 2.25, 1.0)
    assert cbc.read_log("Result - Optimal solution found\n\nObjective value:   3.5\n") == Answer("optimal", 3.5)
    assert cbc.read_log("Problem is infeasible - 0.00 seconds\n").status == "infeasible"
    assert cbc.read_log("").status == "unknown"


@pytest.mark.parametrize("module", EVERY)
def test_no_time_is_a_valid_bracket_and_not_optimal_by_decree(module: ModuleType) -> None:
    problem, goal = fixed_problem(crowded(2, calls=8)), read_objective("mean_latency")
    result = certified(module, problem, goal, replace(SHORT, time_limit=1e-3))
    assert result.objective is not None
    assert result.lower_bound <= certified(milp_disjunctive, problem, goal).objective * (1 + 1e-6)
    assert (result.status == "optimal") == (result.objective - result.lower_bound <= 1e-4 * result.objective)


def test_highs_starts_from_the_values_it_is_given() -> None:
    lp = pulp.LpProblem("knapsack", pulp.LpMaximize)
    items = [lp.add_variable(f"item_{k}", 0, 1, pulp.LpInteger) for k in range(30)]
    lp += pulp.lpSum(x * (7 + 3 * k % 11) for k, x in enumerate(items))
    lp += pulp.lpSum(x * (5 + 5 * k % 13) for k, x in enumerate(items)) <= 60
    for k, x in enumerate(items):
        x.varValue = float(k in (0, 1, 2))
    start = pulp.value(lp.objective)
    highs.solve(lp, replace(_limits(), seconds=0.0))
    assert pulp.value(lp.objective) >= start


def test_progress_is_told() -> None:
    seen: list[tuple[float, float | None, float | None]] = []
    options = replace(SHORT, on_progress=lambda *row: seen.append(row))
    result = certified(milp_event, fixed_problem(crowded(0)), read_objective("max_ratio"), options)
    bounds = [bound for _, _, bound in seen if bound is not None]
    assert max(bounds) == pytest.approx(result.objective, rel=1e-4)
    assert min(value for _, value, _ in seen if value is not None) == pytest.approx(result.objective, rel=1e-5)


def test_a_crash_and_an_interrupt_leave_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(lp: pulp.LpProblem, limits: Effort) -> Answer:
        raise RuntimeError("out of memory")

    problem, goal = fixed_problem(crowded(0)), read_objective("max_ratio")
    always = replace(backends.BACKENDS["HiGHS"], solve=crash)
    monkeypatch.setitem(backends.BACKENDS, "HiGHS", always)
    result = certified(milp_disjunctive, problem, goal)
    assert "out of memory" in result.message
    assert result.schedule is not None
    stopped = replace(always, solve=lambda lp, limits: Answer("unknown", interrupted=True))
    monkeypatch.setitem(backends.BACKENDS, "HiGHS", stopped)
    for module in (milp_disjunctive, milp_time_indexed):
        assert certified(module, problem, goal).interrupted


def test_a_missing_solver_is_told_with_those_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = replace(backends.BACKENDS["Gurobi"], available=lambda: False)
    monkeypatch.setitem(backends.BACKENDS, "Gurobi", gone)
    with pytest.raises(InputError, match="Gurobi is not installed; installed: HiGHS"):
        certified(
            milp_disjunctive, fixed_problem(crowded(0)), read_objective("max_ratio"), replace(SHORT, solver="Gurobi")
        )
    with pytest.raises(InputError, match=r"unknown solver 'Gurubi'; did you mean Gurobi\? known are HiGHS, CBC"):
        backends.backend("Gurubi")


@pytest.mark.parametrize("module", EVERY)
def test_models_are_written_for_other_solvers(module: ModuleType, tmp_path: Path) -> None:
    problem, path = fixed_problem(crowded(0)), tmp_path / "model.mps"
    certified(module, problem, read_objective("max_ratio"), replace(SHORT, time_limit=0.5, write_model=path))
    _, read = pulp.LpProblem.fromMPS(str(path))
    assert len(read.variables()) > problem.calls
    with pytest.raises(InputError, match=r"expected \.mps or \.lp"):
        write_model(read, tmp_path / "model.txt")
    with pytest.raises(InputError, match="cannot write the file"):
        write_model(read, tmp_path / "absent" / "model.lp")


def test_modes_are_a_partition_of_the_prefill_instances() -> None:
    hold = np.array([[1.0, 2.0, np.inf], [1.0, 3.0, np.inf]])
    assert [(mode.decode, mode.sources) for mode in decode_modes(hold)] == [(0, (0, 1)), (1, (0,)), (1, (1,))]


@pytest.mark.parametrize("seed", range(5))
def test_list_schedules_are_valid_and_no_earlier_than_their_retiming(seed: int) -> None:
    problem, goal = fixed_problem(crowded(seed, calls=9)), read_objective("mean_latency")
    plan = best_list_schedule(problem, goal)
    claimed = goal.value(problem.arrival, plan.workflow_completed(problem), problem.horizon)
    found = certified_value(problem, goal, to_schedule(problem, plan, "list"))
    assert found is not None
    assert found[0] <= claimed * (1 + 1e-9)
    assert np.isfinite(problem.hold[np.arange(9), plan.prefill, plan.decode]).all()


def _limits() -> Effort:
    return Effort(10.0, 1, 0, lambda incumbent, bound: None)


def _broken(lp: pulp.LpProblem) -> list[str]:
    rows = [row.name or str(row) for row in lp.constraints() if not row.valid(1e-6)]
    return rows + [v.name for v in lp.variables() if not v.valid(1e-6)]
