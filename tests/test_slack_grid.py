"""Functions of slack on a grid: between cells they are nowhere above what they stand for."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from instances import call, one_pair, workflow

from hexsched.engine.kernel import interpreted
from solvers.bounds.prices.decode import decode_in_batch, set_worth
from solvers.bounds.prices.grid import add_price, interval_at, price_of, shifted
from solvers.bounds.prices.planner import Planner
from solvers.bounds.prices.relaxation import relax
from solvers.problem.offline import offline_problem

ROUNDING = 1e-9
costs = st.lists(st.floats(0, 100), min_size=2, max_size=12)


def edges(rng, intervals, end):
    return np.concatenate([[0.0], np.sort(rng.uniform(0.0, end, intervals - 1)), [end]])


@given(costs, st.floats(0, 13), st.integers(0, 2**32 - 1))
def test_a_shift_is_below_what_it_shifts(values, shift, seed):
    values = np.cumsum(values)
    last = len(values) - 1
    out, over = np.zeros(last + 2), np.zeros(last + 2)
    top = interpreted(shifted)(values, last, shift, out, over)
    assert not over.any()
    if top < 0:
        assert shift > last - 1e-6
        return
    assert top >= last - shift - 1e-6
    s = np.random.default_rng(seed).uniform(0.0, max(last - shift, 0.0), 50)
    true = np.interp(s + shift, np.arange(last + 1), values)
    assert np.all(np.interp(s, np.arange(top + 1), out[: top + 1]) <= true + ROUNDING * (1 + values[-1]))


@given(st.integers(1, 9), st.floats(0, 1), st.floats(0, 5))
def test_a_shift_loses_nothing_where_there_is_no_bend(last, part, slope):
    values = slope * np.arange(last + 1.0)
    out, over = np.zeros(last + 2), np.zeros(last + 2)
    top = interpreted(shifted)(values, last, part, out, over)
    assert out[: top + 1] == pytest.approx(slope * (np.arange(top + 1) + part), abs=1e-9)


@given(st.integers(1, 8), st.integers(1, 12), st.floats(0, 20), st.floats(0.01, 30), st.integers(0, 2**32 - 1))
def test_a_price_is_below_the_price_at_any_start(intervals, cells, begin, length, seed):
    rng = np.random.default_rng(seed)
    planner = Planner(relax(offline_problem(one_pair(workflow("w", 0.0, call("x", 5, 5))))), 8, intervals, 1)
    prices = planner.prices(rng.exponential(size=(3, intervals)), edges(rng, intervals, 25.0))
    cell = float(rng.uniform(0.01, 5.0))
    values, price, over = np.zeros(cells + 1), np.zeros(cells + 1), np.zeros(cells + 1)
    interpreted(add_price)(prices, 0, 1.0, begin, length, cell, cells, values, price, over)
    s = rng.uniform(0.0, cells, 50)
    true = [interpreted(price_of)(prices, 0, begin + cell * x, length) for x in s]
    assert np.all(np.interp(s, np.arange(cells + 1), values) <= np.array(true) + ROUNDING)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 30), st.integers(1, 5), st.booleans())
def test_no_way_to_decode_is_cheaper(seed, intervals, last, ranges, free):
    """A call that runs at speeds drawn at random, or at the best for some price of a token, pays no less."""
    rng = np.random.default_rng(seed)
    one = call("x", int(rng.integers(1, 300)), int(rng.integers(1, 200)))
    flows = [workflow(f"w{k}", 0.0, one) for k in range(12)]  # so that a batch of twelve can be
    slope = float(rng.choice([0.0, 1e-4]))
    coeffs = (float(rng.uniform(0.01, 0.1)), 0.01, slope)
    instance = one_pair(*flows, decode_coeffs=coeffs, max_batch=12, kv_capacity_tokens=12 * 500)
    x = relax(offline_problem(instance))
    planner = Planner(x, 16, intervals, 1, int(rng.integers(2, 40)), ranges)
    end = float(rng.uniform(0.3, 3.0)) * float(x.horizon[0])
    rate = rng.exponential(size=(3, intervals)) * rng.choice([1.0, 1e-3, 0.0 if free else 1.0], size=(3, intervals))
    prices = planner.prices(rate, edges(rng, intervals, end))
    cell = float(rng.uniform(0.02, 1.0)) * float(x.horizon[0]) / last
    scratch = planner.scratch()
    assume(last + 1 <= len(scratch.then))
    then = np.cumsum(rng.exponential(size=last + 1) * rng.choice([0.0, 1e-2, 1.0]))
    scratch.then[: last + 1] = then
    interpreted(decode_in_batch)(planner.tables, prices, scratch, 0, 0, 0, cell, last)
    found = scratch.total[: last + 1]
    batch = np.arange(1, 13)
    curve = instance.decode[0].decode_coeffs[0] + 0.01 * batch
    start, grid = float(x.head[0] + x.before[0, 0]), np.arange(last + 1)
    steps = float(x.alone[0, 0]) / 50
    for _ in range(20):
        slack = float(rng.choice([0.0, rng.uniform(0.0, last)]))
        now, paid, tokens = start + slack * cell, 0.0, float(x.tokens[0])
        thrift = float(rng.choice([np.nan, 10 ** rng.uniform(-2, 2)]))  # what a token is worth; nan: any speed
        while tokens > 1e-9:
            k = int(np.searchsorted(prices.edge, now, "right")) - 1
            now_rate = rate[1, k] if k < intervals else 0.0
            seconds = steps if k >= intervals else min(steps, max(prices.edge[k + 1] - now, 1e-9))
            held = instance.workflows[0].calls[0].prompt_tokens + float(x.tokens[0]) - tokens
            pace, use = curve + slope * held * batch, curve / batch + slope * held
            one = int(rng.integers(12) if np.isnan(thrift) else np.argmax((thrift - now_rate * use) / pace))
            made = min(tokens, seconds / pace[one])
            held += made / 2
            seconds = made * (curve[one] + slope * held * batch[one])
            paid += interpreted(price_of)(prices, 1, now, seconds) / batch[one]
            paid += interpreted(price_of)(prices, 2, now, seconds) * float(x.kv_share[0, 0])
            now, tokens = now + seconds, tokens - made
        after = (now - start - float(x.alone[0, 0])) / cell
        if 0 <= after <= last:
            cost = paid + float(np.interp(after, grid, then))
            # inside a step tokens are made at one speed, as if the KV cache did not grow
            assert float(np.interp(slack, grid, found)) <= cost * 1.001 + ROUNDING


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1.0, -1.0]), st.integers(0, 2**32 - 1))
def test_the_worth_of_time_is_below_at_any_time(intervals, cells, sign, seed):
    rng = np.random.default_rng(seed)
    planner = Planner(relax(offline_problem(one_pair(workflow("w", 0.0, call("x", 5, 5))))), 8, intervals, 1, 3)
    prices, scratch = planner.prices(np.zeros((3, intervals)), edges(rng, intervals, 10.0)), planner.scratch()
    scratch.slope[:] = rng.normal(size=scratch.slope.shape)
    scratch.gained[1:] = np.cumsum(scratch.slope[:-1] * np.diff(prices.edge)[:, None], axis=0)
    begin, cell = float(rng.uniform(0, 9)), float(rng.uniform(0.05, 2.0))
    first = int(np.searchsorted(prices.edge, begin, "right")) - 1
    values = np.zeros((cells + 1, 3))
    interpreted(set_worth)(prices, scratch, begin, cell, cells, first, intervals, 3, sign, values)
    assert not scratch.above.any()
    s = rng.uniform(0.0, cells, 80)
    k = np.clip(np.searchsorted(prices.edge, begin + s * cell, "right") - 1, 0, intervals)
    for g in range(3):
        true = sign * (scratch.gained[k, g] + (begin + s * cell - prices.edge[k]) * scratch.slope[k, g])
        assert np.all(np.interp(s, np.arange(cells + 1), values[:, g]) <= true + ROUNDING)


@given(st.integers(1, 12), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_every_time_has_its_interval(intervals, end, seed):
    rng = np.random.default_rng(seed)
    planner = Planner(relax(offline_problem(one_pair(workflow("w", 0.0, call("x", 5, 5))))), 8, intervals, 1)
    prices = planner.prices(np.zeros((3, intervals)), edges(rng, intervals, end))
    exact = [
        *prices.edge,
        *np.nextafter(prices.edge, 0.0),
        *np.nextafter(prices.edge, np.inf),
        *rng.uniform(0, end, 20),
    ]
    for t in exact:
        assert interpreted(interval_at)(prices, t) == max(int(np.searchsorted(prices.edge, t, "right")) - 1, 0)
