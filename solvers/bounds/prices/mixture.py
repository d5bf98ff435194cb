"""A fractional schedule, every workflow a mixture of schedules of its own, and the prices that follow from its loads.

The mixture minimises a smooth version of the largest load, log sum exp(sharpness load) / sharpness, where what the
objective counts (workflows that are dropped, or weighted slack) is a load as well, over what of it may be; the gradient
is the price of each resource. Schedules are added one at a time, the cheapest of their workflow at the present prices
(block-coordinate Frank-Wolfe: Lacoste-Julien et al., 2013), and weights move from the dearest schedule of a workflow to
its cheapest (pairwise steps: Lacoste-Julien and Jaggi, On the global linear convergence of Frank-Wolfe optimization
variants, 2015), which costs next to nothing beside finding a schedule. That no child begins before a parent ends, where
the forest leaves that open, is a constraint on the mixture, priced by an augmented Lagrangian. All of this only looks
for prices: it proves nothing.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from hexsched.engine.by_address import by_address
from hexsched.engine.kernel import entry, kernel
from solvers.bounds.prices.program import plan_workflow

Array = np.ndarray[Any, Any]

LONGEST = 2.0  # change of load times sharpness in one step: beyond, the second derivative says little


@by_address
class Mixture(NamedTuple):
    """The state; P schedules of each workflow are remembered, the first is to drop it.

    Attributes
    ----------
    plan : (W, P, K + 2 L, T) float array
        Seconds of instances that each schedule uses.
    weight : (W, P) float array
        Sums to 1 along P.
    made_for : (W, P) float array
        Latest completion for which each schedule was made; inf: none there.
    end, start : (N, P) float arrays
        Slack of completion and of the start of prefill in each schedule, cells.
    ended, began : (N,) float arrays
        Mean of ``end`` and of ``start`` over the mixture.
    push : (J,) float array
        Multipliers of the joins.
    load, supply : (K + 2 L, T) float arrays
        Sum of uses as a share of ``supply``.
    owed : (W, P) float array
        What each schedule adds to the objective; the first is what dropping the workflow adds.
    slowness : (W,) float array
        What a second of slack at the end of each workflow adds to it.
    total : (1,) float array
        What the mixture owes.
    fresh : (1, K + 2 L, T) float array
        Scratch.
    cost : (P,) float array
        Scratch.
    """

    plan: Array
    weight: Array
    made_for: Array
    end: Array
    start: Array
    ended: Array
    began: Array
    push: Array
    load: Array
    supply: Array
    owed: Array
    slowness: Array
    total: Array
    fresh: Array
    cost: Array


@kernel
def set_prices(prices, mixture, spare, sharpness):
    """Prices proportional to exp(sharpness load); that of what the objective counts is returned.

    All supply, and all of ``spare``, is worth 1 together.
    """
    load, supply, owed = mixture.load, mixture.supply, mixture.total[0]
    highest = owed / spare if spare > 0.0 else -math.inf
    for r in range(load.shape[0]):
        for k in range(load.shape[1]):
            highest = max(highest, load[r, k])
    owed_price = math.exp(sharpness * (owed / spare - highest)) if spare > 0.0 else 0.0
    total = owed_price
    for r in range(load.shape[0]):
        for k in range(load.shape[1]):
            prices.rate[r, k] = math.exp(sharpness * (load[r, k] - highest))
            total += prices.rate[r, k]
    for r in range(load.shape[0]):
        paid = 0.0
        for k in range(load.shape[1]):
            prices.rate[r, k] /= total * supply[r, k]
            prices.paid[r, k] = paid
            paid += prices.rate[r, k] * (prices.edge[k + 1] - prices.edge[k])
        prices.paid[r, load.shape[1]] = paid
    owed_price = owed_price / (total * spare) if spare > 0.0 else math.inf
    if spare > 0.0:
        for w in range(prices.slowness.shape[0]):
            prices.slowness[w] = owed_price * mixture.slowness[w]
    return owed_price


@kernel
def set_tolls(tables, prices, mixture, w, cell, firmness, learn):
    """Tolls of the joins of w: higher where parents end after children begin. ``learn``: the multipliers follow."""
    for j in range(tables.first_join[w], tables.first_join[w + 1]):
        over = mixture.ended[tables.join_from[j]] - mixture.began[tables.join_to[j]]
        over = firmness * (over - (1.0 - mixture.weight[w, 0]) * tables.join_gap[j] / cell)
        if learn:
            mixture.push[j] = max(mixture.push[j] + over, 0.0)
        prices.toll[j] = max(mixture.push[j] + over, 0.0)


@kernel
def plan_cost(tables, prices, mixture, w, cell, k):
    """What schedule k of w pays at the present prices, tolls included."""
    cost = 0.0
    for r in range(prices.rate.shape[0]):
        for t in range(prices.rate.shape[1]):
            cost += prices.rate[r, t] * mixture.plan[w, k, r, t]
    for j in range(tables.first_join[w], tables.first_join[w + 1]):
        cost += prices.toll[j] * overlap(tables, mixture, j, cell, k)
    return cost


@kernel
def overlap(tables, mixture, j, cell, k):
    """Cells by which the parent of join j ends after the child begins in schedule k; 0 where both are dropped."""
    if k == 0:
        return 0.0
    return mixture.end[tables.join_from[j], k] - mixture.start[tables.join_to[j], k] - tables.join_gap[j] / cell


@kernel
def toll_curvature(tables, mixture, w, cell, to, off, firmness):
    """Second derivative of the joins' part along a move from schedule ``off`` to schedule ``to``, at most."""
    found = 0.0
    for j in range(tables.first_join[w], tables.first_join[w + 1]):
        found += (overlap(tables, mixture, j, cell, to) - overlap(tables, mixture, j, cell, off)) ** 2
    return firmness * found


@kernel
def move(tables, mixture, w, to, off, step):
    """Move weight from schedule ``off`` to schedule ``to``."""
    mixture.weight[w, to] += step
    mixture.weight[w, off] -= step
    mixture.total[0] += step * (mixture.owed[w, to] - mixture.owed[w, off])
    for r in range(mixture.load.shape[0]):
        for t in range(mixture.load.shape[1]):
            change = mixture.plan[w, to, r, t] - mixture.plan[w, off, r, t]
            if change != 0.0:
                mixture.load[r, t] += step * change / mixture.supply[r, t]
    if tables.first_join[w + 1] == tables.first_join[w]:
        return
    for c in range(tables.first_call[w], tables.first_call[w + 1]):
        if to > 0:
            mixture.ended[c] += step * mixture.end[c, to]
            mixture.began[c] += step * mixture.start[c, to]
        if off > 0:
            mixture.ended[c] -= step * mixture.end[c, off]
            mixture.began[c] -= step * mixture.start[c, off]


@kernel
def exchange(tables, prices, mixture, w, cell, spare, owed_price, sharpness, firmness):
    """Move weight from the dearest schedule of w to the cheapest, as far as the potential falls (a Newton step)."""
    cheapest, dearest = -1, -1
    for k in range(mixture.weight.shape[1]):
        if mixture.made_for[w, k] == math.inf:
            continue
        mixture.cost[k] = plan_cost(tables, prices, mixture, w, cell, k) if k > 0 else 0.0
        if mixture.owed[w, k] > 0.0:
            mixture.cost[k] += owed_price * mixture.owed[w, k]
        if mixture.cost[k] < math.inf and (cheapest < 0 or mixture.cost[k] < mixture.cost[cheapest]):
            cheapest = k
        if mixture.weight[w, k] > 0.0 and (dearest < 0 or mixture.cost[k] > mixture.cost[dearest]):
            dearest = k
    if cheapest < 0 or dearest < 0 or cheapest == dearest:
        return
    slope = mixture.cost[dearest] - mixture.cost[cheapest]
    if not slope > 0.0:
        return
    if slope == math.inf:
        move(tables, mixture, w, cheapest, dearest, mixture.weight[w, dearest])
        return
    mean, square, most = 0.0, 0.0, 0.0
    for r in range(mixture.load.shape[0]):
        for t in range(mixture.load.shape[1]):
            change = mixture.plan[w, cheapest, r, t] - mixture.plan[w, dearest, r, t]
            if change != 0.0:
                mean += prices.rate[r, t] * change
                square += prices.rate[r, t] * change * change / mixture.supply[r, t]
                most = max(most, abs(change) / mixture.supply[r, t])
    owed = mixture.owed[w, cheapest] - mixture.owed[w, dearest]
    if spare > 0.0 and owed != 0.0:
        mean += owed_price * owed
        square += owed_price * owed * owed / spare
        most = max(most, abs(owed) / spare)
    curvature = sharpness * max(square - mean * mean, 0.0)
    curvature += toll_curvature(tables, mixture, w, cell, cheapest, dearest, firmness)
    step = mixture.weight[w, dearest]
    if curvature * step > slope:
        step = slope / curvature
    if sharpness * most * step > LONGEST:
        step = LONGEST / (sharpness * most)
    move(tables, mixture, w, cheapest, dearest, step)


@kernel
def remember(tables, scratch, mixture, w, cell, latest):
    """Store the fresh schedule in place of one without weight, or of the lightest, whose weight it gets."""
    at = 1
    for k in range(1, mixture.weight.shape[1]):
        if mixture.made_for[w, k] == math.inf:
            at = k
            break
        if mixture.weight[w, k] < mixture.weight[w, at]:
            at = k
    held = mixture.weight[w, at]
    if held > 0.0:
        move(tables, mixture, w, 0, at, held)
    mixture.made_for[w, at] = latest
    for r in range(mixture.load.shape[0]):
        for t in range(mixture.load.shape[1]):
            mixture.plan[w, at, r, t] = mixture.fresh[0, r, t]
    base = tables.first_call[w]
    mixture.owed[w, at] = mixture.slowness[w] * scratch.ended[tables.final[w] - base] * cell
    for c in range(base, tables.first_call[w + 1]):
        mixture.end[c, at] = scratch.ended[c - base]
        mixture.start[c, at] = scratch.began[c - base]
    if held > 0.0:
        move(tables, mixture, w, at, 0, held)
    return at


@entry
def improve(
    tables, prices, scratch, fixed, order, limit, cell, latest, spare, first, sharpness, firmness, exchanges, mixture,
    released,
):  # fmt: skip
    """Add the cheapest schedule of one workflow after another, then exchange weights; prices follow at once.

    Parameters
    ----------
    order : (W,) int array
        Who moves when.
    limit, cell : (N,), (W,) float arrays
        As in ``plan_workflows``.
    latest : (W,) float array
        Latest completions.
    spare : float
        How much may be owed.
    first : bool
        Whether nothing is used yet.
    sharpness : float
        Of the soft maximum.
    firmness : (W,) float array
        Of the joins: how fast their multipliers grow.
    exchanges : int
        Rounds of exchanges.
    mixture : Mixture
        Changed.
    released : (N,) float array
        Scratch.
    """
    for position in range(order.shape[0]):
        w = order[position]
        owed_price = set_prices(prices, mixture, spare, sharpness)
        if not first:
            set_tolls(tables, prices, mixture, w, cell[w], firmness[w], True)
        cost = plan_workflow(tables, prices, scratch, fixed, w, limit, cell[w], mixture.fresh, 0, released)
        if cost == math.inf:
            for k in range(1, mixture.weight.shape[1]):
                if mixture.weight[w, k] > 0.0:
                    move(tables, mixture, w, 0, k, mixture.weight[w, k])
                mixture.made_for[w, k] = math.inf
            continue
        at = remember(tables, scratch, mixture, w, cell[w], latest[w])
        for k in range(1, mixture.weight.shape[1]):
            if latest[w] < mixture.made_for[w, k] < math.inf:  # too late now
                if mixture.weight[w, k] > 0.0:
                    move(tables, mixture, w, at, k, mixture.weight[w, k])
                mixture.made_for[w, k] = math.inf
        if first and cost <= owed_price * mixture.owed[w, 0]:
            move(tables, mixture, w, at, 0, mixture.weight[w, 0])
        elif not first:
            exchange(tables, prices, mixture, w, cell[w], spare, owed_price, sharpness, firmness[w])
    for _ in range(exchanges):
        for position in range(order.shape[0]):
            w = order[position]
            owed_price = set_prices(prices, mixture, spare, sharpness)
            set_tolls(tables, prices, mixture, w, cell[w], firmness[w], False)
            exchange(tables, prices, mixture, w, cell[w], spare, owed_price, sharpness, firmness[w])
    for w in range(order.shape[0]):
        set_tolls(tables, prices, mixture, w, cell[w], firmness[w], False)
    set_prices(prices, mixture, spare, sharpness)
