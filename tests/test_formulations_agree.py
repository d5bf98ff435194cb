"""All exact formulations prove the same optimum, which is that of trying everything, on all five objectives."""

from __future__ import annotations

import dataclasses

import pytest
from instances import tiny_flow_shop
from msgspec.structs import replace
from reference.agreement import ACCURACY, OBJECTIVES, ROUNDING
from reference.exhaustive import optima

from hexsched.model import Instance
from solvers.brackets.solve import solve_with
from solvers.exact import FORMULATIONS
from solvers.problem.objective import KINDS, read_objective
from solvers.problem.result import Options

EXACT = [name for name, one in FORMULATIONS.items() if one.exact and one.available()]
ANY_OBJECTIVE = [name for name in EXACT if FORMULATIONS[name].objectives == KINDS]
GUARDS = 25  # an objective and a formulation each in turn; the campaign takes all of both
INSTANCES = 300
QUICK = Options(time_limit=20, workers=1, isolate=False)


def check(instance: Instance, name: str, text: str, optimum: float) -> None:
    """One formulation on one instance: from nothing, it proves the optimum."""
    options = dataclasses.replace(QUICK, isolate=name == "choco")  # a process that has loaded Choco cannot be forked
    result = solve_with(instance, name, text, options=options, start_policies=())
    assert result.lower_bound <= optimum * (1 + ROUNDING) + 1e-12, (name, text)
    assert result.objective is not None
    assert result.objective >= optimum * (1 - ROUNDING)
    assert abs(result.objective - optimum) <= ACCURACY * max(abs(optimum), 1e-9), (name, text)
    assert result.status == "optimal", (name, text, result.message)


@pytest.mark.parametrize("seed", range(GUARDS))
def test_each_in_turn(seed: int) -> None:
    names = ANY_OBJECTIVE
    name, text = names[seed % len(names)], list(OBJECTIVES)[(seed // len(names) + seed) % len(OBJECTIVES)]
    check(tiny_flow_shop(seed), name, text, optima(tiny_flow_shop(seed), {text: OBJECTIVES[text]})[text])


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(INSTANCES))
def test_all_agree(seed: int) -> None:
    for text, optimum in optima(tiny_flow_shop(seed), OBJECTIVES).items():
        for name in (name for name in EXACT if read_objective(text).kind in FORMULATIONS[name].objectives):
            check(tiny_flow_shop(seed), name, text, optimum)


@pytest.mark.parametrize("name", EXACT)
def test_the_order_of_a_file_does_not_matter(name: str) -> None:
    """A child stands before its parent, the later workflow before the earlier one."""
    drawn = tiny_flow_shop(37)
    instance = replace(drawn, workflows=drawn.workflows[::-1])
    assert [(call.call_id, call.parents) for call in drawn.workflows[0].calls] == [("c1", ("c0",)), ("c0", ())]
    check(instance, name, "max_ratio", optima(instance, {"max_ratio": OBJECTIVES["max_ratio"]})["max_ratio"])
