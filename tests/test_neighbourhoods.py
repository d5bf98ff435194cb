"""Windows of a schedule solved with CP-SAT: decisions that the engine carries out, never worse than before."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instance, one_pair, tiny_flow_shop, workflow
from msgspec.structs import replace
from ortools.sat.python import cp_model
from reference import random_instance
from reference.exhaustive import largest, optima

from hexsched.model import Instance
from hexsched.simulator import retime, simulate
from hexsched.verifier import verify
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem
from solvers.schedules.search import search
from solvers.schedules.search.evaluator import Evaluator
from solvers.schedules.search.merit import Merit
from solvers.schedules.search.neighbourhood_model import Shop
from solvers.schedules.search.neighbourhoods import Carried, Neighbourhoods, carry_out
from solvers.schedules.search.run import NEIGHBOURHOOD
from solvers.schedules.search.starts import decisions_of
from solvers.schedules.search.tuning import Tuning

OBJECTIVES = ("max_ratio", "req(0.7)", "mean_ratio", "mean_latency")
POLICIES = ("fcfs", "hexagent", "fcfs@random", "edf@jsq")


def contended(seed: int, decode_model: str, workflows: int = 6) -> Instance:
    rng = np.random.default_rng(seed)
    found = random_instance(rng, decode_model=decode_model, workflows=(workflows, workflows), calls=(2, 4))
    return replace(found, workflows=tuple(replace(w, arrival=w.arrival / 20) for w in found.workflows))


def neighbourhoods(instance: Instance, text: str, policy: str = "fcfs", seed: int = 0) -> Neighbourhoods:
    merit = Merit(read_objective(text), Evaluator(offline_problem(instance)))
    shop = Shop(merit.evaluator)
    start = carry_out(merit, shop, decisions_of(merit.evaluator, simulate(instance, policy).schedule))
    assert start is not None
    return Neighbourhoods(merit, shop, start, np.random.SeedSequence(seed))


def improve(of: Neighbourhoods, count: int) -> list[Carried]:
    told: list[Carried] = []
    of.run(count, lambda: 100.0, told.append)
    return told


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(POLICIES))
def test_decisions_are_carried_out_as_the_simulator_replays_them(seed, policy):
    instance = corner_instance(np.random.default_rng(seed))
    schedule = simulate(instance, policy, seed=1).schedule
    e = Evaluator(offline_problem(instance))
    carried = e.schedule(decisions_of(e, schedule), "x")
    assert verify(instance, carried).ok
    again = {(row.workflow_id, row.call_id): row for row in retime(instance, schedule).calls}
    for row in carried.calls:
        one = again[row.workflow_id, row.call_id]
        assert (row.prefill_instance, row.decode_instance) == (one.prefill_instance, one.decode_instance)
        assert row.decode_end == pytest.approx(one.decode_end, rel=1e-9)


def test_orders_that_wait_for_each_other_have_no_end():
    chained = workflow("w", 0.0, call("a", 50, 10), call("b", 50, 10, "a"))
    e = Evaluator(offline_problem(one_pair(chained, workflow("v", 0.0, call("a", 5, 5)))))
    good = decisions_of(e, simulate(e.instance, "fcfs").schedule)
    ratio = e.replay(good._replace(start=-good.start))
    assert ratio is not None
    assert math.inf in ratio
    for text in ("max_ratio", "req(0.5)", "mean_ratio"):  # whatever the objective looks at
        merit = Merit(read_objective(text), e)
        assert carry_out(merit, Shop(e), good._replace(start=-good.start)) is None
        assert carry_out(merit, Shop(e), good) is not None  # and that leaves no trace


def test_what_is_worse_than_the_limit_is_not_taken():
    for text in OBJECTIVES:
        merit = Merit(read_objective(text), Evaluator(offline_problem(contended(0, "fluid"))))
        e, shop = merit.evaluator, Shop(merit.evaluator)
        made = decisions_of(e, simulate(e.instance, "fcfs").schedule)
        known = carry_out(merit, shop, made)
        assert known is not None
        assert carry_out(merit, shop, made, known.energy * (1 + 1e-9)) is not None
        assert carry_out(merit, shop, made, known.energy * (1 - 1e-9)) is None


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["fluid", "fixed"]),
    st.sampled_from(OBJECTIVES),
    st.sampled_from(POLICIES),
)
def test_neighbourhoods_lead_to_schedules_that_only_get_better(seed, decode_model, text, policy):
    instance = corner_instance(np.random.default_rng(seed), decode_model=decode_model, workflows=(2, 6))
    search = neighbourhoods(instance, text, policy)
    energies, before = [], search.now
    for _ in range(6):
        told = improve(search, 1)
        assert all(now.value < before.value for now in told)
        before = search.now
        energies.append(before.energy)
        found = search.merit.evaluator.schedule(before.seen.decisions, "x")
        assert verify(instance, found).ok
        aim, e = search.merit.aim, search.merit.evaluator
        assert aim.value(e.arrival, e.problem.completed(found), e.horizon) == pytest.approx(before.value, rel=1e-9)
    assert energies == sorted(energies, reverse=True)
    assert search.tried == 6


def test_the_schedule_as_it_was_is_a_solution_of_every_neighbourhood(monkeypatch):
    """So CP-SAT never finds a window infeasible, and never anything worse than what was."""
    seen = []
    solver_class = cp_model.CpSolver

    class Watched(solver_class):
        def solve(self, model):
            hinted = model.clone()
            names = list(hinted.proto.solution_hint.vars)
            for k, v in zip(names, hinted.proto.solution_hint.values, strict=True):
                variable = hinted.get_int_var_from_proto_index(k)
                hinted.add(variable == v)
            fixed = solver_class()
            fixed.parameters.num_workers = 1
            fixed.parameters.catch_sigint_signal = False
            assert fixed.solve(hinted) == cp_model.OPTIMAL
            status = super().solve(model)
            assert status in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.UNKNOWN)
            if status != cp_model.UNKNOWN:
                seen.append((self.objective_value, fixed.objective_value))
            return status

    monkeypatch.setattr(cp_model, "CpSolver", Watched)
    for seed in range(2):
        for decode_model in ("fluid", "fixed"):
            ties = corner_instance(
                np.random.default_rng(seed), decode_model=decode_model, arrivals="together", delays="none"
            )
            for text in OBJECTIVES:
                improve(neighbourhoods(contended(seed, decode_model), text, "fcfs@random"), 3)
                improve(neighbourhoods(ties, text, "fcfs@random"), 3)
    assert len(seen) > 50
    assert all(found <= before for found, before in seen)
    assert sum(found < before for found, before in seen) > 10


def test_workflows_of_very_different_length_have_neighbourhoods_too(monkeypatch):
    statuses = []
    solver_class = cp_model.CpSolver

    class Watched(solver_class):
        def solve(self, model):
            statuses.append(super().solve(model))
            return statuses[-1]

    monkeypatch.setattr(cp_model, "CpSolver", Watched)
    chained = [call(f"c{k}", 5_000, 2_000, *([f"c{k - 1}"] if k else [])) for k in range(40)]
    short = [workflow(f"s{k}", 0.1 * k, call("c", 5, 1)) for k in range(8)]
    for text in OBJECTIVES:
        improve(neighbourhoods(one_pair(workflow("long", 0.0, *chained), *short, kv_capacity_tokens=50_000), text), 4)
    assert cp_model.MODEL_INVALID not in statuses
    assert len(statuses) >= len(OBJECTIVES)


@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
@pytest.mark.parametrize("text", ["max_ratio", "mean_ratio"])
def test_neighbourhoods_mend_bad_schedules(text, decode_model):
    gains = []
    for seed in range(2):
        search = neighbourhoods(contended(seed, decode_model), text, "fcfs@random")
        before = search.now.value
        improve(search, 20)
        gains.append(search.now.value / before)
    assert np.mean(gains) < 0.9


def test_neighbourhoods_never_beat_the_exhaustive_optimum():
    reached = 0
    for seed in range(6):
        instance = tiny_flow_shop(seed)
        best = optima(instance, {"max_ratio": largest})["max_ratio"]
        search = neighbourhoods(instance, "max_ratio", "fcfs@random")
        improve(search, 20)
        assert search.now.value >= best * (1 - 1e-9)
        reached += search.now.value <= best * (1 + 1e-9)
    assert reached >= 5


def test_same_seed_same_neighbourhoods():
    instance = contended(1, "fluid")
    found = [neighbourhoods(instance, "req(0.7)", seed=seed) for seed in (3, 3, 4)]
    for one in found:
        improve(one, 12)
    values = [(one.now.energy, one.tried, one.helped) for one in found]
    assert values[0] == values[1]
    assert values[0] != values[2]


def test_a_search_that_is_stuck_goes_on_by_neighbourhoods():
    instance, tuning = contended(2, "fluid"), Tuning(patience=3)
    runs = [
        search(instance, "mean_ratio", evaluations=4000, workers=workers, seed=1, tuning=tuning) for workers in (1, 2)
    ]
    assert runs[0].moves == runs[1].moves
    assert runs[0].schedule == runs[1].schedule
    assert runs[0].moves[NEIGHBOURHOOD].tried >= 2
    assert verify(instance, runs[0].schedule).ok
    for text, with_neighbourhoods in (("mean_ratio", False), ("misses(1.5)", True)):
        without = search(
            instance, text, evaluations=4000, seed=1, with_neighbourhoods=with_neighbourhoods, tuning=tuning
        )
        assert NEIGHBOURHOOD not in without.moves


def test_neighbourhoods_keep_to_the_evaluations_and_leave_the_rest_to_local_search():
    def go(evaluations, tuning):
        return search(contended(2, "fluid"), "mean_ratio", evaluations=evaluations, workers=1, seed=1, tuning=tuning)

    for evaluations in (1200, 2000):
        assert evaluations - 2 <= go(evaluations, Tuning(patience=3)).evaluations <= evaluations + 2
    # no time for neighbourhoods to gain anything
    result = go(2000, Tuning(patience=3, neighbourhood_patience=1))
    assert 1998 <= result.evaluations <= 2002
    assert result.moves[NEIGHBOURHOOD].tried <= 2 + result.moves[NEIGHBOURHOOD].helped


def test_ctrl_c_after_a_neighbourhood_reaches_python():
    script = """
import signal
from test_neighbourhoods import contended, improve, neighbourhoods
search = neighbourhoods(contended(0, "fluid"), "mean_ratio", "fcfs@random")
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the shell has told this process to ignore
improve(search, 2)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print(search.tried)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "2"), done.stderr


def test_one_call_leaves_nothing_to_change():
    search = neighbourhoods(one_pair(workflow("w", 0.0, call("a", 10, 5))), "max_ratio")
    improve(search, 3)
    assert (search.now.value, search.helped) == (pytest.approx(1.0), 0)
