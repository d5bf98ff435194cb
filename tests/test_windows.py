"""Windows of a schedule solved with CP-SAT: decisions that the engine carries out, never worse than before."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instance, one_pair, tiny_flow_shop, workflow
from msgspec.structs import replace
from reference import random_instance
from reference.exhaustive import largest, optima

from hexsched.model import Instance
from hexsched.simulator import retime, simulate
from hexsched.verifier import verify
from solvers.objective import objective
from solvers.search import chain, search, window_model
from solvers.search.evaluator import Evaluator
from solvers.search.merit import Merit
from solvers.search.run import WINDOW
from solvers.search.starts import decisions_of
from solvers.search.windows import Carried, Windows

OBJECTIVES = ("max_ratio", "req(0.7)", "mean_ratio", "mean_latency", "misses(1.5)")
POLICIES = ("fcfs", "hexagent", "fcfs@random", "edf@jsq")


def contended(seed: int, decode_model: str, workflows: int = 6) -> Instance:
    rng = np.random.default_rng(seed)
    found = random_instance(rng, decode_model=decode_model, workflows=(workflows, workflows), calls=(2, 4))
    return replace(found, workflows=tuple(replace(w, arrival=w.arrival / 20) for w in found.workflows))


def windows(instance: Instance, text: str, policy: str = "fcfs", seed: int = 0) -> Windows:
    merit = Merit(objective(text), Evaluator(instance))
    start = decisions_of(merit.evaluator, simulate(instance, policy).schedule)
    return Windows(merit, start, np.random.SeedSequence(seed))


def improve(of: Windows, count: int) -> list[Carried]:
    told: list[Carried] = []
    of.run(count, lambda: 100.0, told.append)
    return told


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(POLICIES))
def test_decisions_are_carried_out_as_the_simulator_replays_them(seed, policy):
    instance = corner_instance(np.random.default_rng(seed))
    schedule = simulate(instance, policy, seed=1).schedule
    e = Evaluator(instance)
    carried = e.schedule(decisions_of(e, schedule), "x")
    assert verify(instance, carried).ok
    again = {(row.workflow_id, row.call_id): row for row in retime(instance, schedule).calls}
    for row in carried.calls:
        one = again[row.workflow_id, row.call_id]
        assert (row.prefill_instance, row.decode_instance) == (one.prefill_instance, one.decode_instance)
        assert row.decode_end == pytest.approx(one.decode_end, rel=1e-9)


def test_orders_that_wait_for_each_other_have_no_end():
    chained = workflow("w", 0.0, call("a", 50, 10), call("b", 50, 10, "a"))
    e = Evaluator(one_pair(chained, workflow("v", 0.0, call("a", 5, 5))))
    good = decisions_of(e, simulate(e.instance, "fcfs").schedule)
    ratio = e.replay(good._replace(start=-good.start))
    assert ratio is not None
    assert math.inf in ratio
    assert e.replay(good) is not None  # and it leaves no trace


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["fluid", "fixed"]),
    st.sampled_from(OBJECTIVES),
    st.sampled_from(POLICIES),
)
def test_windows_lead_to_schedules_that_only_get_better(seed, decode_model, text, policy):
    instance = corner_instance(np.random.default_rng(seed), decode_model=decode_model, workflows=(2, 6))
    search = windows(instance, text, policy)
    energies, before = [], search.now
    for _ in range(6):
        told = improve(search, 1)
        assert all(now.value < before.value for now in told)
        before = search.now
        energies.append(before.energy)
        found = search.merit.evaluator.schedule(before.seen.decisions, "x")
        assert verify(instance, found).ok
        aim, e = search.merit.aim, search.merit.evaluator
        assert aim.value(e.arrival, e.completed(found), e.horizon) == pytest.approx(before.value, rel=1e-9)
    assert energies == sorted(energies, reverse=True)
    assert search.tried == 6


def test_the_schedule_as_it_was_is_a_solution_of_every_window(monkeypatch):
    """So CP-SAT never finds a window infeasible, and never anything worse than what was."""
    seen = []
    solver_class = window_model.cp_model.CpSolver

    class Watched(solver_class):
        def solve(self, model):
            hinted = model.clone()
            names = list(hinted.proto.solution_hint.vars)
            for k, v in zip(names, hinted.proto.solution_hint.values, strict=True):
                variable = hinted.get_int_var_from_proto_index(k)
                hinted.add(variable == v)
            fixed = solver_class()
            fixed.parameters.num_workers = 1
            assert fixed.solve(hinted) == window_model.cp_model.OPTIMAL
            status = super().solve(model)
            if status in (window_model.cp_model.OPTIMAL, window_model.cp_model.FEASIBLE):
                seen.append((self.objective_value, fixed.objective_value))
            return status

    monkeypatch.setattr(window_model.cp_model, "CpSolver", Watched)
    for seed in range(3):
        for decode_model in ("fluid", "fixed"):
            for text in OBJECTIVES:
                improve(windows(contended(seed, decode_model), text, "fcfs@random"), 3)
    assert len(seen) > 50
    assert all(found <= before for found, before in seen)
    assert sum(found < before for found, before in seen) > 10


@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
@pytest.mark.parametrize("text", ["max_ratio", "mean_ratio"])
def test_windows_mend_bad_schedules(text, decode_model):
    gains = []
    for seed in range(3):
        search = windows(contended(seed, decode_model), text, "fcfs@random")
        before = search.now.value
        improve(search, 25)
        gains.append(search.now.value / before)
    assert np.mean(gains) < 0.9


def test_windows_never_beat_the_exhaustive_optimum():
    reached = 0
    for seed in range(6):
        instance = tiny_flow_shop(seed)
        best = optima(instance, {"max_ratio": largest})["max_ratio"]
        search = windows(instance, "max_ratio", "fcfs@random")
        improve(search, 20)
        assert search.now.value >= best * (1 - 1e-9)
        reached += search.now.value <= best * (1 + 1e-9)
    assert reached >= 5


def test_same_seed_same_windows():
    instance = contended(1, "fluid")
    found = [windows(instance, "req(0.7)", seed=seed) for seed in (3, 3, 4)]
    for one in found:
        improve(one, 12)
    values = [(one.now.energy, one.tried, one.helped) for one in found]
    assert values[0] == values[1]
    assert values[0] != values[2]


def test_a_search_that_is_stuck_goes_on_by_windows(monkeypatch):
    monkeypatch.setattr(chain, "PATIENCE", 3)
    instance = contended(2, "fluid")
    runs = [search(instance, "mean_ratio", evaluations=2000, workers=workers, seed=1) for workers in (1, 2)]
    assert runs[0].moves == runs[1].moves
    assert runs[0].schedule == runs[1].schedule
    assert runs[0].moves[WINDOW].tried >= 2
    assert verify(instance, runs[0].schedule).ok
    without = search(instance, "mean_ratio", evaluations=2000, workers=1, seed=1, with_windows=False)
    assert WINDOW not in without.moves


def test_one_call_leaves_nothing_to_change():
    search = windows(one_pair(workflow("w", 0.0, call("a", 10, 5))), "max_ratio")
    improve(search, 3)
    assert (search.now.value, search.helped) == (pytest.approx(1.0), 0)
