"""What a solve and a gap hand on: settings, shares of the time, messages, and what is known so far."""

from __future__ import annotations

import inspect
import math
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from instances import call, one_pair, workflow

import solvers.schedules.search as searching
from hexsched.errors import InputError
from hexsched.model import write_schedule
from hexsched.model.instance import ClosedLoop
from hexsched.simulator import simulate
from solvers.bounds import BOUNDS, cheap, costing
from solvers.bounds.parts.bound import NO_TIME, Bound, Cost
from solvers.brackets import choice, isolation, portfolio
from solvers.brackets import gap as gaps
from solvers.brackets import solve as solving
from solvers.brackets.earlier import Earlier
from solvers.problem.bracket import Bracket, ContradictionError
from solvers.problem.certificate import offer
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem
from solvers.problem.result import INTERRUPTED, Options, Outcome

pytestmark = pytest.mark.quick

FLOWS = tuple(workflow(f"w{k}", 0.0, call("a", 5 + k, 20 + 3 * k), call("b", 9, 15, "a")) for k in range(4))
INSTANCE = one_pair(*FLOWS, decode_model="fixed", max_batch=2)
PROBLEM = fixed_problem(INSTANCE)
AIM = read_objective("max_ratio")
GOOD, POOR = (simulate(INSTANCE, policy).schedule for policy in ("hexagent", "fcfs"))
Patch = pytest.MonkeyPatch


class StopError(Exception):
    """Ends what is looked into where it is looked at."""


def stops(*_: Any, **__: Any) -> Any:
    raise StopError


def bracket(seconds: float = 30.0, schedule: Any = POOR, **given: Any) -> Bracket:
    """A bracket on a clock that stands still."""
    made = Bracket(AIM, seconds, clock=lambda: 100.0, **given)
    if schedule is not None:
        offer(PROBLEM, made, schedule, "fcfs")
    return made


def says(name: str, value: float, cost: Cost = Cost.AT_ONCE, **given: Any) -> Bound:
    return Bound(name=name, summary="", citation="", compute=lambda *_: value, cost=cost, **given)


def test_what_is_assumed_where_nothing_is_said() -> None:
    assumed = {"time_limit": 60.0, "workers": 2, "seed": 0, "to": 0.0, "cpu_time": False}
    for function, has in ((solving.solve, 3), (gaps.gap, 5), (portfolio.bound, 1)):
        told = {k: p.default for k, p in inspect.signature(function).parameters.items() if k in assumed}
        assert told == {k: assumed[k] for k in told}
        assert len(told) == has
    assert gaps.Tuning() == gaps.Tuning(100, solver=0.4, linear_programs=0.3, first_search=0.1, any_time=0.4)
    assert (solving.FLOOR_SECONDS, solving.FLOOR_CALLS, gaps.SOON) == (3.0, 5000, 1e-3)
    assert (choice.PENALTY, choice.SHORTEST, choice.DEPTH, choice.FOLDS, choice.LEAF) == (2.0, 0.01, 2, 10, 12)
    assert isolation.AFTER_INTERRUPT == 15.0


def test_nothing_begins_without_memory(monkeypatch: Patch) -> None:
    for module, begin in (
        (portfolio, lambda: portfolio.bound(INSTANCE, bounds="critical-path")),
        (solving, lambda: solving.solve_with(INSTANCE)),
        (gaps, lambda: gaps.gap(INSTANCE, "fcfs")),
    ):
        monkeypatch.setattr(module, "check_memory", stops)
        with pytest.raises(StopError):
            begin()


# --- solves ----------------------------------------------------------------------------------------------------------


def test_what_people_say_is_handed_on(monkeypatch: Patch, tmp_path: Path) -> None:
    handed: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr(solving, "solve_with", lambda *given, **more: handed.append((given, more)))
    shown: list[tuple[Any, ...]] = []
    monkeypatch.setattr(solving.Progress, "show", lambda self, *told: shown.append(told))
    write_schedule(tmp_path / "s.json", GOOD)
    told: list[tuple[Any, ...]] = []
    solving.solve(
        INSTANCE, "mean_ratio", "tiny", time_limit=7.0, workers=3, seed=5, solver="CBC", warm_start=tmp_path / "s.json",
        policies="fcfs,sjf", switches={"fast": True}, write_model=str(tmp_path / "m.lp"),
        progress=lambda *row: told.append(row),
    )  # fmt: skip
    given, more = handed.pop()
    assert given == (INSTANCE, "tiny", "mean_ratio")
    options = more["options"]
    assert (options.time_limit, options.workers, options.seed, options.solver) == (7.0, 3, 5, "CBC")
    assert (options.warm_start, options.extra, options.write_model) == (GOOD, {"fast": True}, tmp_path / "m.lp")
    assert [policy.name for policy in more["start_policies"]] == ["fcfs", "sjf"]
    options.on_progress(1.0, 2.0, None)
    assert told == [(1.0, 2.0, None)]
    assert shown == []
    solving.solve(INSTANCE, warm_start=GOOD, policies="", time_limit=9.0, progress=False)
    given, more = handed.pop()
    options = more["options"]
    assert (options.warm_start, options.extra, options.write_model) == (GOOD, {}, None)
    assert more["start_policies"] == []
    options.on_progress(1.0, 2.0, None)
    options.on_progress(2.0, 2.0, 1.5)
    assert shown == [("best 2", 9.0, 1.0), ("best 2, bound 1.5", 9.0, 2.0)]
    solving.solve(INSTANCE, warm_start=str(tmp_path / "s.json"))
    assert handed.pop()[1]["options"].warm_start == GOOD


def test_the_floor_of_a_solve_depends_on_its_size(monkeypatch: Patch) -> None:
    asked: list[tuple[Any, ...]] = []

    def best_bound(problem: Any, aim: Any, seconds: float, chosen: Any) -> Any:
        asked.append((seconds, [one.name for one in chosen]))
        return SimpleNamespace(value=1.0, source="critical-path")

    monkeypatch.setattr(solving, "best_bound", best_bound)
    monkeypatch.setattr(solving, "run", lambda *_: Outcome())
    names = [one.name for one in cheap()]
    for most, expected in ((PROBLEM.calls, names), (PROBLEM.calls - 1, names[:1])):
        monkeypatch.setattr(solving, "FLOOR_CALLS", most)
        found = solving.solve_with(INSTANCE, start_policies=("fcfs",))
        assert asked.pop() == (3.0, expected)
        assert (found.lower_bound, found.bound_source) == (1.0, "critical-path")


@pytest.mark.parametrize("left", [-1.0, 0.0, 0.5, 2.0])
@pytest.mark.parametrize("schedule", [None, POOR])
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_model_is_built_unless_the_time_has_ended(
    monkeypatch: Patch, left: float, schedule: Any, interrupted: bool
) -> None:
    inside = bracket(left, schedule)
    if interrupted:
        inside.interrupt()
    chosen: Any = SimpleNamespace(name="x", solve=lambda *_: Outcome(message="built"))
    message = solving.run(chosen, PROBLEM, inside, Options(isolate=False)).message
    ended = left <= 0 and schedule is not None and not interrupted
    assert message == ("x: the time limit ended before a model was built" if ended else "built")
    simulated: list[str] = []

    def offered(problem: Any, inside: Bracket, made: Any, source: str) -> None:
        simulated.append(source)
        offer(problem, inside, made, source)

    monkeypatch.setattr(solving, "offer", offered)
    solving.offer_policies(PROBLEM, inside, ("fcfs", "sjf"))
    no_time = left <= 0 or interrupted
    assert simulated == (["fcfs", "sjf"] if not no_time else [] if schedule is not None else ["fcfs"])


@pytest.mark.parametrize("able", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_a_solve_is_isolated_where_it_can_be_and_shall(monkeypatch: Patch, able: bool, wanted: bool) -> None:
    monkeypatch.setattr(isolation, "AVAILABLE", able)
    for name in ("_run_here", "_run_in_child"):
        monkeypatch.setattr(solving, name, lambda *_, name=name: Outcome(message=name))
    outcome = solving.run(None, PROBLEM, bracket(), Options(isolate=wanted))  # type: ignore[arg-type]
    assert outcome.message == ("_run_in_child" if able and wanted else "_run_here")


def test_a_child_has_the_time_that_is_left_and_some_more(monkeypatch: Patch) -> None:
    chosen: Any = SimpleNamespace(name="x", solve=lambda problem, *_: Outcome(message=f"{problem.arrival.max():g}"))
    far = msgspec.structs.replace(FLOWS[1], arrival=1e4)
    idle = fixed_problem(one_pair(FLOWS[0], far, decode_model="fixed", max_batch=2))
    limits: list[tuple[float, float]] = []
    ends: Exception | BaseException | None = None

    def in_child(work: Any, hear: Any, patience: float, memory: float) -> Any:
        limits.append((patience, memory))
        if ends is not None:
            raise ends
        return work(hear)

    monkeypatch.setattr(isolation, "in_child", in_child)
    monkeypatch.setattr(isolation, "AVAILABLE", True)
    options = Options(overtime=4.0, memory=5e9)
    assert solving.run(chosen, PROBLEM, bracket(30.0), options).message == "0"
    assert limits == [(34.0, 5e9)]
    short = solving.run(chosen, idle, Bracket(AIM, 30.0), options).message
    assert 0 < float(short) < 1e4
    ends = isolation.StoppedError("it ate")
    stopped = solving.run(chosen, PROBLEM, bracket(), options)
    assert (stopped.message, stopped.crashed) == ("x: it ate; what it had found and proved until then counts", False)
    ends = isolation.CrashedError("it fell")
    crashed = solving.run(chosen, PROBLEM, bracket(), options)
    assert (crashed.message, crashed.crashed) == ("x crashed: it fell", True)
    ends = KeyboardInterrupt()
    inside = bracket()
    assert solving.run(chosen, PROBLEM, inside, options) == Outcome()
    assert inside.is_interrupted


def test_a_relay_knows_what_is_known_and_tells_what_is_new() -> None:
    told: list[tuple[str, tuple[Any, ...]]] = []
    known = bracket()
    nothing = solving._Relay(PROBLEM, Bracket(AIM, 30.0), told.append)
    assert (nothing.schedule, nothing.bound_source, nothing.value) == (None, "", math.inf)
    silent = solving._Relay(PROBLEM, known, told.append)
    assert (silent.bound_source, silent.source, silent.value) == ("", "fcfs", pytest.approx(known.value))
    known.prove(1.0, "load")
    relay = solving._Relay(PROBLEM, known, told.append)
    assert (relay.bound, relay.bound_source) == (1.0, "load")
    assert 29.0 < relay.left <= 30.0
    assert told == []
    assert not relay.improve(1e9, POOR, "worse")
    assert told == []
    assert relay.improve(relay.value - 1e-3, GOOD, "better")
    relay.announce(1.2)
    relay.prove(1.0001, "x", {"prefill": 1.0})
    relay.interrupt()
    assert relay.is_interrupted
    assert [kind for kind, _ in told] == ["schedule", "value", "bound", "interrupt"]
    hears = bracket(schedule=None)
    hear = solving._hear(PROBLEM, None, hears)
    for message in told:
        hear(message)
    assert (hears.bound, hears.binding, hears.is_interrupted) == (1.0001, {"prefill": 1.0}, True)
    assert (hears.source, hears.schedule) == ("better", GOOD)


def test_what_a_formulation_has_not_is_told_with_what_it_has() -> None:
    def check(options: Options, **more: Any) -> None:
        has = {"objectives": ("max_ratio",), "switches": {}, "solvers": (), "model_formats": ()}
        there: Any = SimpleNamespace(**{"name": "x", "check_installed": lambda: None, **has, **more})
        solving._check(there, AIM, options)

    check(Options(workers=1))
    check(Options(write_model=Path("m.lp"), solver="A", extra={"s": True}),
          model_formats=(".lp", ".mps"), solvers=("A", "B"), switches={"s": ""})  # fmt: skip
    for options, more, message in (
        (Options(write_model=Path("m.x")), {"model_formats": (".lp", ".mps")}, "endings: .lp, .mps"),
        (Options(write_model=Path("m.x")), {}, "endings: none"),
        (Options(solver="C"), {"solvers": ("A", "B")}, "cannot use solver 'C'"),
        (Options(extra={"s": True}), {}, "no switch 's'; it has none"),
        (Options(extra={"s": True}), {"switches": {"t": ""}}, "no switch 's'; it has"),
        (Options(workers=0), {}, "workers must be at least 1, got 0"),
        (Options(time_limit=0.0), {}, "time limit"),
    ):
        with pytest.raises(InputError, match=message):
            check(options, **more)
    with pytest.raises(StopError):
        check(Options(), check_installed=stops)


def test_a_result_is_written_as_people_write_it() -> None:
    inside = bracket()
    inside.prove(-0.0, "x")
    chosen: Any = SimpleNamespace(name="x")
    found = solving.result(chosen, inside, Outcome(message="done"))
    assert math.copysign(1.0, found.lower_bound) == 1.0
    assert (found.lower_bound, found.bound_source, found.status, found.message) == (
        0.0,
        "x (solver)",
        "feasible",
        "done",
    )
    other = solving.result(SimpleNamespace(name="y"), inside, Outcome(crashed=True))  # type: ignore[arg-type]
    assert (other.bound_source, other.status, other.objective) == ("x", "unknown", inside.value)
    inside.interrupt()
    assert solving.result(chosen, inside, Outcome(message="done")).message == INTERRUPTED


# --- gaps ------------------------------------------------------------------------------------------------------------


class Worked(gaps._Work):
    """Work that notes what is asked, and that may be cut short at one of them."""

    def __init__(self, monkeypatch: Patch, workers: int = 1, at: str = "", how: str = "", fluid: bool = False) -> None:
        model = "fluid" if fluid else "fixed"
        instance = msgspec.structs.replace(INSTANCE, decode_model=model)
        self.now, self.asked, self._at, self._how = 100.0, [], at, how  # type: ignore[var-annotated]
        inside = Bracket(AIM, 30.0, clock=lambda: self.now)
        super().__init__(instance, inside, 5, workers, gaps.TUNING)
        offer(self.problem, inside, simulate(instance, "fcfs").schedule, "fcfs")
        monkeypatch.setattr(Bound, "prove", lambda bound, *_: self._note(bound.name))

    def _note(self, name: str) -> None:
        self.asked.append(name)
        if name == self._at:
            if self._how == "closed":
                self.inside.prove(self.inside.value, name)
            elif self._how == "interrupted":
                self.inside.interrupt()
            else:
                self.now += 30.0

    def _solve(self) -> None:
        self._note("solver")

    def _search(self, within: Bracket, seed: int, workers: int, guide: Any) -> Any:
        self._note("search" if guide is None else "again")
        return "guide"


def names(cost: Cost) -> list[str]:
    return [one.name for one in costing(cost) if one.holds_for(PROBLEM, AIM)]


@pytest.mark.parametrize("how", ["closed", "interrupted", "late"])
def test_nothing_is_asked_any_more_once_a_bracket_is_over(monkeypatch: Patch, how: str) -> None:
    at_once, programs, any_time = (names(cost) for cost in Cost)
    order = [*at_once, "solver", *programs, "search", *any_time, "again"]
    for at in (at_once[-1], "solver", programs[-1], "search", any_time[-1]):
        work = Worked(monkeypatch, at=at, how=how)
        work.close_in()
        assert work.asked == order[: order.index(at) + 1], at
        if how != "late":
            assert work.short_of_time == {}
        elif at == programs[-1]:
            no_time = {name for name, why in work.short_of_time.items() if why == NO_TIME}
            assert no_time == {*any_time, *programs[:-1]}  # none of which has said anything


def test_a_bound_that_has_spoken_is_not_short_of_time(monkeypatch: Patch) -> None:
    work = Worked(monkeypatch, at="solver", how="late")
    programs, any_time = names(Cost.LINEAR_PROGRAM), names(Cost.ANY_TIME)
    work.inside.prove(1.0, programs[0])
    work.close_in()
    assert set(work.short_of_time) == {*programs[1:], *any_time}
    assert set(work.unable) == {
        one.name for one in BOUNDS.values() if not one.holds_for(PROBLEM, AIM) and one.cost is Cost.AT_ONCE
    }


def test_the_exact_formulation_of_a_gap_has_its_share_on_the_wall(monkeypatch: Patch) -> None:
    asked: list[tuple[Any, ...]] = []

    def run(formulation: Any, problem: Any, within: Bracket, options: Options) -> Outcome:
        asked.append((formulation.name, within.left, options.workers, options.seed))
        return Outcome(message="why")

    monkeypatch.setattr(solving, "run", run)
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    work = Worked(monkeypatch, workers=3)
    gaps._Work._solve(work)
    assert asked == [("cpsat", pytest.approx(12.0), 3, 5)]
    assert work.solver_status == "feasible: why"
    other = Worked(monkeypatch)
    other.inside.interrupt()
    gaps._Work._solve(other)
    assert other.solver_status == ""
    closed = Worked(monkeypatch)
    closed.inside.prove(closed.inside.value, "x")
    monkeypatch.setattr(solving, "run", lambda *_: Outcome())
    gaps._Work._solve(closed)
    assert closed.solver_status == "optimal"


def test_a_search_is_told_what_is_known(monkeypatch: Patch) -> None:
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    answer = SimpleNamespace(value=1.5, schedule=GOOD, interrupted=False, guide="new")
    monkeypatch.setattr(searching, "search", lambda *given, **more: asked.append((given, more)) or answer)
    work = Worked(monkeypatch)
    assert gaps._Work._search(work, work.inside, 8, 3, None) == "new"
    given, more = asked.pop()
    assert given == (work.instance, "max_ratio")
    assert (more["time_limit"], more["workers"], more["seed"], more["clock"]) == (30.0, 3, 8, work.inside.clock)
    assert len(more["start"]) == 1
    assert not more["enough"](1.5)
    more["progress"](1.0, 1.4)
    assert work.inside.series[-1].value == 1.4
    assert (work.inside.value, work.inside.source) == (1.5, "search")
    work.now += 40.0
    answer.interrupted = True
    gaps._Work._search(work, work.inside, 8, 3, "old")  # type: ignore[arg-type]
    more = asked.pop()[1]
    assert (more["time_limit"], more["start"]) == (gaps.SOON, [GOOD, "old"])
    assert work.inside.is_interrupted


def test_after_an_interrupt_nobody_waits_for_what_proves_beside(monkeypatch: Patch) -> None:
    work, stuck, daemons = Worked(monkeypatch, 2, "again", "interrupted"), threading.Event(), []
    monkeypatch.setattr(work, "_prove", lambda *_: (daemons.append(threading.current_thread().daemon), stuck.wait(20)))
    began = time.monotonic()
    work._any_time_and_search()
    assert time.monotonic() - began < 15
    stuck.set()
    assert daemons == [True]
    waits = Worked(monkeypatch, 2)
    done: list[float] = []
    monkeypatch.setattr(waits, "_prove", lambda *_: (time.sleep(0.05), done.append(1.0)))
    waits._any_time_and_search()
    assert done == [1.0]
    fails = Worked(monkeypatch, 2)
    monkeypatch.setattr(fails, "_prove", stops)
    with pytest.raises(StopError):
        fails._any_time_and_search()
    assert fails.asked == ["search", "again"]


def test_a_gap_goes_on_from_what_is_recorded(monkeypatch: Patch) -> None:
    monkeypatch.setattr(gaps._Work, "close_in", lambda self: None)
    known = Earlier("r.json", "max_ratio", 1.001, "load", GOOD, "search")
    found = gaps.gap(INSTANCE, "fcfs", "max_ratio", earlier=known, progress=False)
    assert (found.upper_source, found.bound_source, found.lower_bound) == ("search", "load (as recorded)", 1.001)
    assert found.schedule == GOOD
    again = known._replace(bound_source=found.bound_source, schedule=None)
    found = gaps.gap(INSTANCE, "fcfs", "max_ratio", earlier=again, progress=False)
    assert (found.upper_source, found.bound_source) == ("fcfs", "load (as recorded)")
    assert found.series[0][1:] == (1.001, 0.0)  # there was no schedule yet
    alone = gaps.gap(INSTANCE, "fcfs", "max_ratio", progress=False)
    assert [row[1:] for row in alone.series] == [(0.0, alone.upper_bound)]

    def claims(self: gaps._Work) -> None:
        self.inside.prove(1e6, "mine")

    monkeypatch.setattr(gaps._Work, "close_in", claims)
    for earlier in (known, None):
        with pytest.raises(ContradictionError, match="mine claims"):  # of which the record is innocent
            gaps.gap(INSTANCE, "fcfs", "max_ratio", earlier=earlier, progress=False)
    with pytest.raises(InputError, match=r"r.json: its lower_bound 50 cannot be one"):
        gaps.gap(INSTANCE, "fcfs", "max_ratio", earlier=known._replace(lower_bound=50.0, schedule=None))


def test_a_gap_that_is_interrupted_says_so_and_a_policy_that_breaks_rules(monkeypatch: Patch) -> None:
    def interrupted(self: gaps._Work) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gaps._Work, "close_in", interrupted)
    found = gaps.gap(INSTANCE, "fcfs", "max_ratio", progress=False)
    assert (found.interrupted, found.message) == (True, INTERRUPTED)
    broken = SimpleNamespace(ok=False, metrics=None, counts=lambda: {"overlap": 2, "kv-over": 1})
    monkeypatch.setattr(gaps, "verify", lambda *_: broken)
    with pytest.raises(InputError, match="the schedule of policy 'fcfs' breaks overlap, kv-over"):
        gaps.gap(INSTANCE, "fcfs", "max_ratio", progress=False)
    with pytest.raises(InputError, match=r"r.json: its schedule is none of this instance: it breaks overlap, kv-over"):
        gaps.gap(INSTANCE, "fcfs", "max_ratio", earlier=Earlier("r.json", "max_ratio", 1.0, "load", GOOD))


def test_a_gap_shows_its_ends_and_minds_its_clock(monkeypatch: Patch) -> None:
    monkeypatch.setattr(gaps._Work, "close_in", lambda self: self.inside.prove(1.0, "x"))
    shown: list[tuple[Any, ...]] = []
    monkeypatch.setattr(gaps.Progress, "show", lambda self, *told: shown.append(told))
    found = gaps.gap(INSTANCE, "fcfs", "max_ratio", time_limit=9.0, progress=False)
    value = f"{found.upper_bound:.6g}"
    assert [told[:2] for told in shown] == [(f"0 <= optimum <= {value}", 9.0), (f"1 <= optimum <= {value}", 9.0)]
    told: list[tuple[Any, ...]] = []
    gaps.gap(INSTANCE, "fcfs", "max_ratio", progress=lambda *row: told.append(row[1:]))
    assert told == [(0.0, found.upper_bound), (1.0, found.upper_bound)]
    assert len(shown) == 2
    clocks: list[int] = []
    monkeypatch.setattr(gaps, "cpu_clock", lambda workers: clocks.append(workers) or gaps.wall_clock)
    gaps.gap(INSTANCE, "fcfs", "max_ratio", workers=3, progress=False)
    assert clocks == []
    gaps.gap(INSTANCE, "fcfs", "max_ratio", workers=3, cpu_time=True, progress=False)
    assert clocks == [3]
    with pytest.raises(InputError, match="closed"):  # before anybody asks for policies
        gaps.gap(msgspec.structs.replace(INSTANCE, closed_loop=ClosedLoop(sessions=1)), "no-such-policy")
    for width in (-1e-9, math.inf, math.nan):
        with pytest.raises(InputError, match="width to stop at"):
            gaps.gap(INSTANCE, "fcfs", to=width)


def test_everything_is_compiled_before_a_clock_starts(monkeypatch: Patch) -> None:
    warmed: list[Any] = []
    monkeypatch.setattr(gaps, "warm_up_simulator", lambda policies: warmed.append(policies))
    monkeypatch.setattr(searching, "warm_up", lambda: warmed.append("search"))
    monkeypatch.setattr(gaps, "BOUNDS", {"x": says("x", 1.0, warm_up=lambda: warmed.append("x"))})
    gaps.warm_up(("fcfs",))  # type: ignore[arg-type]
    assert warmed == [("fcfs",), "search", "x"]


def test_shares_are_written_in_percent() -> None:
    assert gaps._percent(None) is None
    assert gaps._percent(0.1234) == "12.3 %"
    assert gaps._relative(0.5, 0.0) is None
    assert gaps._relative(0.75, 0.5) == 0.5
