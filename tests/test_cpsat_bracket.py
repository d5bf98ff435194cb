"""The largest ratio closed in from both sides by ``cpsat``, and the windows of work that help with it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, repeat

import numpy as np
import pytest
from reference.agreement import draw
from reference.exhaustive import largest, optima, required

from hexsched.model import Instance, Schedule
from hexsched.simulator import simulate
from solvers.brackets.solve import solve
from solvers.exact import cpsat as search
from solvers.exact.cp import energy
from solvers.exact.cp.bracket import Bracket, close
from solvers.exact.cp.ticked import TickedProblem, in_ticks
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem
from solvers.problem.result import Options

OBJECTIVES = {"max_ratio": largest, "req(0.5)": required("0.5")}
SMALL = tuple(seed for seed in range(40) if sum(len(w.calls) for w in draw(seed)[1].workflows) <= 4)[:8]
POLICIES = ("hexagent", "sjf", "workflow-fcfs", "critical-path")
TOLERANCE = 1e-4


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
@pytest.mark.parametrize("seed", SMALL)
def test_exact_without_a_plain_search_first(seed: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    instance, aim = draw(seed)[1], read_objective(text)
    optimum = optima(instance, OBJECTIVES)[text]
    data = in_ticks(fixed_problem(instance), 1e-5)
    assert energy.energy_bound(data, aim, 1.0, 10.0) <= optimum * (1 + 1e-9)
    monkeypatch.setattr(search, "PLAIN", 0.0)
    result = solve(instance, "cpsat", text, options=Options(time_limit=20, workers=1 + seed % 2), start_policies=())
    assert result.status == "optimal"
    assert result.objective == pytest.approx(optimum, rel=1e-3)
    assert result.lower_bound <= optimum * (1 + 1e-9)


@pytest.mark.parametrize("switch", ["energy", "symmetry", "proof", "hint", "start"])
def test_switches_of_the_bracket(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PLAIN", 0.0)
    instance = draw(SMALL[-1])[1]
    for text in OBJECTIVES:
        options = Options(time_limit=20, workers=1, extra={switch: False})
        result = solve(instance, "cpsat", text, options=options, start_policies=())
        assert result.status == "optimal"
        assert result.objective == pytest.approx(optima(instance, OBJECTIVES)[text], rel=1e-3)


def test_an_interrupt_outside_the_solver_keeps_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "PLAIN", 0.0)
    monkeypatch.setattr(search, "energy_bound", stop)
    options = Options(time_limit=20, workers=1, isolate=False, extra={"search": False})
    result = solve(draw(SMALL[-1])[1], "cpsat", "max_ratio", options=options)
    assert result.message == "interrupted"
    assert result.schedule is not None


def searcher(optimum: float, reach: float) -> Callable[[Bracket, float, float], bool]:
    """Finishes where the cutoff is further than ``reach`` from the optimum, or the bracket is as small."""

    def run(bracket: Bracket, cutoff: float, seconds: float) -> bool:
        assert seconds > 0
        if bracket.lower <= cutoff < optimum - reach:
            bracket.lower = cutoff
            return True
        if cutoff >= optimum + reach:
            bracket.upper = min(bracket.upper, cutoff)
            return bracket.upper > cutoff
        if bracket.upper - bracket.lower < 4 * reach:
            bracket.lower = bracket.upper = optimum
            return True
        return False

    return run


@pytest.mark.parametrize("reach", [0.0, 1e-3, 0.1])
def test_bracket_is_closed(reach: float) -> None:
    for optimum in (1.0, 1.3, 2.999):
        bracket, left = Bracket(1.0, 3.0), chain([1.0] * 200, repeat(0.0))
        close(bracket, TOLERANCE, left.__next__, searcher(optimum, reach))
        assert bracket.upper - bracket.lower <= max(TOLERANCE * bracket.upper, 4 * reach)
        assert bracket.lower <= optimum <= bracket.upper


def test_bracket_ends_when_nothing_can_move_it() -> None:
    calls = []

    def run(_: Bracket, cutoff: float, seconds: float) -> bool:
        calls.append(cutoff)
        return True

    close(Bracket(1.0, 2.0), TOLERANCE, lambda: 1.0, run)
    assert len(calls) == 1


def test_bracket_ends_in_time() -> None:
    left = iter([5.0, 3.0, 2.0, 1.0, 0.5, 0.0])
    budgets: list[float] = []

    def run(_: Bracket, cutoff: float, seconds: float) -> bool:
        budgets.append(seconds)
        return False

    close(Bracket(1.0, 2.0), TOLERANCE, lambda: next(left, 0.0), run)
    assert budgets
    assert max(budgets) <= 2.0
