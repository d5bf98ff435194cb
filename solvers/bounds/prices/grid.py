"""Functions of slack on a grid of cells, whose interpolation between cells is nowhere above what they stand for.

Costs are sums, minima and shifts of such functions. Sums and minima keep the property. A chord may lie above a
function where its slope grows: there both ends of the chord are lowered by the most it does, which is of second order
in the length of a cell.
"""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel

ROUNDING = 1e-9  # of a cell: a shift this close to whole cells is whole


@kernel
def lower(values, over, cells):
    """Lower both ends of each cell by ``over`` of that cell; ``over`` is cleared."""
    before = 0.0
    for a in range(cells):
        here = over[a]
        values[a] -= max(before, here)
        over[a] = 0.0
        before = here
    values[cells] -= before


@kernel
def shifted(values, last, shift, out, over):
    """``out[a]`` from ``values`` at ``a + shift`` cells; the last cell of it, -1 when there is none.

    ``values`` are finite from 0 to ``last``.
    """
    whole = math.floor(shift + ROUNDING)
    part = shift - whole
    if part < ROUNDING:
        for a in range(last - whole + 1):
            out[a] = values[a + whole]
        return max(last - whole, -1)
    top = last - whole
    if top < 1:
        return -1
    for a in range(top):
        out[a] = (1.0 - part) * values[a + whole] + part * values[a + whole + 1]
    out[top] = values[last] + part * (values[last] - values[last - 1])
    for a in range(top - 1):
        bend = values[a + whole] - 2.0 * values[a + whole + 1] + values[a + whole + 2]
        if bend > 0.0:
            over[a] = part * (1.0 - part) * bend
    lower(out, over, top)
    return top


@kernel
def interval_at(prices, t):
    """The interval of prices in which t is; T after all of them."""
    intervals = prices.rate.shape[1]
    if t >= prices.edge[intervals]:
        return intervals
    parts = prices.guess.shape[0]
    k = prices.guess[min(max(int(t * parts / prices.edge[intervals]), 0), parts - 1)]
    while t >= prices.edge[k + 1]:
        k += 1
    return k


@kernel
def paid_until(prices, r, t):
    """Price of one instance of resource r from time 0 to t."""
    if t <= 0.0:
        return 0.0
    k = interval_at(prices, t)
    if k == prices.rate.shape[1]:
        return prices.paid[r, k]
    return prices.paid[r, k] + (t - prices.edge[k]) * prices.rate[r, k]


@kernel
def price_of(prices, r, begin, length):
    """Price of ``length`` seconds of one instance of resource r from ``begin``."""
    return paid_until(prices, r, begin + length) - paid_until(prices, r, begin)


@kernel
def add_price(prices, r, share, begin, length, cell, cells, values, price, over):
    """Add to ``values`` the price of ``length`` seconds of ``share`` of an instance, from each cell after ``begin``."""
    for a in range(cells + 1):
        price[a] = price_of(prices, r, begin + a * cell, length)
    for side in range(2):  # the slope changes where the start, or the end, enters another interval
        first = begin + side * length
        for k in range(interval_at(prices, first) + 1, prices.rate.shape[1] + 1):
            at = (prices.edge[k] - first) / cell
            a = math.floor(at)
            if a >= cells:
                break
            excess = price[a] + (at - a) * (price[a + 1] - price[a])
            excess -= price_of(prices, r, prices.edge[k] - side * length, length)
            over[a] = max(over[a], excess)
    lower(price, over, cells)
    for a in range(cells + 1):
        values[a] += share * price[a]


@kernel
def add_use(prices, use, row, r, begin, end, share):
    """Add what an instance is used between begin and end to ``use[row, r]``."""
    for k in range(interval_at(prices, begin), prices.rate.shape[1]):
        if prices.edge[k] >= end:
            break
        inside = min(end, prices.edge[k + 1]) - max(begin, prices.edge[k])
        if inside > 0.0:
            use[row, r, k] += share * inside
