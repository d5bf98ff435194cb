"""The priced relaxation: never above any schedule, and close where it should be."""

import itertools
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import call, corner_instances, one_pair, workflow
from msgspec.structs import replace

from hexsched.engine.horizon import horizons
from hexsched.simulator import simulate
from solvers.bounds.prices import ascent, priced_bound
from solvers.bounds.prices.bound import fit
from solvers.bounds.prices.planner import Planner
from solvers.bounds.prices.relaxation import relax
from solvers.bounds.prices.tuning import Tuning
from solvers.problem.left import cpu_clock
from solvers.problem.objective import read_objective
from solvers.problem.offline import offline_problem
from solvers.problem.prices import KeptPrices

OBJECTIVES = ("max_ratio", "req(0.5)", "req(0.8)", "mean_ratio", "mean_latency", "misses(1.3)", "misses(2)")
POLICIES = ("hexagent", "workflow-llf", "sjf", "fcfs@random", "critical-path")
SECONDS = 0.3


def value_of(instance, run, name):
    return read_objective(name).value(run.arrival, run.completed, run.horizon)


@settings(max_examples=40, deadline=None)
@given(corner_instances(workflows=(1, 7), calls=(1, 6)), st.sampled_from(OBJECTIVES), st.integers(0, 99))
def test_no_policy_beats_it(instance, name, seed):
    found = priced_bound(offline_problem(instance), read_objective(name), SECONDS, seed=seed)
    for policy in POLICIES:
        value = value_of(instance, simulate(instance, policy, seed=seed), name)
        assert found.value <= value * (1 + 1e-9)


@settings(max_examples=12, deadline=None)
@given(corner_instances(workflows=(1, 6), calls=(1, 5)), st.sampled_from(OBJECTIVES), st.integers(0, 2**32 - 1))
def test_no_policy_beats_it_whatever_prices_it_goes_on_from(instance, name, seed):
    """Prices of an earlier bracket are believed no more than any others."""
    rng = np.random.default_rng(seed)
    x, intervals = relax(offline_problem(instance)), int(rng.integers(1, 9))
    size = len(x.prefill_count) + 2 * len(x.decode_count), intervals
    kept = KeptPrices(
        edge=(0.0, *np.cumsum(rng.exponential(float(x.horizon.max()) / 2, intervals)).tolist()),
        rate=tuple(map(tuple, (rng.exponential(size=size) * 10.0 ** rng.uniform(-9, 9)).tolist())),
        toll=tuple((rng.exponential(size=len(x.join_gap)) * 10.0 ** rng.uniform(-6, 0)).tolist()),
        owed=float(rng.exponential()),
        cells=int(rng.integers(1, 30)),
        scale=float(rng.uniform(1, 3)),
    )
    found = priced_bound(offline_problem(instance), read_objective(name), 0.02, start=kept)
    for policy in POLICIES[:3]:
        assert found.value <= value_of(instance, simulate(instance, policy, seed=0), name) * (1 + 1e-9)


def queue(count):
    """Calls of two turns each that meet on one pair of instances."""
    return one_pair(
        *(workflow(f"w{k}", 0.3 * k, call("x", 20 + 7 * k, 5 + k), call("y", 30, 3, "x")) for k in range(count))
    )


@pytest.mark.parametrize("name", ["max_ratio", "req(0.8)", "mean_ratio", "misses(1.3)"])
def test_prices_that_were_kept_prove_most_of_it_at_once(name):
    problem, aim = offline_problem(queue(6)), read_objective(name)
    # a clock of its own: how far a search gets is the same on every machine
    first = priced_bound(problem, aim, 1.0, clock=itertools.count(0.0, 1e-3).__next__)
    nothing = priced_bound(problem, aim, 1e-9)
    kept = msgspec.json.decode(msgspec.json.encode(first.prices), type=KeptPrices)
    again = priced_bound(problem, aim, 1e-9, start=kept)
    assert again.passes <= 1
    assert first.value > nothing.value
    # where the best were found before intervals were laid out anew, they prove less in these
    assert nothing.value + 0.5 * (first.value - nothing.value) <= again.value
    further = priced_bound(problem, aim, 0.5, start=kept, clock=cpu_clock(1))
    assert further.value >= again.value * (1 - 1e-9)
    assert further.passes > 5


@pytest.mark.parametrize(
    "bent",
    [
        {"toll": (1.0,)},
        {"rate": ()},
        {"edge": (0.0, 1.0)},
        {"edge": (1.0, 2.0, 3.0)},
        {"edge": (0.0, 2.0, 2.0)},
        {"rate": ((0.0, 0.0),) * 3},
        {"owed": 1e99},
    ],
)
def test_prices_of_something_else_are_left_aside(bent):
    problem = offline_problem(queue(3))
    right = KeptPrices(edge=(0.0, 1.0, 2.0), rate=((1.0, 1.0),) * 3, toll=(), owed=0.0, cells=8, scale=1.1)
    assert fit(relax(problem), right)
    assert not fit(relax(problem), msgspec.structs.replace(right, **bent))
    assert priced_bound(problem, read_objective("max_ratio"), 1e-9, start=msgspec.structs.replace(right, **bent)).value


@settings(max_examples=40, deadline=None)
@given(corner_instances(workflows=(2, 6), calls=(1, 5)), st.integers(0, 2**32 - 1), st.floats(1.0, 1.6))
def test_a_schedule_pays_at_least_what_the_programs_say_at_any_prices(instance, seed, spread):
    """The heart of the proof: at any prices at all, what a real schedule uses costs no less than the cheapest plan."""
    rng = np.random.default_rng(seed)
    x = relax(offline_problem(instance))
    run = simulate(instance, str(rng.choice(POLICIES)), seed=seed % 1000)
    latest = run.completed * spread
    intervals = int(rng.integers(1, 12))
    token_prices, ranges = int(rng.integers(1, 40)), int(rng.integers(1, 6))
    planner = Planner(x, int(rng.integers(1, 40)), intervals, 1, token_prices, ranges)
    inside = np.sort(rng.uniform(0.0, 1.2, intervals + 1))
    edge = float(latest.max()) * np.concatenate([[0.0], inside[1:]])
    rate = rng.exponential(size=(planner.resources, intervals)) * rng.integers(
        0, 2, size=(planner.resources, intervals)
    )
    toll = rng.exponential(size=len(x.join_gap)) * 10.0 ** rng.uniform(-3, 1) * rng.integers(0, 2)
    slowness = rng.exponential(size=x.workflows) * 10.0 ** rng.uniform(-3, 1) * rng.integers(0, 2)
    prices = planner.prices(rate, edge, toll, float(rng.uniform(0.5, 3)), slowness)
    cost, _ = planner.plan(prices, latest)
    slack = np.maximum(run.completed - x.arrival - x.horizon, 0.0)
    assert float(cost.sum()) <= (paid(instance, x, run, rate, edge) + slowness @ slack) * (1 + 1e-9) + 1e-12


def paid(instance, x, run, rate, edge):
    """What the schedule pays at most, from its times alone.

    For the use of a batch, all the time that an instance has anything in it.
    """
    prefill_types, decode_types = type_of(instance)
    kinds, others = len(x.prefill_count), len(x.decode_count)
    calls = {(w.workflow_id, c.call_id): c for w in instance.workflows for c in w.calls}
    total = 0.0
    batches = {}
    for row in run.schedule.calls:
        one = calls[row.workflow_id, row.call_id]
        k, j = prefill_types[row.prefill_instance], decode_types[row.decode_instance]
        server = next(d for d in instance.decode if d.id == row.decode_instance)
        total += integral(rate[k], edge, row.prefill_start, row.prefill_end)
        held = (one.prompt_tokens + one.output_tokens) / server.kv_capacity_tokens
        total += held * integral(rate[kinds + others + j], edge, row.admitted, row.decode_end)
        if instance.decode_model == "fixed":
            total += integral(rate[kinds + j], edge, row.admitted, row.decode_end) / server.max_batch
        else:
            batches.setdefault(row.decode_instance, []).append((row.decode_start, row.decode_end))
    for name, spans in batches.items():
        for start, end in union(spans):
            total += integral(rate[kinds + decode_types[name]], edge, start, end)
    return total


def type_of(instance):
    links = {(x.source, x.to): (x.latency, x.bandwidth) for x in instance.links}
    prefill, decode = {}, {}
    first, second = {}, {}
    for i in instance.prefill:
        key = (i.prefill_coeffs, *(links[i.id, j.id] for j in instance.decode))
        prefill[i.id] = first.setdefault(key, len(first))
    for j in instance.decode:
        own = (j.decode_coeffs, j.batch_curve, j.fixed_iteration_time, j.kv_capacity_tokens, j.max_batch)
        key = (own, *(links[i.id, j.id] for i in instance.prefill))
        decode[j.id] = second.setdefault(key, len(second))
    return prefill, decode


def integral(rate, edge, start, end):
    return float(rate @ np.maximum(np.minimum(end, edge[1:]) - np.maximum(start, edge[:-1]), 0.0))


def union(spans):
    joined = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return joined


@pytest.mark.parametrize("decode_model", ["fluid", "fixed"])
def test_work_that_cannot_be_done_side_by_side_is_noticed(decode_model):
    """Two equal calls at once on one prefill instance: the second waits for all of the first's prefill."""
    instance = one_pair(
        workflow("a", 0.0, call("x", 50, 1)), workflow("b", 0.0, call("x", 50, 1)), decode_model=decode_model
    )
    (h,) = set(horizons(instance).values())
    prefill = instance.prefill[0].prefill_seconds(50, 0)
    exact = 1 + prefill / h
    found = priced_bound(offline_problem(instance), read_objective("max_ratio"), 5.0)
    assert 1 + 0.6 * (exact - 1) <= found.value <= exact * (1 + 1e-9)
    mean = priced_bound(offline_problem(instance), read_objective("mean_ratio"), 5.0)
    assert 1 + 0.3 * (exact - 1) / 2 <= mean.value <= 1 + (exact - 1) / 2 * (1 + 1e-9)


def test_a_batch_is_slower_for_all_of_it():
    """Long decodes together in the only batch: speed, not prefill, decides."""
    flows = [workflow(f"w{k}", 0.0, call("x", 1, 100)) for k in range(6)]
    instance = one_pair(*flows, decode_coeffs=(0.1, 1.0, 0.0), max_batch=6)
    found = priced_bound(offline_problem(instance), read_objective("max_ratio"), 5.0)
    value = simulate(instance, "hexagent").metrics.max_ratio
    assert 0.6 * value <= found.value <= value
    assert max(found.binding, key=found.binding.get) == "decode X"


def test_what_binds_adds_up():
    instance = one_pair(*(workflow(f"w{k}", 0.0, call("x", 50, 5)) for k in range(5)))
    found = priced_bound(offline_problem(instance), read_objective("max_ratio"), 2.0)
    assert sum(found.binding.values()) == pytest.approx(1.0)
    assert max(found.binding, key=found.binding.get) == "prefill X"


def test_a_join_waits_for_all_its_parents():
    """Siblings that could each be late alone must not be late together with what comes after them."""
    calls = [call("join0", 10, 2)]
    for level in range(4):
        calls += [call(f"s{level}{k}", 40, 5, f"join{level}") for k in range(5)]
        calls.append(call(f"join{level + 1}", 10, 100, *(f"s{level}{k}" for k in range(5))))
    flow = workflow("w", 0.0, *calls)
    instance = one_pair(flow)
    x = relax(offline_problem(instance))
    loads = []
    for firmness in (0.0, 1.0):
        tuning = Tuning(regrids=(), firmness=firmness)
        market = ascent.Market(x, np.linspace(0, 2 * x.horizon[0], 31), cells=32, workers=1, tuning=tuning)
        for _ in range(100):
            market.improve(1.15 * x.horizon, 0)
        loads.append(market.mixture.load.max())
    over = market.mixture.ended[x.join_from] - market.mixture.began[x.join_to]
    assert over.max() < 3.0
    assert loads[1] > 1.05 * loads[0]


def test_threads_change_nothing(monkeypatch):
    instance = one_pair(*(workflow(f"w{k}", float(k), call("x", 40 + k, 5), call("y", 30, 3, "x")) for k in range(9)))
    x = relax(offline_problem(instance))
    rate = np.random.default_rng(0).exponential(size=(3, 7))
    latest = x.arrival + 2 * x.horizon
    results = []
    for workers in (1, 3):
        planner = Planner(x, 30, 7, workers)
        cost, use = planner.plan(planner.prices(rate, np.arange(8) * 5.0), latest)
        results.append((cost.copy(), use.copy()))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])


def test_a_useless_workflow_is_dropped():
    """req(q) may leave out the one workflow that cannot be in time beside the others."""
    small = [workflow(f"w{k}", 20.0 * k, call("x", 10, 2)) for k in range(4)]
    instance = one_pair(*small, workflow("big", 0.0, call("x", 10, 2)))
    assert priced_bound(offline_problem(instance), read_objective("req(0.8)"), 1.0).value == pytest.approx(
        1.0, abs=1e-5
    )
    assert priced_bound(offline_problem(instance), read_objective("max_ratio"), 1.0).value > 1.02


def test_late_arrivals_and_no_time():
    instance = one_pair(workflow("a", 3.0, call("x", 5, 5)), workflow("b", 3.0, call("x", 5, 5)))
    early = priced_bound(offline_problem(instance), read_objective("max_ratio"), 1e-6)
    assert 1 - 1e-5 <= early.value <= simulate(instance, "hexagent").metrics.max_ratio
    shifted = replace(instance, workflows=tuple(replace(w, arrival=w.arrival + 1000.0) for w in instance.workflows))
    assert priced_bound(offline_problem(shifted), read_objective("misses(0.5)"), 1.0).value == 2.0


@pytest.mark.parametrize("batch", [1, 2, 6])
def test_a_full_batch_pays_for_just_the_time_it_takes(batch):
    """At one price for decode alone, equal calls in a full batch use the instance for as long as the batch lasts."""
    flows = [workflow(f"w{k}", 0.0, call("x", 1, 100)) for k in range(batch)]
    instance = one_pair(*flows, decode_coeffs=(0.1, 1.0, 0.0), max_batch=batch)
    x = relax(offline_problem(instance))
    rate = np.zeros((3, 4))
    rate[1] = 1.0
    latest = 10 * simulate(instance, "hexagent").completed
    planner = Planner(x, 40, 4, 1)
    cost, _ = planner.plan(
        planner.prices(rate, np.arange(5) * float(latest.max()) / 3), latest
    )  # priced beyond the last deadline
    together = 100 * (0.1 + batch)
    assert together * 0.9 <= cost.sum() <= together * (1 + 1e-9)


@given(corner_instances(workflows=(1, 4), calls=(1, 5)))
def test_horizons_are_those_of_the_engine(instance):
    assert relax(offline_problem(instance)).horizon == pytest.approx(list(horizons(instance).values()), rel=1e-12)


def test_means_are_close_where_waiting_is_all_there_is():
    """Calls of one size, one after another on a machine that does one at a time: the mean is that of the queue."""
    flows = [workflow(f"w{k}", 0.0, call("x", 1, 40)) for k in range(12)]
    instance = one_pair(*flows, decode_coeffs=(0.0, 1.0, 0.0), max_batch=1)
    known = value_of(instance, simulate(instance, "hexagent"), "mean_ratio")
    found = priced_bound(offline_problem(instance), read_objective("mean_ratio"), 2.0).value
    assert 0.8 * known <= found <= known * (1 + 1e-9)


def test_slack_at_the_end_costs_its_price():
    """Prefill is dear up to an instant and free afterwards, so waiting until then is all that is paid."""
    instance = one_pair(workflow("w", 0.0, call("x", 1, 40)))
    planner = Planner(relax(offline_problem(instance)), 64, 10, 1)
    rate = np.zeros((3, 10))
    rate[0, :3] = 1e6
    cost, _ = planner.plan(
        planner.prices(rate, np.arange(11) * 10.0, slowness=np.array([2.0])), planner.relaxation.horizon + 64.0
    )
    assert 0.9 * 2.0 * 30.0 <= cost[0] <= 2.0 * 30.0 * (1 + 1e-9)


def test_a_toll_is_paid_for_just_the_slack_between_parent_and_child():
    """Where only tolls are paid, the child starts as late and the other parent ends as early as can be."""
    instance = one_pair(workflow("w", 0.0, call("a", 9, 40), call("b", 3, 5), call("c", 5, 5, "a", "b")))
    x = relax(offline_problem(instance))
    planner = Planner(x, 64, 10, 1)
    latest = x.horizon + 32.0
    cell = float(planner.windows(latest)[1][0])
    cost, _ = planner.plan(planner.prices(np.zeros((3, 10)), np.arange(11) * 100.0, np.array([0.5])), latest)
    least = -0.5 * (32.0 + float(x.join_gap[0])) / cell
    assert least - 1.0 <= cost[0] <= least + 1e-6


def test_intervals_go_where_prices_are():
    """Laid out anew, intervals cover the same time and supply, are shorter where prices are, and prove as much."""
    flows = [workflow(f"w{k}", 100.0 * (k > 2), call("x", 40, 5), call("y", 30, 3, "x")) for k in range(4)]
    x = relax(offline_problem(one_pair(*flows)))
    latest = x.arrival + 1.3 * x.horizon
    supplies, paid = [], []
    for regrids in ((), (4,)):
        tuning = Tuning(regrids=regrids)
        market = ascent.Market(x, np.linspace(0.0, latest.max(), 21), cells=32, workers=1, tuning=tuning)
        for _ in range(30):
            market.improve(latest, 0)
        supplies.append(market.supply.sum(axis=1))
        paid.append(market.costs(latest).sum())
        assert market.edge[0] == 0.0
        assert market.edge[-1] == latest.max()
        assert np.all(np.diff(market.edge) > 0)
    assert supplies[0] == pytest.approx(supplies[1])
    early = np.searchsorted(market.edge, 100.0)
    assert early > 12  # of 20 intervals, most of which lie after the crowd at the start when they are even
    assert paid[1] >= 0.98 * paid[0]


def test_last_proofs_have_the_shortest_cells_that_there_is_time_for():
    """They prove more at the same prices, and no more than a schedule pays: each workflow alone uses what it needs."""
    flows = [workflow(f"w{k}", 0.0, call("x", 40, 5), call("y", 30, 3, "x"), call("z", 20, 9, "y")) for k in range(4)]
    x = relax(offline_problem(one_pair(*flows)))
    latest = x.arrival + 1.3 * x.horizon
    market = ascent.Market(x, np.linspace(0.0, latest.max(), 21), cells=4, workers=1)
    for _ in range(20):
        market.improve(latest, 0)
    market.back_to_best()  # nothing is proved yet: the prices at hand are what there is
    before, fine = market.costs(latest).sum(), market.fine
    assert before > 0
    market.sharpen(1e-9)
    assert market.fine is fine
    market.sharpen(1e9)
    assert (market.fine.cells, market.fine.token_prices) == (Tuning().finest, 2 * Tuning().proof_token_prices)
    assert before * 1.01 < market.costs(latest).sum() <= market.largest_load(0) * (1 + 1e-9)


class SteepMarket:
    """Prices that are as good as they get, and worth less the higher the scale: four workflows pay 1 at ``pays``."""

    def __init__(self, steepness: float, pays: float, load: float) -> None:
        self.tuning, self.passes = Tuning(), 1000
        self.relaxation = SimpleNamespace(arrival=np.zeros(4), horizon=np.ones(4), workflows=4)
        self.largest_load = lambda spare: load
        self.asked: list[float] = []
        self.refine = lambda: False
        self._steepness, self._pays = steepness, pays

    def costs(self, latest):
        self.asked.append(float(latest[0]))
        return np.full(4, (latest[0] / self._pays) ** -self._steepness / 4)

    def left(self):
        return max(1.0 - len(self.asked) / 24, 0.0)

    def __getattr__(self, name):
        return lambda *_: None


@pytest.mark.parametrize("steepness", [1.0, 3.0, 11.0, 30.0])
@pytest.mark.parametrize("load", [0.5, 2.0])
def test_the_scale_that_prices_pay_for_is_found_in_a_few_questions(steepness, load):
    """However fast prices fall with the scale, and also where loads promise that they will get better."""
    for pays in (1.02, 1.1, 1.35):
        market = SteepMarket(steepness, pays, load)
        found = ascent.tail_bound(market, 4, 1.0, 1.5, market.left)
        assert pays * 0.995 <= found <= pays
        assert len(market.asked) <= 26
