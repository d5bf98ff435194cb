"""Kairos and Justitia: what the orders work out step by step, against the rules worked out plainly; and by hand."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instances, one_pair, workflow
from msgspec.structs import replace

from hexsched.baselines import BASELINES
from hexsched.engine.kernel import interpreted
from hexsched.engine.state import Seen, State, bare
from hexsched.engine.tables import build_state, workload_columns
from hexsched.engine.wallclock import new_histogram
from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.policies import read_policy
from hexsched.policies.decide import each_time, run_epochs
from hexsched.policies.memory import Memory
from hexsched.policies.orders import ORDERS
from hexsched.simulator import simulate
from solvers.schedules.search.run import default_starts


def epochs(instance: Instance, name: str, noise: float = 0.0) -> Iterator[tuple[Seen, Memory, Any]]:
    """The decision epochs of a run, one after another: what is seen, what is remembered, and the settings."""
    policy = read_policy(name)
    workload, places = workload_columns(instance)
    estimates = workload.m * np.exp(np.random.default_rng(1).normal(0.0, noise, len(workload.m)))
    state: State = build_state(instance, workload, estimates=estimates, waiting=places.workflow)
    memory, rows = policy.memory(state.seen), policy.settings()
    given, latency, buffer = bare((state, memory, rows)), new_histogram(), np.zeros(2, np.int64)
    for _ in each_time(run_epochs, *given, 1, latency, buffer):
        clock = state.seen.clock[0]
        if clock.released + clock.prefilled + clock.completed:
            yield state.seen, memory, rows[0]


def waiting(seen: Seen) -> list[int]:
    """Calls that are released and not admitted."""
    return [c for c, one in enumerate(seen.calls) if one.best > 0 and one.decode_instance < 0]


# --- Kairos ----------------------------------------------------------------------------------------------------------


class PlainKairos:
    """What was left after each call of each ended workflow, in lists."""

    def __init__(self) -> None:
        self.calls: dict[int, list[int]] = defaultdict(list)
        self.left: dict[int, list[float]] = defaultdict(list)
        self.ended: set[int] = set()

    def look(self, seen: Seen) -> None:
        clock = seen.clock[0]
        for c in seen.released[: clock.released].tolist():
            self.calls[int(seen.calls[c].workflow)].append(c)
        for w in self.calls.keys() - self.ended:
            if seen.workflows[w].ended:
                self.ended.add(w)
                end = max(seen.calls[c].path for c in self.calls[w])
                for c in self.calls[w]:
                    before = seen.calls[c].path - seen.calls[c].best
                    self.left[int(seen.calls[c].kind)].append(end - before)

    def mean(self, kind: int) -> float:
        return float(np.mean(self.left[kind])) if kind in self.left else -1.0


@settings(max_examples=25)
@given(
    instance=corner_instances(workflows=(2, 14), calls=(1, 6)),
    start=st.sampled_from(["workflow", "call"]),
    noise=st.sampled_from([0.0, 0.5]),
)
def test_kairos_serves_by_the_mean_of_what_was_left_after_calls_of_the_kind(instance, start, noise):
    plain, key = PlainKairos(), interpreted(ORDERS["kairos"].key)
    for seen, memory, row in epochs(instance, f"kairos(start={start})", noise):
        plain.look(seen)
        for one, two in itertools.combinations(waiting(seen), 2):
            keys = [key(seen, memory, row, c, 0) for c in (one, two)]
            means = [plain.mean(int(seen.calls[c].kind)) for c in (one, two)]
            starts = [
                seen.calls[c].released if start == "call" else seen.workflows[seen.calls[c].workflow].arrival
                for c in (one, two)
            ]
            if means[0] != pytest.approx(means[1], rel=1e-9):
                assert (keys[0] < keys[1]) == (means[0] < means[1])
            elif seen.calls[one].kind == seen.calls[two].kind or means[0] < 0:
                assert np.sign(keys[0] - keys[1]) == np.sign(starts[0] - starts[1])
    assert plain.ended == set(range(len(instance.workflows)))


def ids(schedule: Schedule) -> list[str]:
    """Workflow ids in the order in which prefills start."""
    return [row.workflow_id for row in sorted(schedule.calls, key=lambda row: row.prefill_start)]


def test_kairos_by_hand():
    # "0" ends before the others are looked at: 12 + 11 s and more are left from its plan on, and fewer from its answer
    # on. "h" then holds the prefill instance; behind it answers go first, by the arrival of their workflows or their
    # own, which differ: the answer of "b" comes 40 s after "b".
    plan = call("a", 10, 10, kind="plan")
    seen = workflow("0", 0, plan, call("b", 10, 5, "a", kind="answer"))
    hold = workflow("h", 200, call("a", 100, 5, kind="answer"))
    behind = [
        workflow("p", 201, replace(plan, call_id="p")),
        workflow("a", 203, call("a", 10, 5, kind="answer")),
        workflow("b", 202, call("a", 10, 5, kind="answer", delay=40)),
        workflow("n", 240, call("a", 10, 5, kind="never seen")),
    ]
    for placement in ("plan", "jsq"):
        run = simulate(one_pair(seen, hold, *behind), f"kairos@{placement}")
        assert "".join(ids(run.schedule)) == "00hnbap"
        run = simulate(one_pair(seen, hold, *behind), f"kairos(start=call)@{placement}")
        assert "".join(ids(run.schedule)) == "00hnabp"


@pytest.mark.parametrize("kinds", [1, 2, 40])
def test_every_call_may_be_of_a_kind_of_its_own(kinds):
    flows = [
        workflow(f"w{k:02}", 3.0 * k, call("a", 10 + 7 * k % 40, 5 + 3 * k % 20, kind=f"k{k % kinds:02}"))
        for k in range(40)
    ]
    ended = 0
    for seen, memory, _ in epochs(one_pair(*flows), "kairos"):
        ended = seen.workflows.ended.sum()
        known = memory.counters[0].kinds_known
        places = memory.rows.kind_there[:known]
        assert len(set(places.tolist())) == known
        assert memory.rows.kind_place[places].tolist() == list(range(1, known + 1))
        assert np.all(np.diff(memory.rows.kind_left[places]) >= 0)
        assert (known > 0) == (ended > 0)
    assert known == kinds
    assert ended == len(flows)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("kairos(start=now)", "must be workflow or call, got 'now'"),
        ("justitia(pace=fast)", "must be cache or served, got 'fast'"),
        ("justitia(start=call)", "policy 'justitia' has no option 'start'; it has pace"),
    ],
)
def test_options_that_are_refused(name, told):
    with pytest.raises(InputError, match=told):
        read_policy(name)


# --- Justitia --------------------------------------------------------------------------------------------------------


class PlainJustitia:
    """Fair sharing as it would go: each workflow has so much left, and all of them are served alike."""

    def __init__(self, instance: Instance, seen: Seen, pace: str) -> None:
        self.seen, self.pace = seen, pace
        self.rate = 0.0
        for j, machine in enumerate(instance.decode):
            table = seen.batch_seconds[seen.decodes[j].kind]
            kv, full = machine.kv_capacity_tokens, table[min(machine.max_batch, len(table) - 1)]
            fluid = instance.decode_model == "fluid"
            self.rate += kv / (full + seen.decodes[j].d2 * kv if fluid else seen.decodes[j].theta)
        self.shared_at = self.virtual = self.served = 0.0
        self.left: dict[int, float] = {}
        self.calls: dict[int, list[int]] = defaultdict(list)
        self.first: dict[int, tuple[int, float]] = {}  # kind of the first call, cost of those that came with it
        self.told: list[tuple[int, float, float]] = []  # kind, first cost, whole cost of ended workflows
        self.ended: set[int] = set()
        self.finish: dict[int, float] = {}

    def cost(self, c: int) -> float:
        p, d = self.seen.calls[c].n, self.seen.calls[c].estimate
        return float(p * d + d * d / 2)

    def share(self, work: float) -> None:
        while self.left and work > 0:
            each = min(work / len(self.left), min(self.left.values()))
            self.virtual += each
            work -= each * len(self.left)
            self.left = {w: left - each for w, left in self.left.items() if left > each}

    def look(self) -> None:
        clock = self.seen.clock[0]
        for w in self.calls.keys() - self.ended:
            if self.seen.workflows[w].ended:
                self.ended.add(w)
                self.told.append((*self.first[w], sum(map(self.cost, self.calls[w]))))
        self.served += sum(map(self.cost, self.seen.completed[: clock.completed].tolist()))
        released = self.seen.released[: clock.released].tolist()
        for w, group in itertools.groupby(released, key=lambda c: int(self.seen.calls[c].workflow)):
            new = list(group)
            self.calls[w] += new
            if w in self.first:
                continue
            kind, first = int(self.seen.calls[new[0]].kind), sum(map(self.cost, new))
            self.first[w] = kind, first
            alike = [row for row in self.told if row[0] == kind] or self.told
            growth = sum(row[2] for row in alike) / sum(row[1] for row in alike) if alike else 1.0
            self.share(self.served if self.pace == "served" else self.rate * float(clock.now - self.shared_at))
            self.served, self.shared_at = 0.0, float(clock.now)
            self.left[w] = growth * first
            self.finish[w] = self.virtual + growth * first


@settings(max_examples=25)
@given(
    instance=corner_instances(workflows=(2, 14), calls=(1, 6)),
    pace=st.sampled_from(["cache", "served"]),
    noise=st.sampled_from([0.0, 0.5]),
)
def test_justitia_serves_in_the_order_of_fair_sharing(instance, pace, noise):
    plain, key = None, interpreted(ORDERS["justitia"].key)
    for seen, memory, row in epochs(instance, f"justitia(pace={pace})", noise):
        plain = plain or PlainJustitia(instance, seen, pace)
        plain.look()
        for c in waiting(seen):
            expected = plain.finish[int(seen.calls[c].workflow)]
            assert key(seen, memory, row, c, 0) == pytest.approx(expected, rel=1e-7)
    assert plain is not None
    assert plain.ended == plain.finish.keys() == set(range(len(instance.workflows)))


def test_justitia_by_hand():
    # KV 1000 tokens; an iteration of a full instance takes 1 + 0.5 * 8 + 0.01 * 1000 = 15 s: 66.7 a second to share.
    # "h", 100 * 5 + 12.5 = 512.5, and "a", 20 * 20 + 200 = 600, share it from 2 s on; "b" is 16 * 19 + 180.5 = 484.5.
    # From 2 to 3 s V grows by 33.3, and 33.3 + 484.5 < 600; from 2 to 12 s by 333.
    first = workflow("0", 0, call("c", 10, 4))
    hold = workflow("h", 1, call("c", 100, 5))
    long = workflow("a", 2, call("c", 20, 20))
    for later, order in ((3, "0hba"), (12, "0hab")):
        short = workflow("b", later, call("c", 16, 19))
        run = simulate(one_pair(first, hold, long, short), "justitia@jsq")
        assert "".join(ids(run.schedule)) == order


def test_justitia_learns_how_workflows_go_on():
    # after "0" and "1" workflows that begin with a plan are known to cost more than what they begin with
    chain = (call("a", 10, 4, kind="plan"), call("b", 40, 20, "a", kind="do"), call("c", 60, 20, "b", kind="do"))
    begun = [workflow("0", 0, *chain), workflow("1", 0, call("a", 10, 4, kind="ask"))]
    hold = workflow("h", 900, call("a", 100, 5, kind="ask"))
    behind = [workflow("a", 901, *chain), workflow("b", 902, call("a", 12, 6, kind="ask"))]
    run = simulate(one_pair(*begun, hold, *behind), "justitia@jsq")
    assert "".join(ids(run.schedule))[5:7] == "ba"
    run = simulate(one_pair(hold, *behind), "justitia@jsq")
    assert "".join(ids(run.schedule))[1:3] == "ab"


def test_they_are_neither_baselines_of_the_paper_nor_starts_of_the_search():
    assert not {"kairos", "justitia"} & {*BASELINES, *default_starts()}
    assert {"hexagent", "atlas"} <= set(default_starts())
