"""Which side of a bracket is loose: what prices could prove at most lies between the bound and the schedule."""

from __future__ import annotations

import time

import numpy as np
import pytest
from campaigns.sides.sides import sides
from instances import call, one_pair, workflow

from solvers.bounds.prices.bound import market_until
from solvers.bounds.prices.columns import Columns, Prices
from solvers.bounds.prices.relaxation import relax
from solvers.problem.left import until
from solvers.problem.offline import offline_problem


def contended():
    """Calls of many lengths at once on one pair, and a join."""
    flows = [workflow(f"w{k}", 0.3 * k, call("x", 20 + 7 * k, 5 + k), call("y", 30, 3, "x")) for k in range(4)]
    return one_pair(*flows, workflow("j", 0.0, call("a", 30, 4), call("b", 20, 9), call("c", 10, 3, "a", "b")))


def test_column_generation_tells_from_both_sides_what_prices_can_prove():
    x = relax(offline_problem(contended()))
    assert len(x.join_gap) == 1
    market = market_until(x, float((x.arrival + 4 * x.horizon).max()), 0)
    for _ in range(30):
        market.improve(x.arrival + 1.5 * x.horizon, 0.0)
    program = Columns(x, market.edge, 64)
    program.know(market)
    prices, below = Prices(market.rate, np.zeros(1)), []
    for scale in (1.01, 1.5, 4.0):
        latest = x.arrival + scale * x.horizon
        found = program.solve(latest, prices, until(time.process_time() + 0.5, time.process_time), decide=True)
        assert found.lower <= found.upper * (1 + 1e-6)
        assert (found.prices.rate * program.supply).sum() == pytest.approx(1.0)
        # the prices themselves prove it, asked of the dynamic program alone
        market.rate, market.toll = found.prices.rate, np.zeros(1)
        assert found.prices.toll.any() or market.costs(latest).sum() == pytest.approx(found.lower, rel=0.05)
        below.append((found.lower > 1, found.upper <= 1))
    assert below[0] == (True, False)
    assert below[-1] == (False, True)


def test_the_relaxation_is_between_both_ends():
    found = sides(contended(), "max_ratio", 0.5, 2.0, 0.5)
    assert 1 <= found["half_bound"] <= found["bound"] <= found["relaxation_at_least"] <= found["relaxation_at_most"]
    assert found["relaxation_at_most"] <= found["value"] * (1 + 1e-9) <= found["half_value"] * (1 + 1e-9)
