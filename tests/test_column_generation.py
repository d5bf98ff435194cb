"""Column generation lies between the bound by prices, to which it is dual, and the optimum."""

from __future__ import annotations

import time

import numpy as np
import pytest
from instances import corner_instance
from msgspec.structs import replace
from reference.agreement import OBJECTIVES
from reference.exhaustive import optima

from hexsched.model import Instance
from hexsched.simulator import simulate
from solvers.bounds.prices.bound import Question, ask
from solvers.bounds.prices.columns import Columns, Value
from solvers.bounds.prices.relaxation import relax
from solvers.brackets.solve import solve_with
from solvers.exact import column_generation
from solvers.problem.left import until
from solvers.problem.objective import read_objective
from solvers.problem.offline import OfflineProblem, fixed_problem
from solvers.problem.result import Options

CELLS = 2e-3  # relative: what cells of slack may make of two proofs on them
STOPPED = 1e-2  # relative: what steps without news may leave of the best prices
FINEST = 4096
ROUNDING = 1e-6
SEARCH, SOLVE = 0.08, 1.5  # CPU seconds


def crowded(seed: int) -> Instance:
    """Three workflows that get in each other's way on one pair of instances."""
    rng = np.random.default_rng([seed, 23])
    drawn = corner_instance(
        rng, workflows=(3, 3), calls=(1, 2), decode_model="fixed", arrivals="together", room="barely"
    )
    prefill, decode = drawn.prefill[:1], drawn.decode[:1]
    kept = {machine.id for machine in (*prefill, *decode)}
    links = tuple(link for link in drawn.links if {link.source, link.to} <= kept)
    return replace(drawn, prefill=prefill, decode=decode, links=links)


GUARDS = (0, 3, 6, 7)  # of at most four calls, as are all of these: each order is tried
CAMPAIGN = range(10, 210)


def left(seconds: float):
    return until(time.process_time() + seconds, time.process_time)


def asked_of(problem: OfflineProblem, text: str) -> Question:
    run = simulate(problem.instance, "hexagent")
    return ask(relax(problem), read_objective(text), run.completed)


def master(asked: Question, edge: np.ndarray, cells: int) -> Columns:
    """Of a question, with nothing known."""
    x, where = asked.relaxation, (asked.relaxation, edge, cells)
    if asked.objective.is_tail:
        return Columns(*where, droppable=x.workflows - asked.needed, finest=FINEST)
    if asked.is_mean:
        owed, slowness = asked.weight * asked.most, asked.weight / x.horizon
        return Columns(*where, owed=owed, slowness=slowness, finest=FINEST)
    return Columns(*where, owed=np.ones(x.workflows), finest=FINEST)


def solved(program: Columns, asked: Question, ratio: object) -> Value:
    found = program.solve(asked.latest(ratio), program.no_prices, left(SOLVE))
    assert found.lower <= found.upper * (1 + ROUNDING) + 1e-9
    return found


@pytest.mark.parametrize("text", OBJECTIVES)
@pytest.mark.parametrize("seed", [*GUARDS, *(pytest.param(seed, marks=pytest.mark.campaign) for seed in CAMPAIGN)])
def test_between_prices_and_optimum(seed: int, text: str) -> None:
    instance = crowded(seed)
    if sum(len(flow.calls) for flow in instance.workflows) > 4:
        pytest.skip("too many orders to try")
    optimum = optima(instance, {text: OBJECTIVES[text]})[text]
    asked = asked_of(fixed_problem(instance), text)
    if asked.is_settled:
        assert asked.base <= optimum * (1 + ROUNDING)
        return
    market = asked.market(seed, clock=time.process_time)
    priced = asked.search(market, left(SEARCH))
    assert priced <= optimum * (1 + ROUNDING)
    program = master(asked, market.edge, market.fine.cells)  # on the same intervals and cells, from nothing
    if asked.objective.is_tail:
        # what prices refute no mixtures meet, and what a schedule meets no prices refute
        assert solved(program, asked, priced * (1 - ROUNDING)).upper > 1 - CELLS
        assert solved(program, asked, optimum * (1 + ROUNDING)).lower <= 1 + ROUNDING
    else:
        found = solved(program, asked, asked.highest)
        base = asked.base if asked.is_mean else 0.0
        proved = base + found.lower
        assert proved <= optimum * (1 + ROUNDING) + 1e-9
        if text.startswith("misses"):
            assert np.ceil(proved - 1e-3) >= priced
        else:  # no prices prove more than the optimum of the master, which is between both sides
            assert base + found.upper >= priced * (1 - ROUNDING)
            assert proved >= priced * (1 - STOPPED)


def test_some_of_these_say_more_than_the_critical_path() -> None:
    more = 0
    for seed in GUARDS:
        asked = asked_of(fixed_problem(crowded(seed)), "mean_ratio")
        if not asked.is_settled:
            program = master(asked, np.linspace(0.0, float(asked.latest(asked.highest).max()), 41), 64)
            more += solved(program, asked, asked.highest).lower > 1e-3
    assert more > 1


@pytest.mark.parametrize("text", ["mean_ratio", "misses(1.1)", "max_ratio"])
def test_the_prices_prove_it_by_themselves(text: str) -> None:
    """Of the duals no more is believed than what the dynamic program makes of them."""
    asked = asked_of(fixed_problem(crowded(0)), text)
    market = asked.market(0)
    program = master(asked, market.edge, market.fine.cells)
    ratio = asked.highest if not asked.objective.is_tail else 1.01
    found = solved(program, asked, ratio)
    market.fine = program.planner
    market.rate, market.toll = found.prices.rate, np.zeros(len(asked.relaxation.join_gap))
    assert not found.prices.toll.any()
    if text == "mean_ratio":
        market.count(asked.weight / asked.relaxation.horizon, asked.weight * asked.most)
        market.slowness = market.mixture.slowness
        assert market.least_owed(asked.latest(ratio)) == pytest.approx(found.lower, rel=CELLS, abs=1e-6)
    elif text == "max_ratio":
        assert market.costs(asked.latest(ratio)).sum() == pytest.approx(found.lower, rel=CELLS)
    else:
        assert market.fewest_late(asked.latest(ratio))[0] == np.ceil(found.lower - CELLS)


def test_a_workflow_has_one_schedule_in_whole_numbers_and_a_mean_of_them_otherwise() -> None:
    asked = asked_of(fixed_problem(crowded(0)), "mean_ratio")
    program = master(asked, np.linspace(0.0, float(asked.latest(asked.highest).max()), 41), 64)
    assert solved(program, asked, asked.highest).upper < np.inf
    x, mean, chosen = asked.relaxation, program.mean_start(), program.chosen_start(5.0)
    assert chosen is not None
    assert (mean >= x.head * (1 - ROUNDING)).all()
    for w in range(x.workflows):
        calls = slice(x.first_call[w], x.first_call[w + 1])
        own = [one.start for one in program.columns if one.workflow == w]
        dropped = program.edge[-1] + x.head[calls]
        assert any(np.allclose(chosen[calls], start) for start in [*own, dropped])


@pytest.mark.parametrize("switch", [False, True])
def test_the_formulation_brackets_the_optimum_and_does_not_call_it_optimal_before_both_meet(switch: bool) -> None:
    open_ones = 0
    for seed, text in ((0, "mean_latency"), (3, "max_ratio"), (7, "req(0.5)"), (6, "misses(1.1)")):
        instance = crowded(seed)
        optimum = optima(instance, {text: OBJECTIVES[text]})[text]
        options = Options(time_limit=1.0, workers=1, isolate=False, extra={"prices": switch})
        result = solve_with(instance, column_generation.NAME, text, options=options, start_policies=())
        assert result.lower_bound <= optimum * (1 + ROUNDING) + 1e-9
        assert optimum <= result.objective * (1 + ROUNDING)
        assert (result.status == "optimal") == (
            result.objective - result.lower_bound <= 1e-4 * result.objective
            or (text.startswith("misses") and result.objective - result.lower_bound < 1)
        )
        open_ones += result.status != "optimal"
    assert open_ones > 0
