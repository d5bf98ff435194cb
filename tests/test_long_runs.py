"""Long runs, whose rows of calls come and go, against the same with all of them there."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from pinned.cases import ABLATIONS, ORDERS

import hexsched as hx
from hexsched.engine import window
from hexsched.engine.window import Pages, ranges
from hexsched.model.freed import PAGE
from hexsched.policies.placements import PLACEMENTS

POLICIES = (
    *ORDERS,
    *ABLATIONS,
    *(f"{order}@{placement}" for order, placement in zip(ORDERS * 2, (*PLACEMENTS, "plan"), strict=False)),
    *("triage", "triage(rest=least)", "kairos", "justitia", "hexagent(horizon=oracle)", "triage(horizon=hint(0.3))"),
    "plas(quantum=0.2,levels=4,beta=1)@plan",
)


@pytest.fixture(scope="module")
def instances():
    """Chains and graphs, sparse and crowded, in both decode models."""
    chains = hx.instance("demo", "bfcl", workflows=30, arrivals="fixed:3")
    graphs = hx.instance("qwen235b-hetero-1", "mixed", workflows=30, arrivals="poisson:8")
    return chains, graphs, replace(hx.instance("demo", "lats", workflows=6, arrivals="fixed:1"), decode_model="fixed")


@pytest.fixture
def long(monkeypatch):
    """Every run is a long one of small groups, and rows that are let go are made nonsense at once."""
    gone = []

    def spoil(pages, workflows):
        for w in workflows.tolist():
            pages.array[pages.first[w] : pages.first[w + 1]].view(np.uint8)[:] = 0x7F
        gone.append(len(workflows))

    monkeypatch.setattr("hexsched.simulator.run.MANY", 1)
    monkeypatch.setattr(window, "AT_A_TIME", 3)
    monkeypatch.setattr(Pages, "let_go", spoil)
    return gone


def served(instance, policy, **settings):
    run = hx.simulate(instance, policy, **settings)
    return run.schedule.to_bytes(), dict(run.metrics), run.completed.tolist(), run.decisions


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_makes_the_same_schedule(policy, instances, request):
    whole = [served(instance, policy) for instance in instances]
    gone = request.getfixturevalue("long")
    assert [served(instance, policy) for instance in instances] == whole
    assert len(gone) > sum(len(instance.workflows) for instance in instances)  # four arrays, groups of at most three


@pytest.mark.parametrize("settings", [{"estimator": "noise(0.4)", "seed": 3}, {"estimator": "class_mean"}])
def test_estimates_are_the_same(settings, instances, request):
    whole = [served(instance, "hexagent", **settings) for instance in instances]
    request.getfixturevalue("long")
    assert [served(instance, "hexagent", **settings) for instance in instances] == whole


def test_a_burst_and_workflows_out_of_order_are_the_same(request):
    burst = hx.instance("demo", "bfcl", workflows=20)
    turned = replace(burst, workflows=tuple(replace(w, arrival=40.0 - k) for k, w in enumerate(burst.workflows)))
    whole = [served(instance, "workflow-llf") for instance in (burst, turned)]
    request.getfixturevalue("long")
    assert [served(instance, "workflow-llf") for instance in (burst, turned)] == whole


def test_the_interpreted_engine_does_the_same(instances, request):
    small = replace(instances[0], workflows=instances[0].workflows[:5])
    whole = served(small, "fcfs")
    request.getfixturevalue("long")
    assert served(small, "fcfs", compiled=False) == whole


def test_where_all_rows_are_needed_they_stay(instances, long):
    """Whoever decides in plain Python may look at any call; in a closed loop nobody knows how many arrive."""

    def priority(call, now):
        return now

    hx.simulate(instances[0], priority)
    loop = hx.instance("demo", "bfcl", workflows=10, closed_loop=3)
    hx.simulate(loop, "fcfs")
    assert not long


def test_pages_go_back_to_the_system(monkeypatch):
    """In a run of many small groups, with the system's own memory; the schedule is the same."""
    instance = hx.instance("qwen235b-hetero-1", "sharegpt", workflows=400, arrivals="fixed:20")
    whole = served(instance, "fcfs")
    dropped, drop = [], window.drop
    monkeypatch.setattr(window, "drop", lambda address, size: (dropped.append(size), drop(address, size)))
    monkeypatch.setattr("hexsched.simulator.run.MANY", 1)
    monkeypatch.setattr(window, "AT_A_TIME", 20)
    assert served(instance, "fcfs") == whole
    rows = 160 + 120  # bytes a call of what is observed and what is true
    assert sum(dropped) > 0.7 * rows * instance.call_count


@pytest.mark.parametrize("size", [8, 72, 160])
def test_a_page_goes_when_nothing_on_it_is_needed(size, monkeypatch):
    rng = np.random.default_rng(size)
    first = np.concatenate([[0], np.cumsum(rng.integers(1, 40, 300))])
    array = np.ones(first[-1] * size, np.uint8).view(np.dtype((np.void, size)))
    gone, dropped = np.zeros(len(first) - 1, bool), set()

    def note(address, length):
        assert address % PAGE == length % PAGE == 0
        begin = (address - array.ctypes.data) // size
        end = -(-(address + length - array.ctypes.data) // size)
        on_it = (first[:-1] < end) & (first[1:] > begin)
        assert begin >= 0
        assert end <= len(array)
        assert gone[on_it].all()
        pages = set(range(address, address + length, PAGE))
        assert not pages & dropped
        dropped.update(pages)

    monkeypatch.setattr(window, "drop", note)
    pages = Pages(array, first)
    for workflows in np.array_split(rng.permutation(len(first) - 1), 9):
        gone[workflows] = True
        pages.let_go(np.sort(workflows))
    assert len(dropped) >= len(array) * size // PAGE - 2


def test_ranges():
    assert ranges(np.array([0, 2, 3, 7]), np.array([0, 2])).tolist() == [0, 1, 3, 4, 5, 6]
