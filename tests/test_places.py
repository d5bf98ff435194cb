"""Calls that change places one by one: never worse, always schedules, and better than any guide found."""

from __future__ import annotations

import numpy as np
import pytest

from hexsched.clusters import compile_instance, read_cluster
from hexsched.simulator import simulate
from hexsched.verifier import verify
from hexsched.workloads.families import generate
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem
from solvers.schedules.search import search
from solvers.schedules.search.evaluator import Evaluator
from solvers.schedules.search.merit import Merit
from solvers.schedules.search.places import MOVES, Places, held_back
from solvers.schedules.search.starts import decisions_of
from solvers.schedules.search.tuning import Tuning


def places(objective, decode_model="fluid", seed=0):
    flows = generate("react", workflows=6, seed=1)
    instance = compile_instance(read_cluster("demo"), flows, decode_model=decode_model)
    problem = offline_problem(instance)
    merit = Merit(read_objective(objective), Evaluator(problem))
    schedule = simulate(instance, "fcfs").schedule
    start = decisions_of(merit.evaluator, schedule)
    ratio = merit.evaluator.replay(start)
    if merit.may_drop:
        worst = np.argsort(-ratio)[: merit.may_drop]
        start.dropped[worst] = True
        start = held_back(merit, start)
        ratio = merit.evaluator.replay(start, np.inf, merit.may_drop, True)
    return instance, Places(merit, start, ratio, np.random.SeedSequence(seed))


@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
@pytest.mark.parametrize("objective", ["max_ratio", "req(0.7)", "mean_ratio"])
def test_what_is_found_is_a_schedule_of_that_value(objective, decode_model):
    instance, search_of_places = places(objective, decode_model)
    before, told = search_of_places.value, []
    search_of_places.run(300, lambda: False, lambda: told.append(search_of_places.value))
    assert search_of_places.value < before
    assert told == sorted(told, reverse=True)
    assert told[-1] == search_of_places.value
    assert (search_of_places.tried, search_of_places.helped > 0) == (300, True)
    evaluator = search_of_places.merit.evaluator
    schedule = evaluator.schedule(search_of_places.best, "places")
    assert verify(instance, schedule).ok
    problem = evaluator.problem
    value = read_objective(objective).value(problem.arrival, problem.completed(schedule), problem.horizon)
    assert value <= search_of_places.value * (1 + 1e-9)
    assert search_of_places.best.dropped.sum() == search_of_places.merit.may_drop


def test_the_same_seed_goes_the_same_way_and_stops_when_told():
    found = [places("req(0.7)", seed=seed)[1] for seed in (1, 1, 2)]
    for each in found:
        each.run(60, lambda: False, lambda: None)
    assert found[0].value == found[1].value
    assert all(np.array_equal(a, b) for a, b in zip(found[0].now, found[1].now, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(found[0].now, found[2].now, strict=True))
    stopped = places("req(0.7)")[1]
    stopped.run(60, lambda: stopped.tried >= 7, lambda: None)
    assert stopped.tried == 7


@pytest.mark.parametrize("name", MOVES)
def test_a_move_changes_what_it_says_and_copies_it(name):
    _, at = places("req(0.7)")
    at.decodes = [np.array([1])] * len(at.decodes)
    before = [values.copy() for values in at.now]
    changed = set()
    for c in range(len(at.now.start)):
        moved = MOVES[name](at, c)
        if moved is None:
            continue
        changed |= {field for field in moved._fields if getattr(moved, field) is not getattr(at.now, field)}
        if name == "decode-elsewhere":
            assert moved.decode[c] == 1
        if name == "drop-another":
            assert moved.dropped[at.merit.evaluator.workflow[c]]
            assert moved.dropped.sum() == at.merit.may_drop
    fields = {
        "prefill-elsewhere": {"prefill"},
        "decode-elsewhere": {"decode"},
        "earlier-or-later": {"start"},
        "swap": {"prefill", "start"},
        "drop-another": {"dropped", "start", "admitted"},
    }
    assert changed == fields[name]
    assert all(np.array_equal(a, b) for a, b in zip(before, at.now, strict=True))


def test_a_search_that_is_stuck_goes_on_with_places():
    instance, _ = places("max_ratio")
    tuning = Tuning(patience=20, rules=0)
    found = search(instance, "max_ratio", evaluations=600, workers=1, time_limit=1e6, tuning=tuning)
    assert found.moves["place"].tried > 0
    without = search(
        instance, "max_ratio", evaluations=600, workers=1, time_limit=1e6, tuning=tuning, with_neighbourhoods=False
    )
    assert "place" not in without.moves
