"""Models that would be too large are not built, and what is known without them is still told."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
from instances import corner_instance
from reference import exhaustive

from hexsched.model import Instance
from solvers import exact
from solvers.brackets.solve import solve_with
from solvers.exact import FORMULATIONS, benders, choco, column_generation, cpsat, milp_disjunctive
from solvers.exact.cp.energy import Separation, choices, energy_bound, rows
from solvers.exact.cp.ticked import in_ticks
from solvers.exact.milp.tuning import Tuning
from solvers.exact.parts.start import offer_list_schedule
from solvers.problem.bracket import Bracket
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem
from solvers.problem.result import Options
from solvers.schedules.list_schedule import best_list_schedule

MILPS = [import_module(f"{exact.__name__}.{name}") for name in FORMULATIONS if name.startswith("milp_")]
EVERY = [*MILPS, cpsat, benders, choco, column_generation]
LARGEST = read_objective("max_ratio")


def crowded(seed: int, calls: tuple[int, int] = (2, 3)) -> Instance:
    """Two workflows that arrive at once and get in each other's way."""
    rng = np.random.default_rng([seed, *calls])
    return corner_instance(rng, workflows=(2, 2), calls=calls, decode_model="fixed", arrivals="together", room="barely")


def test_all_formulations_are_looked_at_here() -> None:
    assert {module.FORMULATION.name for module in EVERY} == set(FORMULATIONS)


@pytest.mark.parametrize("objective", ["max_ratio", "mean_ratio", "req(0.5)", "misses(1.2)"])
@pytest.mark.parametrize("module", EVERY)
def test_a_model_that_is_too_large_is_said_and_leaves_the_start(module: ModuleType, objective: str) -> None:
    problem = fixed_problem(crowded(1))
    bracket = Bracket(read_objective(objective), 20.0)
    offer_list_schedule(problem, bracket)
    own = getattr(module, "Tuning", Tuning)
    outcome = module.solve(problem, bracket, Options(workers=1), own(entries=5))
    assert bracket.schedule is not None
    assert not outcome.crashed
    if own is not Tuning or not bracket.is_closed:
        assert outcome.message.startswith(f"{module.FORMULATION.name}: the model is too large")
        assert "at most 5 are allowed" in outcome.message
        assert outcome.size.variables == 0


def test_some_of_these_are_not_closed_by_the_start() -> None:
    problem = fixed_problem(crowded(1))
    bracket = Bracket(LARGEST, 20.0)
    offer_list_schedule(problem, bracket)
    outcome = milp_disjunctive.solve(problem, bracket, Options(workers=1), Tuning(entries=5, search=0.0))
    assert "too large" in outcome.message


@pytest.mark.parametrize("formulation", [name for name, one in FORMULATIONS.items() if one.available()])
def test_without_time_for_a_model_there_is_a_bracket(formulation: str) -> None:
    instance = crowded(0, (1, 2))
    result = solve_with(instance, formulation, options=Options(time_limit=1e-9))
    optimum = exhaustive.optima(instance, {"max_ratio": exhaustive.largest})["max_ratio"]
    assert result.objective is not None
    assert result.lower_bound <= optimum * (1 + 1e-9) <= result.objective * (1 + 2e-9)
    assert result.lower_bound >= 1
    assert result.status in ("optimal", "feasible")
    assert result.message == f"{formulation}: the time limit ended before a model was built"


def test_there_is_no_list_schedule_where_there_is_no_time_for_it() -> None:
    problem = fixed_problem(crowded(1))
    assert best_list_schedule(problem, LARGEST, until=0.0) is None


@pytest.mark.parametrize("seed", range(4))
def test_fewer_windows_of_work_are_still_a_bound(seed: int) -> None:
    instance = crowded(seed, (1, 2))
    problem = fixed_problem(instance)
    optimum = exhaustive.optima(instance, {"max_ratio": exhaustive.largest})["max_ratio"]
    data = in_ticks(problem, 1e-4)
    few = Separation(looked_at=8, entries=3 * (choices(data).total + problem.workflows))
    assert energy_bound(data, LARGEST, 1.0, 5.0, few) <= optimum * (1 + 1e-9)
    value = 1 + 1e-3
    whole, thinned = (rows(data, choices(data), value, value, each) for each in (Separation(), few))
    assert len(thinned.slope) <= min(3, len(whole.slope))
