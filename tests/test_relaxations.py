"""What is known of the linear relaxations of the time-indexed formulations, on one grid (Artigues 2017)."""

from __future__ import annotations

import numpy as np
import pulp
import pytest
from instances import corner_instance
from msgspec.structs import replace
from reference.exhaustive import mean_ratio, optima

from hexsched.model import Instance
from solvers.exact.milp import highs
from solvers.exact.milp.answer import Effort
from solvers.exact.milp.time_indexed import Starts, TimeIndexed, grid
from solvers.exact.milp.time_windows import Windows, windows
from solvers.exact.milp_linear_ordering import LinearOrdering
from solvers.exact.milp_on_off import OnOff
from solvers.exact.milp_step import Steps
from solvers.exact.milp_time_indexed import Pulses
from solvers.problem.objective import read_objective
from solvers.problem.offline import OfflineProblem, fixed_problem
from solvers.schedules.list_schedule import best_list_schedule

GOAL = read_objective("mean_ratio")
EXACT = 1e-6  # relative, of two linear programs
EFFORT = Effort(30.0, 1, 0, lambda incumbent, bound: None)
GUARDS = 12


def draw(seed: int) -> Instance:
    """Three to six calls that get in each other's way on one pair of instances, or on two with one for decode."""
    rng = np.random.default_rng([seed, 11])
    drawn = corner_instance(
        rng, workflows=(3, 3), calls=(1, 2), decode_model="fixed", arrivals="together", room="barely"
    )
    prefill, decode = drawn.prefill[: 1 + seed % 2], drawn.decode[:1]
    kept = {machine.id for machine in (*prefill, *decode)}
    links = tuple(link for link in drawn.links if {link.source, link.to} <= kept)
    return replace(drawn, prefill=prefill, decode=decode, links=links)


def wide(problem: OfflineProblem) -> Windows:
    """Windows of what is worse than the best list schedule."""
    plan = best_list_schedule(problem, GOAL)
    return windows(problem, GOAL, 1.3 * GOAL.value(problem.arrival, plan.workflow_completed(problem), problem.horizon))


def relaxed(instance: Instance, starts: type[Starts], disaggregated: bool) -> float:
    """The optimum of the linear relaxation on one grid."""
    problem = fixed_problem(instance)
    known = wide(problem)
    return optimum(TimeIndexed(problem, GOAL, known, grid(problem, known, 150), starts, disaggregated).lp)


def optimum(lp: pulp.LpProblem) -> float:
    """Of the linear relaxation."""
    for variable in lp.variables():
        variable.cat = pulp.LpContinuous
    assert highs.solve(lp, EFFORT).status == "optimal"
    return float(pulp.value(lp.objective))


@pytest.mark.parametrize(
    "seed", [*range(GUARDS), *(pytest.param(seed, marks=pytest.mark.campaign) for seed in range(GUARDS, 200))]
)
def test_order_of_the_relaxations(seed: int) -> None:
    """Pulse, step and on/off are images of each other; precedence period by period is no weaker than by sums."""
    instance = draw(seed)
    tight, loose = (relaxed(instance, Pulses, said) for said in (True, False))
    for starts in (Steps, OnOff):
        assert relaxed(instance, starts, True) == pytest.approx(tight, rel=EXACT)
        assert relaxed(instance, starts, False) == pytest.approx(loose, rel=EXACT)
    assert loose <= tight * (1 + EXACT)


def test_the_relaxations_are_bounds_and_differ() -> None:
    """None lies above the optimum, and period by period says more on some instance."""
    apart = 0
    for seed in range(GUARDS):
        instance = draw(seed)
        tight, loose = (relaxed(instance, Steps, said) for said in (True, False))
        apart += tight > loose * (1 + 1e-4)
        if len(fixed_problem(instance).workflow) <= 3:
            assert tight <= optima(instance, {"mean_ratio": mean_ratio})["mean_ratio"] * (1 + EXACT)
    assert apart > 0


def test_work_before_and_after_a_call_says_more_than_big_ms() -> None:
    more = 0
    for seed in range(GUARDS):
        problem = fixed_problem(draw(seed))
        known = wide(problem)
        bare, circles, work = (
            optimum(LinearOrdering(problem, GOAL, known, transitivity=a, work=b).lp)
            for a, b in ((False, False), (True, False), (True, True))
        )
        assert bare <= circles * (1 + EXACT)
        assert circles <= work * (1 + EXACT)
        more += work > circles * (1 + 1e-4)
    assert more > 0
