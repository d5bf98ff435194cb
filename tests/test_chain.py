"""Lower bound <= optimum <= every schedule in the corners of the model (M27): a share of ``campaigns.chain``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from campaigns.chain.corners import CORNERS, draw
from campaigns.chain.examine import Effort, examine

from solvers.bounds import BOUNDS

EFFORT = Effort(
    policies=("hexagent", "fcfs", "sjf@jsq", "workflow-llf", "atlas"),
    linear_program=0.02,
    any_time=0.02,
    exact=0.0,
    all_tried=2_000,
    steps=50,
    evaluations=10,
)
QUICK = replace(EFFORT, linear_program=0.0, any_time=0.0)


@pytest.mark.filterwarnings("ignore:.*linear programs of more than")
def test_nothing_contradicts_anything() -> None:
    """One instance of every corner, the decode models in turn; bounds that take longer on some of them."""
    compared, tried, wrong = 0, 0, []
    for number in range(len(CORNERS)):
        name, instance = draw(number + (number % 2) * len(CORNERS))
        found = examine(instance, number, EFFORT if number % 5 == 0 else QUICK)
        wrong += [f"{name}: {sentence}" for sentence in found.wrong]
        compared += found.bounds
        tried += found.optima
    assert wrong == []
    assert compared > 2 * len(CORNERS)
    assert tried > 0


def test_a_bound_above_a_schedule_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    load = BOUNDS["load"]
    monkeypatch.setattr(type(load), "value", lambda self, *_: 1e30)
    found = examine(draw(1)[1], 1, EFFORT)
    assert any("load says at least" in sentence for sentence in found.wrong)
