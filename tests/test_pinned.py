"""Schedules, searches and bounds are what they were: whatever changes one of them is meant, and writes it down anew."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from pinned import cases, reports
from pinned.cases import INSTANCES, SMALL, BoundPin, CrowdPin, Pin, SearchPin
from pinned.reports import ReportPin
from pinned.write import look, prove, run, serve

from hexsched.verifier import RULES

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


@pytest.mark.campaign  # at every change runs of all policies are compared, not these (test_simulator.py)
@pytest.mark.parametrize("name", SMALL)
def test_the_same_without_compilation(name):
    pins = [pin for pin in RUNS if pin.instance == name]
    assert [run(pin, compiled=False) for pin in pins] == pins


SEARCHES = [pin._replace(evaluations=int(pin.evaluations)) for pin in read(cases.SEARCHES, SearchPin)]


@pytest.mark.parametrize("pin", SEARCHES, ids=lambda pin: f"{pin.instance}-{pin.objective}")
def test_search_finds_the_same(pin):
    assert look(pin) == pin


CROWDS = [pin._replace(instances=int(pin.instances), calls=int(pin.calls)) for pin in read(cases.CROWDS, CrowdPin)]


def test_crowds_are_as_listed():
    assert [pin._replace(sha256="") for pin in CROWDS] == list(cases.crowds())


def sizes() -> list[Any]:
    """The least and the largest at every change."""
    every = sorted({pin.instances for pin in CROWDS})
    between = [pytest.param(size, marks=pytest.mark.campaign) for size in every[1:-1]]
    return [every[0], *between, every[-1]]


@pytest.mark.parametrize("instances", sizes())
def test_many_machines_and_many_calls_are_served_the_same(instances):
    pins = [pin for pin in CROWDS if pin.instances == instances]
    assert [serve(pin) for pin in pins] == pins


BOUNDS = read(cases.BOUNDS, BoundPin)


@pytest.mark.parametrize("pin", BOUNDS, ids=lambda pin: f"{pin.instance}-{pin.objective}-{pin.bound}")
def test_bound_proves_the_same(pin):
    found = prove(pin)
    if pin.value == "":
        assert found == pin
    else:
        assert float(found.value) == pytest.approx(float(pin.value), rel=1e-9)


REPORTS = [pin._replace(seed=int(pin.seed)) for pin in read(reports.REPORTS, ReportPin)]


def test_reports_are_as_listed_and_every_rule_is_broken_often():
    assert [pin._replace(violations="", sha256="") for pin in REPORTS] == list(reports.reports())
    broken = [entry.partition(":")[0] for pin in REPORTS for entry in pin.violations.split()]
    assert all(broken.count(rule) >= 12 for rule in RULES)


@pytest.mark.parametrize("case", list(dict.fromkeys(pin.case for pin in REPORTS)))
def test_the_verifier_says_the_same_to_the_letter(case):
    pins = [pin for pin in REPORTS if pin.case == case]
    assert [reports.look(pin) for pin in pins] == pins
