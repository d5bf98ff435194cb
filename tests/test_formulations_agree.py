"""All exact formulations prove the same optimum, which is that of trying everything, on all five objectives."""

from __future__ import annotations

import pytest
from instances import tiny_flow_shop
from reference.agreement import ACCURACY, OBJECTIVES, ROUNDING
from reference.exhaustive import optima

from solvers.brackets.solve import solve_with
from solvers.exact import FORMULATIONS
from solvers.problem.result import Options

EXACT = [name for name, one in FORMULATIONS.items() if one.exact]
GUARDS = 25  # an objective and a formulation each in turn; the campaign takes all of both
INSTANCES = 300
IN_TICKS = ("cpsat", "benders")  # to them an order may look possible that real time is a hair too long for
QUICK = Options(time_limit=20, workers=1, isolate=False)


def check(seed: int, name: str, text: str, optimum: float) -> None:
    """One formulation on one instance: from nothing, it proves the optimum, in ticks at least that nothing is below."""
    result = solve_with(tiny_flow_shop(seed), name, text, options=QUICK, start_policies=())
    assert result.lower_bound <= optimum * (1 + ROUNDING) + 1e-12, (name, text)
    assert result.objective is not None
    assert result.objective >= optimum * (1 - ROUNDING)
    best = result.lower_bound if name in IN_TICKS and result.status != "optimal" else result.objective
    assert abs(best - optimum) <= ACCURACY * max(abs(optimum), 1e-9), (name, text)
    assert result.status == "optimal" or name in IN_TICKS, (name, text, result.message)


@pytest.mark.parametrize("seed", range(GUARDS))
def test_each_in_turn(seed: int) -> None:
    name, text = EXACT[seed % len(EXACT)], list(OBJECTIVES)[(seed // len(EXACT) + seed) % len(OBJECTIVES)]
    check(seed, name, text, optima(tiny_flow_shop(seed), {text: OBJECTIVES[text]})[text])


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(INSTANCES))
def test_all_agree(seed: int) -> None:
    for text, optimum in optima(tiny_flow_shop(seed), OBJECTIVES).items():
        for name in EXACT:
            check(seed, name, text, optimum)
