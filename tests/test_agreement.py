"""All formulations, bounds and policies agree; ``python -m reference.agreement`` says so over hundreds of instances."""

from __future__ import annotations

import pytest
from reference import agreement
from reference.agreement import KINDS, OBJECTIVES, Findings, draw, examine

from hexsched.policies import policies
from solvers.bounds import BOUNDS
from solvers.problem.offline import fixed_problem

QUICK = ("cpsat", "milp_disjunctive")  # what proves these optima in tenths of a second


SLOW = (3, 4, *range(12, 60))  # seeds 3 and 4 take half a minute and a whole one


@pytest.mark.usefixtures("coarse_bounds")
@pytest.mark.parametrize(
    "seed",
    [*(seed for seed in range(12) if seed not in SLOW), *(pytest.param(s, marks=pytest.mark.campaign) for s in SLOW)],
)
def test_everything_agrees(seed: int) -> None:
    _, instance = draw(seed)
    text = list(OBJECTIVES)[seed % len(OBJECTIVES)]
    found = examine(instance, text, 10.0, 0.5, QUICK)
    assert found.wrong == []
    assert "cpsat" in found.optimal
    assert found.policies == len(policies())
    assert 0 < found.bounds <= len(BOUNDS)


def test_instances_are_of_every_kind() -> None:
    problems = {}
    for seed in range(4 * len(KINDS)):
        kind, instance = draw(seed)
        problems.setdefault(kind, []).append(fixed_problem(instance))
        assert 1 <= problems[kind][-1].calls <= 8
    assert set(problems) == set(KINDS)
    assert all(len(p.parents[c]) <= 1 for p in problems["chains"] for c in range(p.calls))
    assert all(p.max_batch.max() == 1 for p in problems["unary"])
    assert all(p.delay.max() == 0 for p in problems["no-delays"])
    assert all(p.arrival.max() == 0 for p in problems["together"])
    assert any(p.kv.sum() > p.capacity.max() for p in problems["kv-tight"])


def test_a_disagreement_is_told() -> None:
    found = Findings(optimal={"a": 1.5, "b": 1.2})
    agreement._compare(found, {"low": 1.19, "high": 1.21}, {"a": 1.5, "b": 1.2, "policy": 1.3})
    assert found.wrong == [
        "high says at least 1.21, but b has 1.2",
        "a says that 1.5 is optimal, but b has 1.2",
    ]
