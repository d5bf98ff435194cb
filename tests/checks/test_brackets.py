"""Portfolios, solves and gaps, with bounds and formulations made up for it: what is told, and what comes of it."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from instances import call, one_pair, workflow
from msgspec.structs import replace

from hexsched.errors import InputError
from hexsched.model import Instance
from hexsched.simulator import simulate
from hexsched.verifier import verify
from solvers.bounds import BOUNDS, cheap
from solvers.bounds.parts.bound import Bound, Cost
from solvers.brackets import gap as gaps
from solvers.brackets import isolation
from solvers.brackets.portfolio import best_bound, bound, read_bounds
from solvers.brackets.solve import result, run, solve_with
from solvers.exact import FORMULATIONS
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import Bracket, ContradictionError
from solvers.problem.certificate import offer
from solvers.problem.objective import read_objective
from solvers.problem.offline import OfflineProblem, fixed_problem, offline_problem
from solvers.problem.result import Options, Outcome, Size

pytestmark = pytest.mark.quick

FLOWS = tuple(workflow(f"w{k}", 0.0, call("a", 5 + k, 20 + 3 * k), call("b", 9, 15, "a")) for k in range(4))
INSTANCE = one_pair(*FLOWS, decode_model="fixed", max_batch=2)
PROBLEM = fixed_problem(INSTANCE)
GOOD, POOR = (simulate(INSTANCE, policy).schedule for policy in ("hexagent", "fcfs"))
VALUE = {id(plan): verify(INSTANCE, plan).metrics.max_ratio for plan in (GOOD, POOR)}
SHORT = Options(time_limit=5.0, workers=1, isolate=False)


def says(name: str, value: float, cost: Cost = Cost.AT_ONCE, **given: Any) -> Bound:
    return Bound(name=name, summary="", citation="", compute=lambda *_: value, cost=cost, **given)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes."""
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)


# --- portfolios ------------------------------------------------------------------------------------------------------


def test_the_largest_bound_counts_and_the_first_that_reached_it() -> None:
    asked: list[tuple[float, float]] = []
    chosen = [says("low", 1.5), says("high", 2.5), says("same", 2.5), says("other", 9.0, objectives=("misses",))]
    found = best_bound(PROBLEM, read_objective("max_ratio"), 10.0, chosen, lambda *row: asked.append(row))
    assert (found.objective, found.value, found.source) == ("max_ratio", 2.5, "high")
    assert [(row.bound, row.value) for row in found.table] == [
        ("low", 1.5),
        ("high", 2.5),
        ("same", 2.5),
        ("other", None),
    ]
    assert found.table[3].note == "holds for misses only"
    assert all(row.seconds >= 0 for row in found.table)
    assert asked == [(0, 3), (1, 3), (2, 3)]
    assert list(found.to_frame()["bound"]) == ["low", "high", "same", "other"]
    assert math.isnan(found.to_frame()["value"][3])
    fluid = offline_problem(replace(INSTANCE, decode_model="fluid"))
    fixed_only = says("fixed", 3.0, decode_models=("fixed",))
    assert best_bound(PROBLEM, read_objective("max_ratio"), 1.0, [fixed_only]).value == 3.0
    with pytest.raises(InputError, match="none of the chosen bounds applies to max_ratio in decode model fluid"):
        best_bound(fluid, read_objective("max_ratio"), 1.0, [fixed_only])
    assert fixed_only.why_not(fluid, read_objective("max_ratio")) == "holds in the decode model fixed only"
    for limit in (0.0, -1.0, math.nan):
        with pytest.raises(InputError, match="time limit"):
            best_bound(PROBLEM, read_objective("max_ratio"), limit, chosen)


def test_each_bound_has_an_equal_share_of_what_is_left(still: None) -> None:
    limits: list[float] = []

    def compute(problem: OfflineProblem, objective: Any, limit: float) -> float:
        limits.append(limit)
        return 1.0

    warmed: list[int] = []
    chosen = [
        Bound(f"b{k}", "", "", compute, Cost.LINEAR_PROGRAM, warm_up=lambda k=k: warmed.append(k)) for k in range(4)
    ]
    best_bound(PROBLEM, read_objective("max_ratio"), 100.0, chosen)
    assert limits == pytest.approx([25, 100 / 3, 50, 100])
    assert warmed == [0, 1, 2, 3]


def test_what_has_no_time_says_so_and_the_critical_path_is_left() -> None:
    late = [says("late", 5.0, Cost.LINEAR_PROGRAM), says("any", 5.0, Cost.ANY_TIME)]
    found = best_bound(PROBLEM, read_objective("mean_latency"), 1e-9, late)
    assert [row.note for row in found.table] == ["no time left"] * 2
    assert (found.source, found.value) == ("critical-path", pytest.approx(PROBLEM.horizon.mean()))
    assert best_bound(PROBLEM, read_objective("max_ratio"), 1e-9, [says("now", 5.0)]).value == 5.0
    slow = says("slow", 1.0, Cost.ANY_TIME)
    assert slow.said_nothing(1.0, 1.0, 2.0, 2.0)
    assert not slow.said_nothing(1.1, 1.0, 2.0, 2.0)
    assert not slow.said_nothing(1.0, 1.0, 1.9, 2.0)
    assert not says("now", 1.0).said_nothing(1.0, 1.0, 2.0, 2.0)
    assert slow.is_too_late(0.9e-3)
    assert not slow.is_too_late(1e-3)
    assert not says("now", 1.0).is_too_late(0.0)


def test_bounds_of_parts_make_one_of_the_whole(still: None) -> None:
    flows = [
        workflow(name, at, call("x", 10, 1), call("y", 10, 1)) for name, at in (("A", 0), ("B", 1000), ("C", 1001))
    ]
    problem = fixed_problem(one_pair(*flows, decode_model="fixed"))
    asked: list[tuple[int, float]] = []

    def compute(part: OfflineProblem, objective: Any, limit: float) -> float:
        asked.append((part.workflows, limit))
        return 10.0 + part.workflows

    each = Bound("parts", "", "", compute, Cost.LINEAR_PROGRAM)
    assert each.value(problem, read_objective("max_ratio"), 30.0) == 12.0
    assert [size for size, _ in asked] == [2, 1]  # the larger part first, each by its share of the calls
    assert [limit for _, limit in asked] == pytest.approx([20.0, 30.0])
    assert each.value(problem, read_objective("mean_ratio"), 30.0) == pytest.approx((11 * 1 + 12 * 2) / 3)
    assert each.value(problem, read_objective("misses(1.1)"), 30.0) == 23.0
    asked.clear()
    assert each.value(problem, read_objective("req(0.5)"), 30.0) == 13.0
    assert asked == [(3, 30.0)]  # of a quantile the parts say nothing
    asked.clear()
    assert each.value(problem, read_objective("max_ratio"), 0.0) == 1.0  # what no time reaches counts as alone
    assert asked == []


def test_bounds_are_asked_for_by_name() -> None:
    assert [one.name for one in read_bounds("load, critical-path,load")] == ["load", "critical-path"]
    assert [one.name for one in read_bounds("all")] == list(BOUNDS)
    assert [one.name for one in read_bounds(["load"])] == ["load"]
    for wrong in ("load,", "", "no-such"):
        with pytest.raises(InputError):
            read_bounds(wrong)
    found = bound(INSTANCE, "max_ratio", bounds="critical-path,load", time_limit=5.0)
    assert [row.bound for row in found.table] == ["critical-path", "load"]
    assert found.value >= 1.0


def test_a_bound_proves_to_a_bracket_within_its_time(still: None) -> None:
    limits: list[float] = []

    def compute(problem: OfflineProblem, objective: Any, limit: float) -> float:
        limits.append(limit)
        return 1.25

    for cost in (Cost.AT_ONCE, Cost.LINEAR_PROGRAM):
        known = Bracket(read_objective("max_ratio"), 50.0)
        Bound("x", "", "", compute, cost).prove(PROBLEM, known)
        assert (known.bound, known.bound_source) == (1.25, "x")
    assert limits == pytest.approx([5.0, 50.0])
    over = Bracket(read_objective("max_ratio"), 0.0)
    Bound("x", "", "", compute, Cost.AT_ONCE).prove(PROBLEM, over)
    assert limits[-1] == 1e-3
    seen: list[int] = []
    close_in = Bound("y", "", "", compute, Cost.ANY_TIME, close_in=lambda problem, bracket, seed: seen.append(seed))
    close_in.prove(PROBLEM, over, 7)
    assert seen == [7]


# --- solves ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def formulation() -> Iterator[Callable[..., str]]:
    """Registers a formulation for the time of a test; what it is called."""

    def put(solve: Callable[[OfflineProblem, Bracket, Options], Outcome], **given: Any) -> str:
        FORMULATIONS.put(Formulation(name="made-up", summary="", citation="", solve=solve, **given))
        return "made-up"

    yield put
    if "made-up" in FORMULATIONS:
        FORMULATIONS.remove("made-up")


@pytest.mark.parametrize("isolate", [False, True])
def test_what_a_formulation_tells_is_verified_and_kept(formulation: Callable[..., str], isolate: bool) -> None:
    if isolate and not isolation.AVAILABLE:
        pytest.skip("solves are not isolated here")

    def solve(problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
        assert bracket.schedule is not None
        offer(problem, bracket, GOOD, "made-up")
        bracket.prove(1.0001, "made-up", {"prefill": 1.0})
        bracket.announce(bracket.value - 1e-3)
        return Outcome(Size(3, 4), 1.0, "done")

    name = formulation(solve)
    rows: list[tuple[float, float | None, float | None]] = []
    options = dataclasses.replace(SHORT, isolate=isolate, on_progress=lambda *row: rows.append(row))
    found = solve_with(INSTANCE, name, "max_ratio", options=options, start_policies=("fcfs",))
    assert found.status == "feasible"
    assert found.objective == min(VALUE.values())
    assert verify(INSTANCE, found.schedule).metrics.max_ratio == pytest.approx(found.objective)
    assert found.lower_bound >= 1.0001
    assert found.bound_source in ("made-up (solver)", *(one.name for one in cheap()))
    assert (found.formulation, found.objective_name, found.size, found.root_bound) == (
        "made-up",
        "max_ratio",
        Size(3, 4),
        1.0,
    )
    assert found.message == "done"
    assert not found.interrupted
    assert found.series == tuple(rows)
    assert rows[-1][2] == found.lower_bound


@pytest.mark.parametrize("isolate", [False, True])
def test_a_formulation_that_fails_leaves_start_and_floor(formulation: Callable[..., str], isolate: bool) -> None:
    if isolate and not isolation.AVAILABLE:
        pytest.skip("solves are not isolated here")

    def solve(problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
        bracket.prove(1.0002, "made-up")
        raise ValueError("no more")

    options = dataclasses.replace(SHORT, isolate=isolate)
    found = solve_with(INSTANCE, formulation(solve), "max_ratio", options=options, start_policies=("fcfs",))
    assert (found.status, found.message) == ("unknown", "made-up failed: ValueError: no more")
    assert found.objective == VALUE[id(POOR)]
    assert found.lower_bound >= 1.0002

    def interrupted(problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
        raise KeyboardInterrupt

    stopped = solve_with(INSTANCE, formulation(interrupted), options=SHORT, start_policies=("fcfs",))
    assert (stopped.interrupted, stopped.message, stopped.status) == (True, "interrupted", "feasible")

    def wrong(problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
        bracket.prove(1e6, "made-up")
        return Outcome()

    with pytest.raises(ContradictionError, match="made-up claims"):
        solve_with(INSTANCE, formulation(wrong), options=options, start_policies=("fcfs",))


def test_nothing_to_start_from_is_unknown_and_a_closed_bracket_optimal(formulation: Callable[..., str]) -> None:
    name = formulation(lambda problem, bracket, options: Outcome())
    nothing = solve_with(INSTANCE, name, options=SHORT, start_policies=())
    assert (nothing.status, nothing.objective, nothing.schedule, nothing.gap) == ("unknown", None, None, None)
    assert nothing.lower_bound >= 1.0
    alone = one_pair(workflow("w", 0.0, call("a", 10, 4)), decode_model="fixed")
    best = solve_with(alone, name, options=SHORT, start_policies=("fcfs",))
    assert (best.status, best.objective, best.gap) == ("optimal", 1.0, 0.0)
    warm = solve_with(INSTANCE, name, options=dataclasses.replace(SHORT, warm_start=GOOD), start_policies=())
    assert warm.objective == pytest.approx(VALUE[id(GOOD)])
    assert warm.status == "feasible"
    with pytest.raises(InputError, match="the warm start cannot be used"):
        solve_with(alone, name, options=dataclasses.replace(SHORT, warm_start=GOOD), start_policies=())
    over = Bracket(read_objective("max_ratio"), 0.0)
    offer(PROBLEM, over, GOOD, "x")
    outcome = run(FORMULATIONS["made-up"], PROBLEM, over, SHORT)
    assert "ended before a model was built" in outcome.message
    crashed = result(FORMULATIONS["made-up"], over, Outcome(crashed=True))
    assert crashed.status == "unknown"
    assert crashed.objective == over.value


def test_idle_stretches_are_cut_out_and_schedules_come_back(formulation: Callable[..., str]) -> None:
    far = replace(INSTANCE, workflows=tuple(replace(w, arrival=1e4 * k) for k, w in enumerate(INSTANCE.workflows)))
    seen: list[float] = []

    def solve(problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
        seen.append(float(problem.arrival.max()))
        offer(problem, bracket, simulate(problem.instance, "sjf").schedule, "made-up")
        bracket.prove(1.0, "made-up")
        return Outcome()

    found = solve_with(far, formulation(solve), options=SHORT, start_policies=())
    assert seen[0] < 1e4
    assert found.objective == pytest.approx(1.0)
    assert found.status == "optimal"
    assert verify(far, found.schedule).ok


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({"objectives": ("misses",)}, {}, "cannot minimise max_ratio; it can misses"),
        ({}, {"extra": {"fast": True}}, "has no switch 'fast'; it has none"),
        ({"switches": {"faster": "x"}}, {"extra": {"fast": True}}, "has no switch 'fast'"),
        ({"solvers": ("HiGHS",)}, {"solver": "CBC"}, "cannot use solver 'CBC'; it can use HiGHS"),
        ({"model_formats": (".lp",)}, {"write_model": "m.mps"}, "cannot write such a model file; endings: .lp"),
        ({}, {"time_limit": 0.0}, "the time limit must be above 0 seconds"),
        ({}, {"workers": 0}, "workers must be at least 1"),
    ],
)
def test_options_that_a_formulation_has_not(formulation: Callable[..., str], given, options, message) -> None:
    name = formulation(lambda problem, bracket, options: Outcome(), **given)
    with pytest.raises(InputError, match=message):
        solve_with(INSTANCE, name, "max_ratio", options=dataclasses.replace(SHORT, **options), start_policies=())
    able = {"switches": {"fast": "x"}, "solvers": ("CBC",), "model_formats": (".mps",)}
    name = formulation(lambda problem, bracket, options: Outcome(), **able)
    fine = dataclasses.replace(SHORT, extra={"fast": True}, solver="CBC", workers=1)
    assert solve_with(INSTANCE, name, options=fine, start_policies=("fcfs",)).status == "feasible"


# --- gaps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "base", "expected"),
    [(3.0, 2.0, 0.5), (2.0, 2.0, 0.0), (1.9, 2.0, 0.0), (1.0, 0.0, None), (0.0, 0.0, 0.0)],
)
def test_a_gap_is_relative_to_its_end(value: float, base: float, expected: float | None) -> None:
    assert gaps._relative(value, base) == expected


def test_a_gap_sets_every_policy_against_both_ends() -> None:
    rows: list[tuple[float, float, float]] = []
    report = gaps.gap(
        INSTANCE, "hexagent,fcfs", "max_ratio", time_limit=2.0, workers=1, progress=lambda *row: rows.append(row)
    )
    assert list(report.policies) == ["hexagent", "fcfs"]
    lower, upper = report.lower_bound, report.upper_bound
    assert 1.0 <= lower <= upper <= min(VALUE.values()) * (1 + 1e-9)
    assert verify(INSTANCE, report.schedule).metrics.max_ratio == pytest.approx(upper)
    for name, plan in (("hexagent", GOOD), ("fcfs", POOR)):
        own = report.policies[name]
        assert own.value == pytest.approx(VALUE[id(plan)])
        assert own.gap == pytest.approx(max(own.value - lower, 0) / lower)
        assert own.gap_to_upper == pytest.approx(max(own.value - upper, 0) / upper)
    frame = report.to_frame()
    assert frame["gap"].tolist() == [one.gap for one in report.policies.values()]
    assert report.series_to_frame().to_numpy().tolist() == [list(row) for row in report.series]
    assert [row[1:] for row in rows] == [row[1:] for row in report.series]
    assert report.solver_status.startswith(("optimal", "feasible"))
    assert not report.interrupted
    assert report.objective == "max_ratio"
    assert report.seconds > 0
    assert set(report.bounds) >= {one.name for one in cheap()}


def asked_of(instance: Instance, text: str, monkeypatch: pytest.MonkeyPatch, **given: Any) -> list[str]:
    """The bounds and the parts of a bracket that are asked, in their order, where nothing closes it."""
    asked: list[str] = []
    monkeypatch.setattr(Bound, "prove", lambda self, *_: asked.append(self.name))
    work = gaps._Work(instance, Bracket(read_objective(text), 30.0), 0, 1, gaps.Tuning(**given))
    offer(work.problem, work.inside, simulate(instance, "fcfs").schedule, "fcfs")
    monkeypatch.setattr(work, "_solve", lambda: asked.append("solver"))
    monkeypatch.setattr(work, "_search", lambda *_: asked.append("search"))
    work.close_in()
    return asked


def test_what_is_asked_depends_on_size_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    aim = read_objective("max_ratio")
    at_once, programs, any_time = (
        [one.name for one in BOUNDS.values() if one.cost is cost and one.holds_for(PROBLEM, aim)] for cost in Cost
    )
    small = asked_of(INSTANCE, "max_ratio", monkeypatch)
    assert small == [*at_once, "solver", *programs, "search", *any_time, "search"]
    exactly = asked_of(INSTANCE, "max_ratio", monkeypatch, exact_calls=INSTANCE.call_count)
    assert exactly == small
    large = asked_of(INSTANCE, "max_ratio", monkeypatch, exact_calls=INSTANCE.call_count - 1)
    assert large == [at_once[0], "search", *any_time, "search"]
    fluid = asked_of(replace(INSTANCE, decode_model="fluid"), "max_ratio", monkeypatch)
    assert "solver" not in fluid
    assert "window-lp" in fluid


class Worked(gaps._Work):
    """Work on a bracket, on a clock that stands still but for what is added to it, that notes what it asks for."""

    def __init__(self, instance: Instance, monkeypatch: pytest.MonkeyPatch, workers: int, **tuning: Any) -> None:
        self.now = 100.0
        self.asked: list[tuple[Any, ...]] = []
        inside = Bracket(read_objective("max_ratio"), 30.0, clock=lambda: self.now)
        super().__init__(instance, inside, 5, workers, gaps.Tuning(**tuning))
        offer(self.problem, inside, simulate(instance, "fcfs").schedule, "fcfs")
        monkeypatch.setattr(Bound, "prove", lambda bound, _, within, seed: self._note(bound.name, within.left, seed))

    def _note(self, *asked: Any) -> None:
        self.asked.append(asked)

    def _solve(self) -> None:
        self._note("solver")

    def _search(self, within: Bracket, seed: int, workers: int, guide: Any) -> Any:
        self._note("search", within.left, seed, workers, guide)
        return "guide"


@pytest.mark.parametrize("workers", [1, 3])
def test_the_time_of_a_gap_is_shared_out(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    work = Worked(INSTANCE, monkeypatch, workers, linear_programs=0.5, first_search=0.25, any_time=0.6)
    work.close_in()

    def each(cost: Cost, seconds: float) -> list[tuple[Any, ...]]:
        able = [one for one in BOUNDS.values() if one.cost is cost and one.holds_for(PROBLEM, work.inside.objective)]
        shares = [one.share for one in able]
        return [(one.name, pytest.approx(seconds * shares[k] / sum(shares[k:])), 5) for k, one in enumerate(able)]

    before = [*each(Cost.AT_ONCE, 30), ("solver",), *each(Cost.LINEAR_PROGRAM, 15), ("search", 7.5, 5, workers, None)]
    assert work.asked[: len(before)] == before
    after = [("search", 30.0, 6, max(workers - 1, 1), "guide"), *each(Cost.ANY_TIME, 18 if workers == 1 else 30)]
    assert sorted(work.asked[len(before) :], key=str) == sorted(after, key=str)
    later = {name for name, one in BOUNDS.items() if one.cost is not Cost.AT_ONCE}
    assert set(work.short_of_time) == later - set(work.unable)  # none of them has said anything


def test_bounds_that_were_not_reached_and_those_that_found_nothing_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (Worked(INSTANCE, monkeypatch, 1, exact_calls=most) for most in (100, 1))
    for work, costs in ((small, (Cost.ANY_TIME, Cost.LINEAR_PROGRAM)), (large, (Cost.ANY_TIME,))):
        work.now += 30.0
        work.close_in()
        aim = work.inside.objective
        names = {one.name for one in BOUNDS.values() if one.cost in costs and one.holds_for(PROBLEM, aim)}
        assert work.short_of_time == dict.fromkeys(names, gaps.NO_TIME)
    monkeypatch.undo()

    def takes(seconds: float) -> Any:
        def close_in(problem: OfflineProblem, bracket: Bracket, seed: int) -> None:
            work.now += seconds

        return close_in

    late, slow, quick = (
        says(f"of {seconds} s", 0.0, Cost.ANY_TIME, close_in=takes(seconds)) for seconds in (99.0, 15.0, 1.0)
    )
    work.now, work.short_of_time = 100.0, {}
    work._prove([slow, quick, late, late], work.inside)
    assert work.short_of_time == {"of 15.0 s": gaps.FRUITLESS, "of 99.0 s": gaps.NO_TIME}
    work.now, work.short_of_time = 100.0, {}
    work._prove([slow, quick], work.inside)
    assert work.short_of_time == {"of 15.0 s": gaps.FRUITLESS}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_beside_a_search_is_raised(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    work = Worked(INSTANCE, monkeypatch, workers, exact_calls=1)

    def fail(bound: Bound, *_: Any) -> None:
        if bound.cost is Cost.ANY_TIME:
            raise ValueError("beside")

    monkeypatch.setattr(Bound, "prove", fail)
    with pytest.raises(ValueError, match="beside"):
        work.close_in()
    assert [one[0] for one in work.asked] == ["search", "search"]


def test_limits_of_a_gap() -> None:
    for limit in (0.0, -1.0):
        with pytest.raises(InputError, match="time limit"):
            gaps.gap(INSTANCE, "fcfs", time_limit=limit)
    assert gaps.TUNING.exact_calls == 100


def test_the_name_of_a_solver_in_whatever_case() -> None:
    made = Formulation(name="m", summary="", citation="", solve=lambda *_: Outcome(), solvers=("HiGHS", "CBC"))
    assert [made.as_spelt(name) for name in ("highs", "CBC", "cbc", "scip")] == ["HiGHS", "CBC", "CBC", "scip"]
