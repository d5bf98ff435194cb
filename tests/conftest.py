"""What tests share: seeded hypothesis runs, a registry left as it was found, the list of policies under test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from hexsched.baselines import BASELINES, HEXAGENT
from hexsched.policies import PLACEMENTS, order, policies, unregister
from hexsched.registry import Registry
from hexsched.simulator import simulate
from hexsched.simulator.warm_up import tiny_instance
from solvers.bounds import BOUNDS, time_indexed_lp
from solvers.bounds.prices.bound import market_until, relax
from solvers.bounds.windows import window_bound
from solvers.bounds.windows.window_lp import Level
from solvers.exact import FORMULATIONS
from solvers.problem.offline import offline_problem
from solvers.schedules.search.evaluator import Evaluator
from solvers.schedules.search.guide import plain_guide

REGISTRIES: tuple[Registry, ...] = (BOUNDS, FORMULATIONS)  # that tests put things into

settings.register_profile("hexsched", deadline=None, derandomize=True, max_examples=16)
settings.register_profile("campaign", deadline=None, max_examples=1000)
settings.load_profile("hexsched")

ORACLE = "hexagent(horizon=oracle)"
TOLD_WORK = "triage(q=0.5,clean=0,deadline=off,work=hint(0.5))"
ABLATIONS = [f"hexagent({part}=off)" for part in ("risk", "joint", "kv", "transfer", "replan")]
# of few workflows a share, too, is put off, before anybody is late
ABLATIONS += [
    f"triage(q=0.5,clean=0,deadline=off,{part})"
    for part in ("period=1", "work=alone", "remaining=none", "rest=least", "waiting=off")
]


def policy_names() -> list[str]:
    """Every registered policy as it is, on every placement, and with each ablation."""
    plain = [policy.name for policy in policies()]
    return [
        *plain,
        *(f"{name}@{placement}" for name in plain for placement in PLACEMENTS),
        *ABLATIONS,
        TOLD_WORK,
        ORACLE,
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes ``policy_name`` over every policy, one with ``online_policy_name`` over those that are.

    An order and a placement know nothing of each other. At every change orders are tried on their own placement,
    and placements under HexAGenT and the paper's baselines; the others on each placement are a campaign.
    """
    if "policy_name" in metafunc.fixturenames:
        metafunc.parametrize("policy_name", _guards())
    if "online_policy_name" in metafunc.fixturenames:
        metafunc.parametrize("online_policy_name", [each for each in _guards() if each not in (ORACLE, TOLD_WORK)])


def _guards() -> list[Any]:
    return [_guard(name) for name in policy_names()]


def _guard(name: str) -> Any:
    order, at, _ = name.partition("@")
    return pytest.param(name, marks=pytest.mark.campaign) if at and order not in (HEXAGENT, *BASELINES) else name


@pytest.fixture(scope="session", autouse=True)
def compiled_together(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What nearly all tests need is compiled in parts, or read from the cache, each by the next worker free."""
    if worker_id == "master":  # the only one
        return
    folder = tmp_path_factory.getbasetemp().parent
    for part in PARTS:
        try:
            (folder / f"{part.__name__}-begun").touch(exist_ok=False)
        except FileExistsError:
            continue
        part()
        (folder / f"{part.__name__}-done").touch()
    until = time.monotonic() + 400
    while time.monotonic() < until and not all((folder / f"{part.__name__}-done").exists() for part in PARTS):
        time.sleep(0.1)


def compile_simulator() -> None:
    simulate(tiny_instance(), "fcfs")


def compile_prices() -> None:
    x = relax(offline_problem(tiny_instance()))
    market = market_until(x, float((x.arrival + 2 * x.horizon).max()), 0)
    market.improve(x.arrival + 2 * x.horizon, 1.0)
    market.costs(x.arrival + 2 * x.horizon)


def compile_search() -> None:
    problem = offline_problem(tiny_instance())
    evaluator = Evaluator(problem)
    evaluator(plain_guide(np.zeros(problem.calls), problem.workflows, len(evaluator.kind_of_decode)))


def compile_steps() -> None:
    order("first", summary="first")(lambda call, now: now)
    simulate(tiny_instance(), "first")
    unregister("first")


PARTS = (compile_simulator, compile_prices, compile_search, compile_steps)  # those that take longest first


@pytest.fixture
def coarse_bounds() -> None:
    """One coarse program of each bound by linear programs in place of a series: as valid, and fast."""
    grid = time_indexed_lp.Tuning(resolutions=(8,), precision=0.02)
    scales = window_bound.Tuning(precision=0.02, mean_precision=0.02, halvings=3)
    for name, coarse in (
        ("time-indexed-lp", {"tuning": grid}),
        ("window-lp", {"tuning": scales, "levels": (Level(8, batches=(2, 8)),)}),
    ):
        BOUNDS.put(replace(BOUNDS[name], compute=partial(BOUNDS[name].compute, **coarse)))


@pytest.fixture(autouse=True)
def registry_as_found() -> Iterator[None]:
    """Take out again what a test registers, and put back what it replaces."""
    entries = [(registry, list(registry.values())) for registry in REGISTRIES]
    before = {policy.name for policy in policies()}
    yield
    for policy in policies():
        if policy.name not in before:
            unregister(policy.name)
    for registry, listed in entries:
        if list(registry.values()) != listed:
            for name in list(registry):
                registry.remove(name)
            for entry in listed:
                registry.put(entry)
