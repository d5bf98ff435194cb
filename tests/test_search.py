"""The clairvoyant search: what it finds is a schedule, no worse than its starts, and never better than the optimum."""

from __future__ import annotations

import _thread
import threading

import numpy as np
import pytest
from instances import call, corner_instance, one_pair, tiny_flow_shop, workflow
from msgspec.structs import replace
from reference import random_instance
from reference.exhaustive import Value, largest, mean_latency, mean_ratio, misses, optima, required

from hexsched.engine.horizon import horizons
from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.policies import order
from hexsched.simulator import simulate
from hexsched.verifier import verify
from solvers import bounds
from solvers.brackets.solve import solve_with
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem, offline_problem
from solvers.problem.result import INTERRUPTED, Options
from solvers.schedules.search import SearchResult, default_starts, search
from solvers.schedules.search.evaluator import Evaluator
from solvers.schedules.search.guide import plain_guide
from solvers.schedules.search.merit import Merit
from solvers.schedules.search.moves import MOVES
from solvers.schedules.search.rules import Tuner, guide_of, rule_of
from solvers.schedules.search.starts import rules
from solvers.schedules.search.tuning import Tuning

OBJECTIVES: dict[str, Value] = {
    "max_ratio": largest,
    "req(0.5)": required("0.5"),
    "mean_ratio": mean_ratio,
    "mean_latency": mean_latency,
    "misses(1.1)": misses(1.1),
}


def drawn(seed: int, decode_model: str = "fluid", workflows: int = 6) -> Instance:
    """A contended instance of some 18 calls."""
    rng = np.random.default_rng(seed)
    found = random_instance(rng, decode_model=decode_model, workflows=(workflows, workflows), calls=(2, 4))
    return replace(found, workflows=tuple(replace(w, arrival=w.arrival / 20) for w in found.workflows))


def value(instance: Instance, text: str, schedule: Schedule) -> float:
    """The objective from the schedule's own times."""
    ends = dict.fromkeys((w.workflow_id for w in instance.workflows), 0.0)
    for row in schedule.calls:
        ends[row.workflow_id] = max(ends[row.workflow_id], row.decode_end)
    arrival = np.array([w.arrival for w in instance.workflows])
    return read_objective(text).value(
        arrival, np.array(list(ends.values())), np.array(list(horizons(instance).values()))
    )


def check(instance: Instance, text: str, found: SearchResult) -> None:
    assert verify(instance, found.schedule).ok
    assert found.value == pytest.approx(value(instance, text, found.schedule), rel=1e-12)
    assert found.value <= min(found.starts.values()) * (1 + 1e-12)
    seconds, values = zip(*found.series, strict=True)
    assert list(seconds) == sorted(seconds)
    assert list(values) == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(found.value, rel=1e-12)


@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
@pytest.mark.parametrize("text", OBJECTIVES)
def test_what_it_finds_is_a_schedule_no_worse_than_any_start(text: str, decode_model: str) -> None:
    for seed in range(2):
        instance = drawn(seed, decode_model)
        found = search(instance, text, evaluations=250, workers=1)
        check(instance, text, found)
        assert set(default_starts()) <= set(found.starts)
        for name in ("hexagent", "fcfs", "edf"):
            assert found.starts[name] == pytest.approx(value(instance, text, simulate(instance, name).schedule))


@pytest.mark.parametrize("text", OBJECTIVES)
def test_it_survives_the_corner_cases(text: str) -> None:
    for seed in range(4):
        instance = corner_instance(np.random.default_rng(seed))
        check(instance, text, search(instance, text, evaluations=150, workers=1))


@pytest.mark.parametrize("text", OBJECTIVES)
def test_it_reaches_and_never_beats_the_exhaustive_optimum(text: str) -> None:
    ratios = []
    for seed in range(6):
        instance = tiny_flow_shop(seed)
        best = optima(instance, {text: OBJECTIVES[text]})[text]
        found = search(instance, text, evaluations=300, workers=1).value
        assert found >= best * (1 - 1e-9)
        ratios.append(found <= best * (1 + 1e-9))
    assert sum(ratios) >= 5


@pytest.mark.parametrize("text", ["max_ratio", "req(0.7)", "mean_ratio"])
@pytest.mark.usefixtures("coarse_bounds")
def test_no_bound_is_above_it(text: str) -> None:
    for seed in range(2):
        instance = drawn(seed, "fixed", workflows=2)
        found = search(instance, text, evaluations=400, workers=1)
        problem, aim = fixed_problem(instance), read_objective(text)
        for bound in bounds.BOUNDS.values():
            if aim.kind in bound.objectives:
                assert bound.compute(problem, aim, 1.0) <= found.value * (1 + 1e-6), bound.name


def test_it_comes_close_to_cpsat_on_small_instances() -> None:
    ratios = []
    for seed in range(3):
        instance = drawn(seed, "fixed", workflows=4)
        exact = solve_with(instance, "cpsat", "max_ratio", options=Options(time_limit=2, workers=1))
        found = search(instance, "max_ratio", evaluations=1500, workers=1)
        assert exact.objective is not None
        assert found.value >= exact.lower_bound * (1 - 1e-6)
        ratios.append(found.value / exact.objective)
    assert np.mean(ratios) <= 1.05


@pytest.mark.parametrize("text", ["req(0.8)", "mean_ratio"])
def test_same_seed_same_schedule_whatever_the_number_of_workers(text: str) -> None:
    tuning = Tuning(round=60)
    runs = [search(drawn(5), text, evaluations=600, workers=workers, seed=3, tuning=tuning) for workers in (1, 2, 2)]
    assert len({run.value for run in runs}) == 1
    assert runs[0].schedule == runs[1].schedule == runs[2].schedule
    assert runs[0].moves == runs[1].moves
    assert {run.evaluations for run in runs} == {runs[0].evaluations}


@pytest.mark.parametrize("seed", [10, 23])
def test_of_two_that_are_as_good_threads_do_not_choose(seed: int) -> None:
    instance = corner_instance(np.random.default_rng(seed), workflows=(5, 6), calls=(2, 4))
    for text in ("misses(1.5)", "max_ratio"):
        runs = [search(instance, text, evaluations=500, workers=workers, seed=1) for workers in (1, 2, 2, 2)]
        assert all(run.schedule == runs[0].schedule for run in runs)
        assert len({(run.start, run.move) for run in runs}) == 1


def test_another_seed_is_another_search() -> None:
    runs = [search(drawn(5), "mean_ratio", evaluations=400, seed=seed) for seed in (0, 1)]
    assert runs[0].moves != runs[1].moves


def test_more_evaluations_are_never_worse() -> None:
    values = [search(drawn(6), "max_ratio", evaluations=n, workers=1).value for n in (1, 100, 1000)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_it_starts_from_what_it_is_given() -> None:
    instance = drawn(7)
    first = search(instance, "max_ratio", evaluations=600, workers=1)
    again = search(instance, "max_ratio", start=[first.schedule], evaluations=1, workers=1)
    assert again.value <= first.value
    assert list(again.starts) == ["schedule 0"]
    assert again.source == "schedule 0"
    on = search(instance, "max_ratio", start=["fcfs@jsq", first.schedule], evaluations=300, workers=1)
    assert on.value <= first.value
    assert {"fcfs@jsq", "schedule 0"} <= set(on.starts)


def test_a_start_with_wrong_times_is_retimed() -> None:
    instance = drawn(7)
    good = simulate(instance, "fcfs").schedule
    late = Schedule(
        format=good.format,
        policy=good.policy,
        calls=tuple(replace(row, decode_end=row.decode_end + 1.0) for row in good.calls),
    )
    check(instance, "max_ratio", search(instance, "max_ratio", start=[late], evaluations=1))


def test_progress_is_told() -> None:
    told: list[tuple[float, float]] = []
    found = search(drawn(8), "mean_ratio", evaluations=500, progress=lambda s, v: told.append((s, v)))
    assert tuple(told) == found.series[: len(told)]
    assert len(told) >= 1


def test_ctrl_c_gives_the_best_so_far() -> None:
    instance = drawn(9)
    seen = threading.Event()

    def interrupt(_seconds: float, _value: float) -> None:
        if not seen.is_set():
            seen.set()
            threading.Timer(0.3, _thread.interrupt_main).start()

    found = search(instance, "mean_ratio", time_limit=120, progress=interrupt)
    assert found.message == INTERRUPTED
    assert found.seconds < 60
    check(instance, "mean_ratio", found)


def test_a_callback_that_fails_stops_the_search() -> None:
    def fail(_seconds: float, _value: float) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        search(drawn(1), "mean_ratio", time_limit=120, progress=fail)


def test_the_time_limit_holds_and_one_start_is_always_run() -> None:
    found = search(drawn(2), "max_ratio", time_limit=1e-9)
    assert list(found.starts) == [default_starts()[0]]
    found = search(drawn(2), "max_ratio", start=[], time_limit=1e-9)
    assert len(found.starts) == 1


def test_orders_in_plain_python_are_no_default_but_can_be_given() -> None:
    @order("longest-first", summary="test")
    def longest_first(call: object, now: float) -> float:
        return -float(call.prompt_tokens)  # type: ignore[attr-defined]

    assert "longest-first" not in default_starts()
    found = search(drawn(2), "max_ratio", start=["longest-first"], evaluations=2)
    assert "longest-first" in found.starts


def test_one_call_has_nothing_to_search() -> None:
    instance = one_pair(workflow("w", 0.0, call("a", 10, 5)))
    found = search(instance, "req(0.95)", evaluations=200)
    assert found.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "req(2)"}, "Q must be"),
        ({"start": ["nobody"]}, "unknown policy"),
        ({"time_limit": 0.0}, "the time limit"),
        ({"time_limit": float("nan")}, "the time limit"),
        ({"evaluations": 0}, "evaluations"),
        ({"workers": 0}, "workers"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_input_is_said(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        search(drawn(0), **({"objective": "max_ratio"} | arguments))  # type: ignore[arg-type]


def test_a_schedule_of_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="start schedule 0"):
        search(drawn(0), "max_ratio", start=[simulate(drawn(1), "fcfs").schedule])


@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
def test_every_move_leads_to_a_schedule(decode_model: str) -> None:
    rng = np.random.default_rng(0)
    for text in ("req(0.5)", "misses(1.5)", "mean_ratio"):
        instance = corner_instance(rng, decode_model=decode_model, workflows=(4, 6), room="barely")
        merit = Merit(read_objective(text), Evaluator(offline_problem(instance)))
        now = merit(plain_guide(merit.evaluator.tail, len(instance.workflows), len(instance.decode)))
        made = dict.fromkeys(MOVES, 0)
        for _ in range(8):
            for name, (move, _) in MOVES.items():
                guide = move(merit, now, rng)
                if guide is not None:
                    made[name] += 1
                    now = merit(guide)
                    assert verify(instance, merit.evaluator.schedule(guide, "x")).ok, name
        idle = {"req(0.5)": set(), "misses(1.5)": {"drop-by-rule"}, "mean_ratio": {"drop-by-rule", "swap-dropped"}}
        assert {name for name in MOVES if not made[name]} <= idle[text], made


def test_a_run_that_is_cut_short_leaves_no_trace() -> None:
    instance = drawn(3, workflows=8)
    merit = Merit(read_objective("max_ratio"), Evaluator(offline_problem(instance)))
    guide = plain_guide(merit.evaluator.tail, 8, len(instance.decode))
    assert merit(guide, limit=1e-3) is None
    now = merit(guide)
    assert now is not None
    assert merit(guide, limit=now.energy * 0.9) is None
    again = merit(guide, limit=now.energy * (1 + 1e-9))
    assert again is not None
    assert np.array_equal(again.ratio, now.ratio)
    fresh = Merit(read_objective("max_ratio"), Evaluator(offline_problem(instance)))(guide)
    assert fresh is not None
    assert np.array_equal(fresh.ratio, now.ratio)


def test_a_limit_cuts_exactly_what_is_above_it() -> None:
    rng = np.random.default_rng(1)
    for seed in range(4):
        merit = Merit(read_objective("req(0.7)"), Evaluator(offline_problem(drawn(seed, workflows=8))))
        base = merit(plain_guide(merit.evaluator.tail, 8, len(merit.evaluator.max_batch)))
        assert base is not None
        for _ in range(20):
            guide = base.guide.but(key=rng.permutation(base.guide.key))
            whole, cut = merit(guide), merit(guide, limit=base.energy)
            assert whole is not None
            assert (cut is None) == (whole.energy > base.energy)


def at_once(schedule: Schedule, decode_instance: str) -> int:
    """Most calls admitted and not completed at the same time."""
    rows = [row for row in schedule.calls if row.decode_instance == decode_instance]
    return max((sum(x.admitted <= row.admitted < x.decode_end for x in rows) for row in rows), default=0)


@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
def test_caps_hold(decode_model: str) -> None:
    for seed in range(3):
        instance = drawn(seed, decode_model, workflows=8)
        e = Evaluator(offline_problem(instance))
        free = plain_guide(e.tail, 8, len(e.max_batch))
        for cap in (1, 2):
            guide = free.but(caps=np.full(len(e.max_batch), cap))
            schedule = e.schedule(guide, "x")
            assert verify(instance, schedule).ok
            assert all(at_once(schedule, j.id) <= cap for j in instance.decode)
        again, first = e(free), Evaluator(offline_problem(instance))(free)
        assert again is not None
        assert first is not None
        assert np.array_equal(again, first)  # caps are forgotten


def test_caps_of_a_pace_are_the_largest_batches_that_keep_it() -> None:
    instance = drawn(0)
    e = Evaluator(offline_problem(instance))
    fastest, slowest = e.token_seconds
    assert fastest < slowest
    curves = [[e._state.seen.batch_seconds[j, b] for b in range(int(m) + 1)] for j, m in enumerate(e.max_batch)]
    for seconds in (fastest / 2, fastest, (fastest + slowest) / 2, slowest):
        for cap, curve in zip(e.caps_at(seconds), curves, strict=True):
            assert cap == max([1, *(b for b in range(1, len(curve)) if curve[b] <= seconds)])
    assert Evaluator(offline_problem(drawn(0, "fixed"))).token_seconds == (1.0, 1.0)


def test_a_run_may_end_before_the_workflows_that_are_dropped() -> None:
    for seed in range(4):
        instance = drawn(seed, workflows=8)
        e = Evaluator(offline_problem(instance))
        guide = plain_guide(e.tail, 8, len(e.max_batch)).but(dropped=np.arange(8) % 3 == 0)
        whole, kept = e(guide), e(guide, kept_only=True)
        assert whole is not None
        assert kept is not None
        assert np.array_equal(kept[~guide.dropped], whole[~guide.dropped])
        assert np.isinf(kept[guide.dropped]).all()
        held = guide.but(
            wait=np.where(e.workflow == 1, 2 * e.end, 0.0)
        )  # now those that are dropped are through before
        last = e(held, kept_only=True)
        assert last is not None
        assert np.isinf(last[1])
        assert np.isinf(Merit(read_objective("max_ratio"), e).of(last)).all()


@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
@pytest.mark.parametrize("text", ["req(0.7)", "mean_ratio"])
def test_tuned_rules_lead_to_schedules_that_only_get_better(text: str, decode_model: str) -> None:
    for seed in range(3):
        instance = drawn(seed, decode_model, workflows=8)
        merit = Merit(read_objective(text), Evaluator(offline_problem(instance)))
        _, guide = next(iter(rules(merit)))
        start = merit(guide)
        assert start is not None
        tuner = Tuner(merit, start, np.random.SeedSequence(seed))
        told = [tuner.best]
        tuner.run(200, lambda: False, told.append)
        energies = [outcome.energy for outcome in told]
        assert energies == sorted(energies, reverse=True)
        assert tuner.best.energy <= energies[0]
        assert verify(instance, merit.evaluator.schedule(tuner.best.guide, "x")).ok
        assert tuner.best.guide.dropped.sum() in (0, merit.may_drop)


def test_the_rule_of_a_plan_changes_nothing() -> None:
    merit = Merit(read_objective("req(0.7)"), Evaluator(offline_problem(drawn(1, workflows=8))))
    guide = plain_guide(merit.evaluator.tail, 8, len(merit.evaluator.max_batch)).but(
        dropped=np.arange(8) == 3, pace=1.5
    )
    same = guide_of(merit, rule_of(merit, guide))
    for name in ("key", "later", "wait", "prefills", "decodes", "dropped", "caps"):
        assert np.array_equal(getattr(same, name), getattr(guide, name))
    assert (same.crowding, same.pace) == (guide.crowding, guide.pace)


@pytest.mark.parametrize("seed", range(6))
def test_a_search_goes_on_from_the_plan_of_another(seed):
    instance = corner_instance(np.random.default_rng(seed), workflows=(2, 6))
    first = search(instance, "mean_ratio", start=["fcfs"], evaluations=40, time_limit=10, workers=1)
    start = [first.schedule] if first.guide is None else [first.schedule, first.guide]
    again = search(instance, "mean_ratio", start=start, evaluations=1, time_limit=10, workers=1)
    assert again.value <= first.value
    assert first.guide is None or "guide 0" in again.starts
