"""Logic-based Benders: cuts hold for every schedule, say what is not known yet, and lead to the optimum."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice, product

import numpy as np
import pytest
from instances import corner_instance, tiny_flow_shop
from reference.exhaustive import largest, mean_latency, mean_ratio, misses, optima, required

from hexsched.model import Instance
from solvers.brackets.solve import result as solution
from solvers.exact import benders
from solvers.exact.cp.objective import RATIO_UNIT
from solvers.exact.cp.ticked import TickedProblem, in_ticks
from solvers.exact.decomposition.cuts import Cut, Placement, analytical, images, strengthened, without
from solvers.exact.decomposition.master import Master
from solvers.exact.decomposition.sequencing import components, sequence
from solvers.problem.bracket import Bracket
from solvers.problem.objective import Objective, read_objective
from solvers.problem.offline import fixed_problem
from solvers.problem.result import Options

OBJECTIVES = {
    "max_ratio": largest,
    "req(0.5)": required("0.5"),
    "mean_ratio": mean_ratio,
    "mean_latency": mean_latency,
    "misses(1.1)": misses(1.1),
}
LARGEST = read_objective("max_ratio")
MOST = 10**9  # a value that nothing here reaches


def draw(seed: int) -> Instance:
    """Two workflows that get in each other's way."""
    return tiny_flow_shop(seed)


def every_placement(data: TickedProblem) -> list[frozenset[Placement]]:
    """All ways to place all calls."""
    problem = data.problem
    one = [
        [(Placement(c, False, i), Placement(c, True, j)) for i, j in zip(*np.nonzero(np.isfinite(hold)), strict=True)]
        for c, hold in enumerate(problem.hold)
    ]
    return [frozenset(place for pair in ways for place in pair) for ways in product(*one)]


def cost(data: TickedProblem, goal: Objective, cut: Cut) -> int:
    """The optimum of the subproblem; MOST + 1 where there is none."""
    return sequence(data, goal, cut.placements, cut.workflows, 0, MOST, 10.0, 1, 0).bound


@pytest.mark.parametrize("seed", range(4))
def test_the_least_cost_of_a_placement_is_the_optimum(seed: int) -> None:
    """The subproblems alone, over all placements, know the exhaustive optimum, up to ticks."""
    data = in_ticks(fixed_problem(draw(seed)), 1e-5)
    everybody = frozenset(range(data.problem.workflows))
    costs = [cost(data, LARGEST, Cut(placed, everybody)) for placed in every_placement(data)]
    best = optima(draw(seed), {"max_ratio": largest})["max_ratio"]
    assert (min(costs) - 1) * RATIO_UNIT <= best * (1 + 1e-9)
    assert min(costs) * RATIO_UNIT == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_cuts_cost_no_more_than_any_placement_that_has_theirs(seed: int) -> None:
    """Strengthened, moved to other instances or by arithmetic: a cut holds for all placements it speaks of."""
    data = in_ticks(fixed_problem(draw(seed)), 1e-5)
    everybody = frozenset(range(data.problem.workflows))
    placements = every_placement(data)
    costs = {placed: cost(data, LARGEST, Cut(placed, everybody)) for placed in placements}

    def holds(cut: Cut) -> bool:
        said = sequence(data, LARGEST, cut.placements, cut.workflows, 0, cut.value - 1, 10.0, 1, 0)
        return said.status == "infeasible"

    found: list[Cut] = []
    for placed in placements[:: max(len(placements) // 4, 1)]:
        whole = Cut(placed, everybody, costs[placed])
        small = strengthened(whole, data.problem.workflow, holds, False, lambda: False)
        assert small.placements <= placed
        assert all(not holds(without(small, [p], data.problem.workflow, False)) for p in small.placements) or (
            len(small.placements) == 1
        )
        moved = list(images(data, small, holds))
        assert moved[0] == small
        found += moved
    # arithmetic is in real time, and what it compares with is in ticks, each rounded down
    for cut, spare in (*((cut, 0) for cut in found), *((cut, 20) for cut in analytical(data, LARGEST, 1.0))):
        assert all(cut.value <= costs[placed] + spare for placed in placements if cut.placements <= placed)


def test_components_meet_on_no_instance() -> None:
    rng = np.random.default_rng(5)
    instance = corner_instance(rng, workflows=(5, 5), calls=(1, 2), decode_model="fixed", arrivals="together")
    data = in_ticks(fixed_problem(instance), 1e-5)
    problem = data.problem
    master = Master(data, LARGEST, 1.0, 50.0, symmetry=True, energy=True)
    placed = master.solve(10.0, 1, 0)
    assert placed.status == "optimal"
    parts = components(master, placed, np.full(problem.calls, math.inf))
    assert sorted(w for _, workflows in parts for w in workflows) == sorted(placed.kept)
    machines = [{p.place for p in placements if not p.is_decode} for placements, _ in parts]
    assert sum(map(len, machines)) == len(set().union(*machines))


def test_a_master_without_cuts_is_a_bound_and_with_them_a_better_one() -> None:
    for seed in range(6):
        instance = draw(seed)
        data = in_ticks(fixed_problem(instance), 1e-5)
        best = optima(instance, {"max_ratio": largest})["max_ratio"]
        bare, full = (Master(data, LARGEST, 1.0, best * 1.01, symmetry=True, energy=energy) for energy in (False, True))
        for cut in analytical(data, LARGEST, 1.0):
            assert full.add(cut)
            assert not full.add(cut)
        low, high = (master.minimised.in_real_time(master.solve(10.0, 1, 0).bound) for master in (bare, full))
        assert low <= high <= best * (1 + 1e-9)


@pytest.mark.parametrize("text", OBJECTIVES)
@pytest.mark.parametrize("switch", [None, *benders.FORMULATION.switches])
def test_every_part_can_be_left_out(switch: str | None, text: str) -> None:
    instance, goal = draw(3), read_objective(text)
    bracket = Bracket(goal, 20.0)
    options = Options(workers=1, extra={} if switch is None else {switch: False})
    outcome = benders.solve(fixed_problem(instance), bracket, options, benders.Tuning(search=0.0))
    result = solution(benders.FORMULATION, bracket, outcome)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(optima(instance, {text: OBJECTIVES[text]})[text], rel=1e-4)


def test_subproblems_without_time_end_nothing() -> None:
    """What is not decided in time is asked again, for longer."""
    instance = draw(1)
    bracket = Bracket(LARGEST, 20.0)
    hasty = replace(benders.Tuning(), subproblem=1e-4, check=1e-4, search=0.0)
    benders.solve(fixed_problem(instance), bracket, Options(workers=1), hasty)
    assert bracket.is_closed


def test_cuts_of_some_placements_come_first() -> None:
    data = in_ticks(fixed_problem(draw(0)), 1e-5)
    cut = Cut(next(iter(every_placement(data))), frozenset({0, 1}), 5)
    assert len(list(islice(images(data, cut, lambda _: False), 100))) >= 1
