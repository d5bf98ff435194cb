"""The policy ``triage``: its lower tier against one worked out plainly from what the policy says, and its options."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import corner_instance, corner_instances

from hexsched.engine.kernel import interpreted
from hexsched.engine.state import Seen, State, bare
from hexsched.engine.tables import build_state, workload_columns
from hexsched.engine.wallclock import new_histogram
from hexsched.errors import InputError
from hexsched.model import Instance
from hexsched.policies import read_policy
from hexsched.policies.decide import each_time, run_epochs
from hexsched.policies.memory import Memory
from hexsched.policies.orders.parts.least_rest import ROWS, note_end, note_horizon
from hexsched.policies.orders.parts.remaining_work import bucket_of
from hexsched.policies.orders.triage import triage_key
from hexsched.policies.orders.workflow_llf import workflow_llf_key
from hexsched.policies.parts.order import DECODE, PREFILL
from hexsched.simulator import simulate
from hexsched.simulator.knowledge import noise, tell_work
from hexsched.workloads.instances import instance as make_instance

BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)  # calls, at most; all others are the last


class Plainly:
    """Who may wait, by the words of the policy: dictionaries, and a look at everything at every decision."""

    def __init__(self, seen: Seen, options: dict[str, Any], told: Any = None) -> None:
        self.seen, self.options = seen, options
        self.told = told  # work for each pool by workflow, seconds; None where it is learned
        self.work: dict[int, float] = {}  # of calls, seconds
        self.load = {"prefill": 0.0, "decode": 0.0, "room": 0.0}  # seconds
        self.released: dict[int, Any] = defaultdict(lambda: np.zeros(2))  # work for each pool, by workflow, seconds
        self.events: dict[int, list[tuple[Any, float]]] = defaultdict(list)  # (state, work) by workflow
        self.calls: dict[int, list[int]] = defaultdict(list)  # released, by workflow
        self.ended: dict[int, float] = {}  # ratios
        self.ever: set[int] = set()
        self.in_vain: set[int] = set()  # ended when more was expected
        self.until_choice = 0
        self.admission_binds = False
        self.tier: dict[int, float] = {}  # costs
        self.values: dict[Any, float] = {}  # of states
        self.first_seen: dict[Any, int] = {}  # the how manieth a state was
        self.valued = 0
        self.shown: dict[int, dict[Any, float]] = defaultdict(dict)  # horizons, by workflow and state: the last there
        self.grew: dict[Any, list[float]] = defaultdict(list)  # by how much horizons did, by state

    def work_of(self, c: int) -> float:
        one = self.seen.calls[c]
        prefill = np.mean([i.p0 + i.p1 * (one.n - one.h) + i.p2 * (one.n**2 - one.h**2) for i in self.seen.prefills])
        m, fixed, decodes = one.estimate, self.seen.clock[0].fixed, self.seen.decodes
        tables = [self.seen.batch_seconds[j.kind] for j in decodes]
        of_32 = np.array([j.theta if fixed else t[min(32, len(t) - 1)] for j, t in zip(decodes, tables, strict=True)])
        growth = 0.0 if fixed else decodes.d2 * (one.n + m / 2) * m
        w_p, w_d = prefill / len(self.seen.prefills), np.mean(m * of_32 / 32 + growth) / len(decodes)
        self.load["prefill"] += w_p
        self.load["decode"] += w_d
        share = max((one.n + m) / decodes.kv_capacity.sum(), 1 / decodes.max_batch.sum())
        self.load["room"] += m * np.mean(of_32) * share
        self.released[int(one.workflow)] += np.array([w_p, w_d])
        return float(one.best) if self.options["work"] == "alone" else self.of_pools(w_p, w_d)

    def of_pools(self, w_p: float, w_d: float) -> float:
        p, d = self.load["prefill"] ** 2, self.load["decode"] ** 2
        return float((p * w_p + d * w_d) / (p + d))

    def decide(self) -> None:
        """One decision epoch."""
        clock = self.seen.clock[0]
        for c in self.seen.completed[: clock.completed].tolist():
            w = int(self.seen.calls[c].workflow)
            if self.seen.workflows[w].ended and w not in self.ended:
                flow = self.seen.workflows[w]
                self.ended[w] = float((clock.now - flow.arrival) / flow.horizon)
                for state, shown in self.shown[w].items():
                    self.grew[state].append(float(flow.horizon) - shown)
                if self.rest(w) > 0:
                    self.in_vain.add(w)
        released = self.seen.released[: clock.released].tolist()
        for w, group in itertools.groupby(released, key=lambda c: int(self.seen.calls[c].workflow)):
            calls = list(group)
            for c in calls:
                self.work[c] = self.work_of(c)
            self.calls[w] += calls
            count = len(self.calls[w])
            bucket = next((k for k, most in enumerate(BUCKETS) if count <= most), len(BUCKETS))
            state = (int(self.seen.calls[calls[0]].kind), bucket)
            self.first_seen.setdefault(state, len(self.first_seen))
            self.events[w].append((state, sum(self.work[c] for c in calls)))
            self.shown[w][state] = float(self.seen.workflows[w].horizon)
        self.until_choice -= 1
        if self.until_choice <= 0:
            under_way = len(self.calls) - len(self.ended)
            self.until_choice = max(self.options["period"], under_way // 32)
            self.choose()

    def ratio(self, w: int) -> float:
        flow = self.seen.workflows[w]
        return float((self.seen.clock[0].now - flow.arrival) / (flow.horizon + self.rest(w)))

    def rest(self, w: int) -> float:
        """By how much the horizon will still grow at least."""
        return least(self.grew[self.events[w][-1][0]]) if self.options["rest"] == "least" else 0.0

    def key(self, c: int, delta: float) -> float:
        """Of a call that is not in the lower tier, where prefill binds."""
        flow = self.seen.workflows[self.seen.calls[c].workflow]
        waited = self.seen.clock[0].now - flow.arrival
        return float(-(waited + delta) / (flow.horizon + self.rest(int(self.seen.calls[c].workflow))))

    def choose(self) -> None:
        self.tier = {}
        self.admission_binds = self.options["deadline"] == "on" and self.load["room"] > self.load["prefill"]
        if self.admission_binds:
            return
        under_way = sorted(self.calls.keys() - self.ended.keys())
        exempt = self.ever | self.in_vain
        untouched = [r for w, r in self.ended.items() if w not in exempt]
        clean = max([1.0, *untouched, *(self.ratio(w) for w in under_way if w not in self.ever)])
        spent = sum(r > clean for w, r in self.ended.items() if w in exempt)
        room = math.floor((1 - self.options["q"]) * len(self.calls) + 1e-6) - spent
        if room <= 0 or clean < self.options["clean"]:
            return
        self.value()
        costs = {w: self.cost(w) for w in under_way}
        self.tier = {w: costs[w] for w in sorted(costs, key=lambda w: (-costs[w], w))[:room]}
        self.ever |= self.tier.keys()

    def value(self) -> None:
        """V of all states, where there are 1 % more events than at the last time."""
        count = sum(map(len, self.events.values()))
        if self.options["remaining"] == "none" or count < 1.01 * self.valued - 1e-9:
            return
        self.valued = count
        visits: dict[Any, int] = defaultdict(int)
        after: dict[Any, float] = defaultdict(float)
        went: dict[Any, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
        for events in self.events.values():
            for state, _ in events:
                visits[state] += 1
            for (one, _), (two, work) in itertools.pairwise(events):
                after[one] += work
                went[one][two] += 1
        for state in sorted(visits, key=lambda z: (-z[1], self.first_seen[z])):
            to_come = sum(times * self.values.get(y, 0.0) for y, times in went[state].items() if y != state)
            self.values[state] = (after[state] + to_come) / max(visits[state] - went[state][state], 1)

    def cost(self, w: int) -> float:
        open_work = sum(self.work[c] for c in self.calls[w] if self.seen.calls[c].decode_end == 0)
        if self.options["remaining"] == "chain" and self.told is not None:
            open_work += self.of_pools(*np.maximum(self.told[w] - self.released[w], 0.0))
        elif self.options["remaining"] == "chain":
            state, last = self.events[w][-1]
            here = [work for events in self.events.values() for one, work in events if one == state]
            open_work += self.values.get(state, 0.0) * last / float(np.mean(here))
        return open_work * (1 + self.ratio(w) if self.options["waiting"] == "on" else 1)


def least(grew: list[float]) -> float:
    """The least of the last 200 to 400 once there are more than 200, and none of less than 80; never below 0."""
    last_full = max((len(grew) - 1) // 200 * 200 - 200, 0)
    return max(min(grew[last_full:]), 0.0) if len(grew) >= 80 else 0.0


def stepwise(instance: Instance, name: str) -> tuple[State, Memory, Any, Any]:
    """A run that is made one decision epoch at a time: its state, memory and settings, and the steps."""
    chosen = read_policy(name)
    workload, places = workload_columns(instance)
    state = build_state(instance, workload, waiting=places.workflow)
    tell_work(state, instance, chosen.in_effect["work"], 0)
    memory, rows = chosen.memory(state.seen), chosen.settings()
    given, latency, buffer = bare((state, memory, rows)), new_histogram(), np.zeros(2, np.int64)
    return state, memory, rows, each_time(run_epochs, *given, 1, latency, buffer)


@settings(max_examples=12)
@given(
    instance=corner_instances(workflows=(4, 16), calls=(1, 6)),
    q=st.sampled_from([0.3, 0.5, 0.75, 0.9]),
    period=st.integers(1, 3),
    clean=st.sampled_from([0.0, 1.5]),
    work=st.sampled_from(["pools", "alone", "oracle", "hint(0.5)"]),
    remaining=st.sampled_from(["chain", "none"]),
    waiting=st.sampled_from(["on", "off"]),
    deadline=st.sampled_from(["on", "off"]),
    rest=st.sampled_from(["least", "none"]),
)
def test_the_tier_is_the_one_of_the_text(instance, **options):
    follow(instance, options)


def told_of(instance: Instance, work: str) -> Any:
    """(W, 2) seconds of work for each pool that are told of each workflow; None where nothing is."""
    if work in ("pools", "alone"):
        return None
    names = sorted(flow.workflow_id for flow in instance.workflows)
    work_of = {flow.workflow_id: np.zeros(2) for flow in instance.workflows}
    for flow in instance.workflows:
        for one in flow.calls:
            n, h, m = one.prompt_tokens, one.cached_tokens, one.output_tokens
            prefills = [np.dot(i.prefill_coeffs, [1, n - h, n * n - h * h]) for i in instance.prefill]
            decodes = [m * seconds_of_32(instance, j) for j in instance.decode]
            if instance.decode_model == "fluid":
                decodes = [
                    s + j.decode_coeffs[2] * (n + m / 2) * m for s, j in zip(decodes, instance.decode, strict=True)
                ]
            work_of[flow.workflow_id] += [np.mean(prefills) / len(prefills), np.mean(decodes) / len(decodes)]
    factor = np.ones(len(names)) if work == "oracle" else noise(names, float(work[5:-1]), 0, of="work")
    return factor[:, None] * np.array([work_of[name] for name in names])


def seconds_of_32(instance: Instance, decode: Any) -> float:
    """Of an iteration of 32 calls, for one of them."""
    if instance.decode_model == "fixed":
        return float(decode.fixed_iteration_time) / 32
    largest = max(one.max_batch for one in instance.decode)
    if decode.batch_curve is not None:
        return float(np.interp(min(32, largest), *zip(*decode.batch_curve, strict=True))) / 32
    return float(decode.decode_coeffs[0] + decode.decode_coeffs[1] * min(32, largest)) / 32


def follow(instance: Instance, options: dict[str, Any], every: int = 1) -> float:
    """Compare each so many decisions of a run; the most by which a horizon was expected to grow."""
    chosen = ",".join(f"{name}={value}" for name, value in options.items())
    state, memory, rows, steps = stepwise(instance, f"triage({chosen})")
    seen, clock = state.seen, state.seen.clock[0]
    plainly = Plainly(seen, options, told_of(instance, str(options["work"])))
    key, slack = interpreted(triage_key), interpreted(workflow_llf_key)
    most = 0.0
    for step, _ in enumerate(steps):
        if clock.released + clock.prefilled + clock.completed == 0:
            continue
        plainly.decide()
        if step % every:
            continue
        in_tier = np.flatnonzero(memory.workflows.chosen_in == memory.counters[0].choices)
        assert {int(w): memory.workflows[w].cost for w in in_tier} == pytest.approx(plainly.tier)
        for c in [c for c in plainly.work if seen.calls[c].decode_instance < 0]:
            w = int(seen.calls[c].workflow)
            cost = plainly.tier.get(w)
            most = max(most, plainly.rest(w))
            for stage in (PREFILL,) if seen.calls[c].prefill_instance < 0 else (PREFILL, DECODE):
                if cost is not None:
                    expected = cost
                elif plainly.admission_binds:
                    expected = slack(seen, memory, rows[0], c, stage)
                else:
                    expected = plainly.key(c, memory.calls[c].delta)
                assert key(seen, memory, rows[0], c, stage) == pytest.approx(expected)
    assert plainly.ended.keys() == set(range(len(instance.workflows)))
    return most


def test_horizons_are_expected_to_grow_as_those_of_workflows_that_ended():
    instance = make_instance("qwen235b-hetero-1", "bfcl", workflows=150, arrivals="poisson:3", seed=1)
    plain = {"q": 0.9, "period": 4, "clean": 0.0, "work": "alone", "remaining": "none", "waiting": "on"}
    assert follow(instance, plain | {"deadline": "off", "rest": "least"}, every=25) > 0


def test_the_least_of_the_last_workflows_is_what_is_expected():
    """Blocks, repeated states, and horizons that shrink: estimates of output lengths were too long."""
    rng = np.random.default_rng(0)
    events = [[(int(rng.integers(3)), float(h)) for h in np.sort(rng.random(4))] for _ in range(900)]
    rows = np.zeros(4 * len(events), [(name, kind) for name, kind in ROWS]).view(np.recarray)
    start, end = interpreted(note_horizon), interpreted(note_end)
    grew: dict[int, list[float]] = defaultdict(list)
    event = 0
    for workflow in events:
        own = SimpleNamespace(state=0, last_event=0)
        for state, horizon in workflow:
            own.state = state + 1
            start(rows, own, event, horizon)
            event += 1
        final = workflow[-1][1] + rng.exponential(3.0) - 0.001
        end(rows, own, final)
        for state, horizon in dict(workflow).items():
            grew[state].append(final - horizon)
        assert [rows[state].rest for state in grew] == [least(grew[state]) for state in grew]
    assert min(map(len, grew.values())) > 600


def test_the_work_told_is_that_of_all_calls():
    instance = make_instance("demo", "lats", workflows=6, arrivals="poisson:3", seed=1)
    state, memory, _, steps = stepwise(instance, "triage(work=oracle)")
    for _ in steps:
        pass
    told, released = state.seen.workflows, memory.workflows
    assert told.prefill_told.min() > 0
    assert told.prefill_told == pytest.approx(released.prefill_released)
    assert told.decode_told == pytest.approx(released.decode_released)
    noisy, *_ = stepwise(instance, "triage(work=hint(0.5))")
    factor = noise(sorted(flow.workflow_id for flow in instance.workflows), 0.5, 0, of="work")
    assert noisy.truth.workflows.prefill_told == pytest.approx(told.prefill_told * factor)
    assert noisy.truth.workflows.decode_told == pytest.approx(told.decode_told * factor)
    assert not set(factor) & set(noise([flow.workflow_id for flow in instance.workflows], 0.5, 0))


def test_knowing_the_work_lets_the_right_ones_wait(crowded):
    untold, told = ratios(crowded, "triage(q=0.9,clean=1)"), ratios(crowded, "triage(q=0.9,clean=1,work=oracle)")
    assert told[53] < untold[53]
    assert (
        told
        == ratios(crowded, "triage(q=0.9,clean=1,work=hint(0))")
        != ratios(crowded, "triage(q=0.9,clean=1,work=hint(4))")
    )


def test_buckets_of_calls():
    plain = [next((k for k, most in enumerate(BUCKETS) if calls <= most), len(BUCKETS)) for calls in range(1, 400)]
    assert [interpreted(bucket_of)(calls) for calls in range(1, 400)] == plain


# --- what q does -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowded() -> Instance:
    """60 workflows that come faster than they are served."""
    return make_instance("qwen235b-hetero-1", "bfcl", workflows=60, arrivals="poisson:40", seed=0)


def ratios(instance: Instance, policy: str) -> list[float]:
    """In ascending order."""
    return sorted(simulate(instance, policy).ratio.tolist())


def test_the_share_that_counts_is_served_better_and_the_rest_waits(crowded):
    hexagent, triage = ratios(crowded, "hexagent"), ratios(crowded, "triage(q=0.8,clean=1)")
    assert triage[47] < 0.9 * hexagent[47]
    assert triage[59] > 2 * hexagent[59]


def test_nobody_waits_for_a_share_of_less_than_one_workflow_nor_without_need(crowded):
    hexagent = ratios(crowded, "hexagent")
    assert ratios(crowded, "triage(q=0.984,clean=1)") == hexagent  # 60 times 1.6 % are less than one
    assert ratios(crowded, "triage(q=0.983,clean=1)") != hexagent
    assert ratios(crowded, "triage(q=0.9,clean=1e9)") == hexagent


def test_triage_knows_what_hexagent_may_be_told():
    instance = corner_instance(np.random.default_rng(4), workflows=(12, 12), calls=(2, 5), arrivals="together")
    told, other = (simulate(instance, f"{name}(horizon=oracle)").ratio for name in ("triage", "hexagent"))
    assert told.tolist() == other.tolist() != simulate(instance, "triage").ratio.tolist()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("q=1", r"option 'q' of policy 'triage' must be between 0 and 1, got 1"),
        ("q=0", r"must be between 0 and 1, got 0"),
        ("q=nan", r"must be between 0 and 1, got nan"),
        ("q=high", r"must be a number, got 'high'"),
        ("work=gpu", r"must be pools or alone or oracle or hint\(SIGMA\), SIGMA a number from 0 to 10, got 'gpu'"),
        ("work=hint", r"must be pools or alone or oracle or hint\(SIGMA\), SIGMA a number from 0 to 10, got 'hint'"),
        ("work=hint(-1)", r"SIGMA a number from 0 to 10, got 'hint\(-1\)'"),
        ("remaining=off", r"must be chain or none, got 'off'"),
        ("period=0", r"must be from 1 to 1e9, got 0"),
        ("clean=-1", r"must be from 0 to 1e9, got -1"),
        ("share=2", r"policy 'triage' has no option 'share'; it has"),
    ],
)
def test_options_that_are_refused(option, message):
    with pytest.raises(InputError, match=message):
        read_policy(f"triage({option})")
