"""Schedules, searches and bounds are what they were: whatever changes one of them is meant, and writes it down anew."""

from __future__ import annotations

import csv

import pytest
from pinned import cases
from pinned.cases import INSTANCES, SMALL, BoundPin, Pin, SearchPin
from pinned.write import look, prove, run

pytestmark = pytest.mark.quick


def read(path, kind):
    with path.open(newline="") as file:
        return [kind(**row) for row in csv.DictReader(file)]


RUNS = read(cases.RUNS, Pin)


def test_there_are_some_three_hundred_runs_as_listed():
    assert [pin._replace(sha256="") for pin in RUNS] == list(cases.runs())
    assert len(RUNS) >= 300


@pytest.mark.parametrize("name", INSTANCES)
def test_every_policy_makes_the_same_schedule(name):
    pins = [pin for pin in RUNS if pin.instance == name]
    assert [run(pin) for pin in pins] == pins


@pytest.mark.parametrize("name", SMALL)
def test_the_same_without_compilation(name):
    pins = [pin for pin in RUNS if pin.instance == name]
    assert [run(pin, compiled=False) for pin in pins] == pins


SEARCHES = [pin._replace(evaluations=int(pin.evaluations)) for pin in read(cases.SEARCHES, SearchPin)]


@pytest.mark.parametrize("pin", SEARCHES, ids=lambda pin: f"{pin.instance}-{pin.objective}")
def test_search_finds_the_same(pin):
    assert look(pin) == pin


BOUNDS = read(cases.BOUNDS, BoundPin)


@pytest.mark.parametrize("pin", BOUNDS, ids=lambda pin: f"{pin.instance}-{pin.objective}-{pin.bound}")
def test_bound_proves_the_same(pin):
    found = prove(pin)
    if pin.value == "":
        assert found == pin
    else:
        assert float(found.value) == pytest.approx(float(pin.value), rel=1e-9)
