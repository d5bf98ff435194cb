"""Bounds of small instances: below what schedules reach, as good as they were, and what they are made of."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from reference.exhaustive import largest, mean_latency, mean_ratio, misses, optima, required

from checks.naive import play
from checks.small_bounds import (
    ANY_TIME,
    LARGER,
    OBJECTIVES,
    SEEDS,
    STORED,
    bound_names,
    dense,
    priced,
    problem,
    programs,
    values,
)
from solvers.bounds import BOUNDS
from solvers.problem.objective import read_objective

pytestmark = pytest.mark.quick

KNOWN = json.loads(STORED.read_text())
EXACT = dict(zip(OBJECTIVES, (largest, required("0.5"), mean_ratio, mean_latency, misses(1.3)), strict=True))


def test_every_bound_is_among_them() -> None:
    assert {*bound_names(), *ANY_TIME} == set(BOUNDS)
    assert {name for name in KNOWN if " " not in name} == set(bound_names())


@pytest.mark.parametrize("name", bound_names())
def test_a_bound_is_as_good_as_it_was(name: str) -> None:
    assert values(name) == pytest.approx(KNOWN[name], rel=1e-7)


@pytest.mark.parametrize("seed", LARGER)
def test_cheapest_schedules_at_given_prices_cost_and_use_what_they_did(seed: int) -> None:
    compare(priced(seed), KNOWN[f"prices {seed}"])


@pytest.mark.parametrize("seed", LARGER)
def test_prices_that_change_often_cost_what_they_did(seed: int) -> None:
    compare(dense(seed), KNOWN[f"dense {seed}"])


@pytest.mark.parametrize("seed", LARGER)
def test_linear_programs_are_what_they_were(seed: int) -> None:
    compare(programs(seed), KNOWN[f"programs {seed}"])


def compare(found: dict[str, list[float]], known: dict[str, list[float]]) -> None:
    assert list(found) == list(known)
    for name, numbers in known.items():
        assert found[name] == pytest.approx(numbers, rel=1e-7, abs=1e-9 * max(map(abs, numbers), default=0.0)), name


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_stored_is_below_every_schedule(seed: int) -> None:
    """The optimum by trying everything in ``fixed``, and the best of some schedules in ``fluid``."""
    own = problem(seed)
    if own.fluid:
        best = dict.fromkeys(OBJECTIVES, math.inf)
        for k in range(10):
            plan = play(own.instance, np.random.default_rng(k)).schedule
            for text in OBJECTIVES:
                value = read_objective(text).value(own.arrival, own.completed(plan), own.horizon)
                best[text] = min(best[text], value)
    else:
        best = optima(own.instance, EXACT)
    for name in bound_names():
        for text in OBJECTIVES:
            if f"{seed} {text}" in KNOWN[name]:
                assert KNOWN[name][f"{seed} {text}"] <= best[text] * (1 + 1e-9), (name, text)
