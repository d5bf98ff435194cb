"""Gaps: a bracket that holds, and each policy against it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from instances import call, one_pair, workflow
from msgspec.structs import replace
from reference import random_instance

from experiments.cli import BAD_INPUT, OK, main
from hexsched.errors import InputError
from hexsched.model import Instance, write_instance
from hexsched.verifier import verify
from solvers.bounds import BOUNDS
from solvers.bounds.parts.bound import Bound, Cost
from solvers.brackets import solve as solving
from solvers.brackets.gap import GapReport, Tuning, gap
from solvers.problem.bracket import ContradictionError

ANY_SIZE = Tuning(exact_calls=0)  # as for an instance of any size
POLICIES = ("hexagent", "fcfs@jsq", "sjf")


@pytest.fixture(autouse=True)
def fast(coarse_bounds: None) -> None:
    """Bounds as fast as they come."""


def small(seed: int = 0) -> Instance:
    rng = np.random.default_rng(seed)
    drawn = random_instance(rng, decode_model="fixed", workflows=(3, 3), calls=(1, 2))
    return replace(drawn, workflows=tuple(replace(w, arrival=w.arrival / 20) for w in drawn.workflows))


def check(report: GapReport) -> None:
    assert report.lower_bound <= report.upper_bound
    assert set(report.policies) == set(POLICIES)
    assert report.upper_bound <= min(found.value for found in report.policies.values())
    assert report.lower_bound >= max(v for v in report.bounds.values() if v is not None) * (1 - 1e-6)
    for found in report.policies.values():
        if found.gap is None:
            assert report.lower_bound == 0 < found.value
        else:
            expected = (found.value - report.lower_bound) / report.lower_bound if report.lower_bound else 0.0
            assert found.gap == pytest.approx(expected)


@pytest.mark.parametrize("objective", ["max_ratio", "req(0.5)", "mean_ratio", "mean_latency", "misses(1.1)"])
def test_the_bracket_holds(objective: str) -> None:
    for seed in range(2):
        check(gap(small(seed), POLICIES, objective, time_limit=4.0))


@pytest.mark.parametrize("decode_model", ["fixed", "fluid"])
@pytest.mark.parametrize("objective", ["max_ratio", "req(0.5)", "mean_latency"])
def test_the_schedule_has_the_upper_bound(decode_model: str, objective: str) -> None:
    instance = replace(small(), decode_model=decode_model)
    report = gap(instance, POLICIES, objective, time_limit=1.5, tuning=ANY_SIZE)
    check(report)
    found = verify(instance, report)
    assert found.ok
    name = {"max_ratio": "max_ratio", "req(0.5)": "req50", "mean_latency": "mean_latency"}[objective]
    assert getattr(found.metrics, name) == pytest.approx(report.upper_bound, rel=1e-9)
    assert sum(report.binding.values()) == pytest.approx(1.0) or not report.binding
    seconds, lower, upper = zip(*report.series, strict=True)
    assert list(seconds) == sorted(seconds)
    assert list(lower) == sorted(lower)
    assert list(upper) == sorted(upper, reverse=True)


@pytest.mark.parametrize("cost", list(Cost))
@pytest.mark.parametrize("workers", [1, 2])
def test_a_bound_that_is_registered_takes_part(workers: int, cost: Cost) -> None:
    """Also a wrong one: when it is above a schedule, that is a bug and says so."""
    right = Bound(name="aaa", summary="", citation="", compute=lambda *_: 1.0001, cost=cost)
    BOUNDS.put(right)
    tuning = Tuning(exact_calls=100 if cost == Cost.LINEAR_PROGRAM else 0, solver=0.0)
    contended = one_pair(*(workflow(f"w{k}", 0.0, call("x", 50, 5)) for k in range(5)), decode_model="fluid")
    assert gap(contended, POLICIES, "max_ratio", time_limit=1.0, workers=workers, tuning=tuning).bounds["aaa"] == 1.0001
    BOUNDS.put(dataclasses.replace(right, compute=lambda *_: 1e3))
    with pytest.raises(ContradictionError, match=r"aaa claims max_ratio >= 1000.0"):
        gap(contended, POLICIES, "max_ratio", time_limit=1.0, workers=workers, tuning=tuning)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="at least one policy"):
        gap(small(), (), time_limit=1.0)
    with pytest.raises(InputError, match="time limit"):
        gap(small(), POLICIES, time_limit=0.0)


def test_gap_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "i.json"
    write_instance(file, small())
    asked = ["gap", str(file), "--objective", "max_ratio", "--policies", ",".join(POLICIES), "--time-limit", "4"]
    assert main([*asked, "--json"]) == OK
    record = json.loads(capsys.readouterr().out)
    assert {"lower_bound", "bound_source", "upper_bound", "upper_source"} <= set(record)
    assert set(record["policies"]) == set(POLICIES)
    assert all(found["value"] >= record["lower_bound"] and found["gap"] >= 0 for found in record["policies"].values())
    assert main(asked) == OK
    assert "gap to LB" in capsys.readouterr().out
    assert main(["gap", str(file), "--objective", "max_ratio", "--policies", "no-such"]) == BAD_INPUT


def test_the_fixed_model_is_solved_by_the_formulation_that_solve_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = solving.run
    monkeypatch.setattr(solving, "run", lambda one, *given: asked.append(one.name) or original(one, *given))
    gap(small(), ["fcfs"], "max_ratio", time_limit=5.0)
    assert asked == ["cpsat"]
