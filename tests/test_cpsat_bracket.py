"""The largest ratio closed in from both sides by ``cpsat``, and the windows of work that help with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from reference.agreement import draw
from reference.exhaustive import largest, optima, required

from hexsched.model import Instance, Schedule
from hexsched.simulator import simulate
from solvers.brackets.solve import solve_with
from solvers.exact import FORMULATIONS, cpsat
from solvers.exact.cp import energy
from solvers.exact.cp.closing import Steps, close
from solvers.exact.cp.ticked import TickedProblem, in_ticks
from solvers.problem.bracket import Bracket
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem
from solvers.problem.result import Options

OBJECTIVES = {"max_ratio": largest, "req(0.5)": required("0.5")}
SMALL = tuple(seed for seed in range(40) if sum(len(w.calls) for w in draw(seed)[1].workflows) <= 4)[:8]
POLICIES = ("hexagent", "sjf", "workflow-fcfs", "critical-path")
TOLERANCE = 1e-4
EMPTY = Schedule(format="hexsched-schedule/1", policy="", calls=())


def without_a_plain_search() -> None:
    """Have ``cpsat`` close in on the bracket at once."""
    at_once = partial(cpsat.solve, tuning=cpsat.Tuning(plain=0.0))
    FORMULATIONS.put(replace(cpsat.FORMULATION, solve=at_once))


def taken(data: TickedProblem, chosen: energy.Choices, schedule: Schedule) -> np.ndarray:
    """The choices that a schedule makes."""
    decisions = data.problem.decisions(schedule)
    choice = np.zeros(chosen.total)
    for c, (i, j) in enumerate(zip(decisions.prefill, decisions.decode, strict=True)):
        choice[chosen.groups[c][i]] = 1.0
        modes = chosen.groups[data.problem.calls + c]
        for k, mode in enumerate(data.modes[c]):
            choice[modes[k]] = float(mode.decode == j and i in mode.sources)
    return choice


def ratios(instance: Instance, schedule: Schedule) -> np.ndarray:
    """Of each workflow."""
    problem = fixed_problem(instance)
    return (problem.completed(schedule) - problem.arrival) / problem.horizon


@pytest.mark.parametrize("seed", range(24))
def test_windows_hold_for_every_schedule(seed: int) -> None:
    instance = draw(seed)[1]
    data = in_ticks(fixed_problem(instance), 1e-5)
    chosen = energy.choices(data)
    for policy in POLICIES:
        schedule = simulate(instance, policy).schedule
        choice, ratio = taken(data, chosen, schedule), ratios(instance, schedule)
        assert choice.sum() == len(chosen.groups)
        for dropped in {0, len(ratio) // 2}:
            out = np.zeros(len(ratio))
            out[np.argsort(-ratio)[:dropped]] = 1.0
            scale = float(ratio[out == 0].max())
            assert (choice <= energy.possible(data, chosen, scale, dropped)).all()
            for lower, upper in ((scale, scale), (1.0, scale), (scale, 2 * scale), (0.9 * scale, 1.1 * scale)):
                rows = energy.rows(data, chosen, lower, upper)
                room = rows.slope * scale + rows.offset
                assert (rows.work @ choice - rows.relief @ out <= room + 1e-9 * np.abs(room) + 1e-9).all()


@pytest.mark.parametrize("text", OBJECTIVES)
@pytest.mark.parametrize("seed", [*SMALL[:2], *(pytest.param(s, marks=pytest.mark.campaign) for s in SMALL[2:])])
def test_exact_without_a_plain_search_first(seed: int, text: str) -> None:
    instance, aim = draw(seed)[1], read_objective(text)
    optimum = optima(instance, OBJECTIVES)[text]
    data = in_ticks(fixed_problem(instance), 1e-5)
    assert energy.energy_bound(data, aim, 1.0, 10.0) <= optimum * (1 + 1e-9)
    without_a_plain_search()
    result = solve_with(
        instance, "cpsat", text, options=Options(time_limit=20, workers=1 + seed % 2), start_policies=()
    )
    assert result.status == "optimal"
    assert result.objective == pytest.approx(optimum, rel=1e-3)
    assert result.lower_bound <= optimum * (1 + 1e-9)


@pytest.mark.parametrize("switch", ["energy", "symmetry", "proof", "hint", "start"])
def test_switches_of_the_bracket(switch: str) -> None:
    without_a_plain_search()
    instance = draw(SMALL[-1])[1]
    for text in OBJECTIVES:
        options = Options(time_limit=20, workers=1, extra={switch: False})
        result = solve_with(instance, "cpsat", text, options=options, start_policies=())
        assert result.status == "optimal"
        assert result.objective == pytest.approx(optima(instance, OBJECTIVES)[text], rel=1e-3)


def test_an_interrupt_outside_the_solver_keeps_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> float:
        raise KeyboardInterrupt

    without_a_plain_search()
    monkeypatch.setattr(cpsat, "energy_bound", stop)
    options = Options(time_limit=20, workers=1, isolate=False, extra={"search": False})
    result = solve_with(draw(SMALL[-1])[1], "cpsat", "max_ratio", options=options)
    assert result.message == "interrupted"
    assert result.schedule is not None


def bracket(value: float, bound: float) -> Bracket:
    """Of a largest ratio, with time enough."""
    known = Bracket(read_objective("max_ratio"), 1e6)
    known.improve(value, EMPTY, "test")
    known.prove(bound, "test")
    return known


def searcher(known: Bracket, optimum: float, reach: float) -> Callable[[float, float], bool]:
    """Finishes where the cutoff is further than ``reach`` from the optimum, or the bracket is as small."""
    times = iter(range(200))

    def run(cutoff: float, seconds: float) -> bool:
        assert seconds > 0
        if next(times, None) is None:
            known.interrupt()
        if known.bound <= cutoff < optimum - reach:
            known.prove(cutoff, "test")
            return True
        if cutoff >= optimum + reach:
            known.improve(cutoff, EMPTY, "test")
            return False
        if known.value - known.bound < 4 * reach:
            known.improve(optimum, EMPTY, "test")
            known.prove(optimum, "test")
            return True
        return False

    return run


@pytest.mark.parametrize("reach", [0.0, 1e-3, 0.1])
def test_bracket_is_closed(reach: float) -> None:
    for optimum in (1.0, 1.3, 2.999):
        known = bracket(3.0, 1.0)
        close(known, searcher(known, optimum, reach))
        assert known.value - known.bound <= max(TOLERANCE * known.value, 4 * reach)
        assert known.bound <= optimum <= known.value


def test_bracket_ends_when_nothing_can_move_it() -> None:
    calls = []

    def run(cutoff: float, seconds: float) -> bool:
        calls.append(cutoff)
        return True

    close(bracket(2.0, 1.0), run)
    assert len(calls) == 1


def test_bracket_ends_with_its_time() -> None:
    known = bracket(2.0, 1.0)
    budgets: list[float] = []

    def run(cutoff: float, seconds: float) -> bool:
        budgets.append(seconds)
        if len(budgets) == 5:
            known.deadline = 0.0
        return False

    close(known, run, Steps(seconds=2.0, growth=1.5))
    assert budgets[:3] == [2.0, 2.0, 3.0]  # from below, from above, and longer from below
    assert len(budgets) == 5
    close(known.within(1.0), run)
    assert len(budgets) == 5
