"""Three memories: who may read and write what, and what the search may leave as it is between two runs."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from instances import corner_instance

from hexsched.engine.horizon import standalone_horizons
from hexsched.engine.state import arrays
from hexsched.engine.tables import build_state, workload_columns
from hexsched.engine.wallclock import new_histogram
from hexsched.policies import read_policy
from hexsched.policies.decide import each_time, run_epochs
from solvers.problem.offline import offline_problem
from solvers.schedules.search.evaluator import Evaluator
from solvers.schedules.search.guide import plain_guide

pytestmark = pytest.mark.quick

HEXSCHED = Path(__file__).resolve().parents[1] / "hexsched"


def run(name: str, seed: int, spoil: bool) -> tuple[bytes, list[bool]]:
    """The calls after a run, and whether each constant is as it was; ``spoil`` fills scratch with nonsense before."""
    instance = corner_instance(np.random.default_rng(seed), workflows=(5, 8), calls=(2, 5))
    workload, _ = workload_columns(instance)
    policy = read_policy(name)
    state = build_state(instance, workload)
    state.truth.workflows.horizon = standalone_horizons(instance, workload)
    memory = policy.memory(state.seen, seed)
    if spoil:
        for array in arrays(state, "scratch") + arrays(memory, "scratch"):
            array.view(np.uint8).fill(0x5A)
    before = [array.tobytes() for array in arrays(state, "constant") + arrays(memory, "constant")]
    given = (state, memory, policy.settings(), 1000, new_histogram(), np.zeros(2, np.int64))
    for _ in each_time(run_epochs, *given):
        pass
    after = [array.tobytes() for array in arrays(state, "constant") + arrays(memory, "constant")]
    return state.seen.calls.tobytes(), [a == b for a, b in zip(before, after, strict=True)]


@pytest.mark.parametrize("seed", range(3))
def test_constants_stay_and_scratch_does_not_matter(policy_name, seed):
    calls, constant = run(policy_name, seed, spoil=False)
    assert all(constant)
    assert run(policy_name, seed, spoil=True)[0] == calls


def test_what_no_array_may_change_is_read_only():
    instance = corner_instance(np.random.default_rng(1))
    state = build_state(instance, workload_columns(instance)[0])
    for array in (state.seen.batch_seconds, state.seen.pairs, state.truth.children, state.truth.parents):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize("seed", range(4))
def test_a_run_of_the_search_is_the_same_after_others_and_with_spoilt_scratch(seed):
    instance = corner_instance(np.random.default_rng(seed), workflows=(5, 8), calls=(2, 5))
    first, used = Evaluator(offline_problem(instance)), Evaluator(offline_problem(instance))
    rng = np.random.default_rng(seed)
    outcomes = [
        plain_guide(rng.normal(size=len(used.workflow)), len(used.arrival), len(used.max_batch)).but(crowding=crowding)
        for crowding in (0.0, 0.3, 0.0)
    ]
    for guide in outcomes:
        used(guide)
    for array in arrays(used._state, "scratch") + arrays(used._memory, "scratch"):
        array.view(np.uint8).fill(0x5A)
    assert used(outcomes[0]).tobytes() == first(outcomes[0]).tobytes()


def attributes(file: Path) -> set[str]:
    """Every attribute that a file reads."""
    return {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}


def test_policies_reach_what_is_true_through_actions_alone():
    for file in (HEXSCHED / "policies").rglob("*.py"):
        assert not attributes(file) & {"truth", "targets", "next_completion"}, file
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hexsched.engine"):
                assert "Truth" not in {name.name for name in node.names}, file
                if node.module == "hexsched.engine.loop":
                    assert {name.name for name in node.names} == {"advance"}, file


def test_the_engine_names_no_policy_and_no_memory_of_one():
    for file in (HEXSCHED / "engine").rglob("*.py"):
        assert "memory" not in attributes(file), file
        text = file.read_text().lower()
        assert not [name for name in ("plas", "atlas", "hexagent(", "fcfs", "round-robin") if name in text], file
