"""What decode in a batch costs at least, from any start to any end: the price of a token decides how fast it runs.

Say that tokens are worth mu each. At a price lambda of the machine, a second of decode at a speed that takes p seconds
a token, and uses u seconds of the machine a token, is worth (mu - lambda u) / p; ``psi`` is the most that any speed
makes of it. Whatever a call does from t to t', it pays at least

    mu m - integral of psi from t to t',

at any mu, for its m tokens. So the cost of decode from t, and of what follows, is at least the largest, over mu, of
the cheapest end at that mu. That is exact where cost after decode is convex in its end; where it is not, ends are
looked at in several ranges, and the cheapest range counts.
"""

from __future__ import annotations

import math

from hexsched.engine.kernel import kernel
from solvers.bounds.prices.grid import add_price, interval_at, lower

COMMON = 100.0  # the largest price of a token that is looked at, over the least of those that lie close
FEW = 4  # prices below
CLOSE, FAR = 1.1, 1e100  # ratios of prices of a token when what is used is added up
HALVINGS = 20


@kernel
def slower_below(tables, c, x, k):
    """The price of a token, at a price of 1, below which the speed after corner k is worth more than that of corner k.

    For the last corner: below which its time is worth less than nothing.
    """
    use = tables.speed_use[k] + tables.own[c, x]
    if k + 1 == tables.first_speed[x + 1]:
        return use
    fall = (tables.speed_use[k] - tables.speed_use[k + 1]) / (tables.speed_extra[k + 1] - tables.speed_extra[k])
    return use + (tables.token[c, x] + tables.speed_extra[k]) * fall


@kernel
def set_changes(tables, scratch, c, x):
    """``change``: ``slower_below`` of all corners of type x."""
    for k in range(tables.first_speed[x], tables.first_speed[x + 1]):
        scratch.change[k] = slower_below(tables, c, x, k)


@kernel
def set_token_prices(tables, prices, scratch, c, x, first, stop):
    """Prices of a token, ascending, for the prices of the machine in intervals first to stop - 1; how many."""
    r = tables.prefill.shape[1] + x
    lowest, highest = math.inf, 0.0
    for k in range(first, stop):
        rate = prices.rate[r, k]
        if rate > 0.0:
            lowest = min(lowest, rate)
            highest = max(highest, rate)
    if highest <= 0.0:
        scratch.token_price[0] = 0.0
        return 1
    high = highest * scratch.change[tables.first_speed[x]]
    low = lowest * scratch.change[tables.first_speed[x + 1] - 1]
    count = scratch.token_price.shape[0]
    few = min(FEW, count // 4)
    price = high
    step = max(min(high / low, COMMON), 1.0) ** (1.0 / max(count - few - 1, 1))
    for g in range(count - 1, few - 1, -1):
        scratch.token_price[g] = price
        price /= step
    price *= step
    step = max(price / low, 1.0) ** (1.0 / max(few, 1))
    for g in range(few - 1, -1, -1):
        price /= step
        scratch.token_price[g] = price
    return count


@kernel
def worth_of_time(tables, prices, scratch, c, x, first, stop, count):
    """``slope``, ``gained``: what seconds of decode are worth in intervals first to stop, at each price of a token."""
    kinds, others = tables.prefill.shape[1], tables.before.shape[1]
    intervals = prices.rate.shape[1]
    fastest, slowest = tables.first_speed[x], tables.first_speed[x + 1] - 1
    for g in range(count):
        scratch.gained[first, g] = 0.0
    for k in range(first, stop + 1):
        rate = prices.rate[kinds + x, k] if k < intervals else 0.0
        held = tables.kv_share[c, x] * prices.rate[kinds + others + x, k] if k < intervals else 0.0
        corner = slowest if rate > 0.0 else fastest
        for g in range(count):
            mu = scratch.token_price[g]
            while corner > fastest and mu >= rate * scratch.change[corner - 1]:
                corner -= 1
            worth = mu - rate * (tables.speed_use[corner] + tables.own[c, x])
            worth = worth / (tables.token[c, x] + tables.speed_extra[corner]) - held
            scratch.slope[k, g] = worth
            if k < stop:
                scratch.gained[k + 1, g] = scratch.gained[k, g] + worth * (prices.edge[k + 1] - prices.edge[k])


@kernel
def set_worth(prices, scratch, begin, cell, cells, first, stop, count, sign, values):
    """``values``: sign times what the time until each cell after ``begin`` was worth, at each price of a token."""
    for a in range(cells + 1):
        t = begin + a * cell
        k = min(max(interval_at(prices, t), first), stop)
        t = sign * (t - prices.edge[k])
        for g in range(count):
            values[a, g] = sign * scratch.gained[k, g] + t * scratch.slope[k, g]
    # chords above the function, where a boundary of intervals is inside a cell
    since = max(interval_at(prices, begin), first) + 1
    for k in range(since, stop + 1):
        at = (prices.edge[k] - begin) / cell
        a = math.floor(at)
        if a >= cells:
            break
        for g in range(count):
            if sign * (scratch.slope[k, g] - scratch.slope[k - 1, g]) > 0.0:
                excess = values[a, g] + (at - a) * (values[a + 1, g] - values[a, g]) - sign * scratch.gained[k, g]
                scratch.above[a, g] = max(scratch.above[a, g], excess)
    done = -1
    for k in range(since, stop + 1):
        a = math.floor((prices.edge[k] - begin) / cell)
        if a >= cells:
            break
        if a == done:
            continue
        for g in range(count):
            before = scratch.above[a - 1, g] if a == done + 1 and done >= 0 else 0.0
            values[a, g] -= max(scratch.above[a, g] - before, 0.0)
            values[a + 1, g] -= scratch.above[a, g]
        if done >= 0:
            for g in range(count):
                scratch.above[done, g] = 0.0
        done = a
    if done >= 0:
        for g in range(count):
            scratch.above[done, g] = 0.0


@kernel
def decode_in_batch(tables, prices, scratch, c, row, x, cell, last):
    """Cost from the start of decode of c on type x to the end, by cell of the start, in ``total``.

    ``then`` holds the cost after the end of decode, by cell up to ``last``.
    """
    intervals = prices.rate.shape[1]
    begin = tables.head[c] + tables.before[c, x]
    end = begin + tables.alone[c, x]
    first = interval_at(prices, begin)
    stop = min(interval_at(prices, end + last * cell) + 1, intervals)
    set_changes(tables, scratch, c, x)
    count = set_token_prices(tables, prices, scratch, c, x, first, min(stop + 1, intervals))
    worth_of_time(tables, prices, scratch, c, x, first, stop, count)
    set_worth(prices, scratch, begin, cell, last, first, stop, count, 1.0, scratch.worth)
    set_worth(prices, scratch, end, cell, last, first, stop, count, -1.0, scratch.rest)
    for g in range(count):
        scratch.all_tokens[g] = scratch.token_price[g] * tables.tokens[c]
    ranges = max(min(scratch.ranges[0], last), 1)
    high = last
    for part in range(ranges - 1, -1, -1):
        low = last * part // ranges
        end_within(scratch, low, high, count)
        for a in range(high + 1):
            most, dearest = -math.inf, 0
            for g in range(count):
                if scratch.cost[a, g] > most:
                    most, dearest = scratch.cost[a, g], g
            scratch.most[a] = most
            scratch.dearest[a] = dearest
            if a > 0 and scratch.dearest[a - 1] != dearest:
                # a chord between two functions of which the larger counts
                other = scratch.dearest[a - 1]
                left = scratch.cost[a - 1, other] - scratch.cost[a - 1, dearest]
                right = most - scratch.cost[a, other]
                if left > 0.0 and right > 0.0:
                    scratch.over[a - 1] = left * right / (left + right)
        lower(scratch.most, scratch.over, high)
        for a in range(high + 1):
            if high == last or scratch.most[a] < scratch.total[a]:
                dearest = scratch.dearest[a]
                scratch.total[a] = scratch.most[a]
                scratch.decode_price[x, row, a] = scratch.token_price[dearest]
                scratch.decode_from[x, row, a] = scratch.best_end[a, max(dearest - 1, 0)]
                scratch.decode_to[x, row, a] = scratch.best_end[a, min(dearest + 1, count - 1)]
        high = low


@kernel
def end_within(scratch, low, high, count):
    """``cost`` from the start of decode in each cell, for ends from cell low to high, at each price of a token."""
    for g in range(count):
        scratch.best[g] = math.inf
        scratch.at[g] = high
    for a in range(high, -1, -1):
        then = scratch.then[a] if a >= low else math.inf
        for g in range(count):
            cost = scratch.rest[a, g] + then
            better = cost < scratch.best[g]
            scratch.best[g] = cost if better else scratch.best[g]
            scratch.at[g] = a if better else scratch.at[g]
            scratch.best_end[a, g] = scratch.at[g]
            scratch.cost[a, g] = scratch.worth[a, g] + scratch.best[g] + scratch.all_tokens[g]


@kernel
def decode_fixed(tables, prices, scratch, c, row, x, cell, last):
    """As ``decode_in_batch``, where decode times are fixed: slots and KV cache are held from admission on."""
    kinds, others = tables.prefill.shape[1], tables.before.shape[1]
    stay = tables.transfer[c, x] + tables.alone[c, x]
    begin = tables.head[c] + tables.before[c, x] - tables.transfer[c, x]
    for a in range(last + 1):
        scratch.total[a] = scratch.then[a]
    slots, cache = kinds + x, kinds + others + x
    add_price(prices, slots, tables.slot_share[x], begin, stay, cell, last, scratch.total, scratch.price, scratch.over)
    add_price(prices, cache, tables.kv_share[c, x], begin, stay, cell, last, scratch.total, scratch.price, scratch.over)


@kernel
def speed_at(tables, prices, scratch, x, mu, k, corner):
    """The corner at which a call runs in interval k at the price mu of a token; ``corner`` is a guess."""
    rate = prices.rate[tables.prefill.shape[1] + x, k] if k < prices.rate.shape[1] else 0.0
    fastest, slowest = tables.first_speed[x], tables.first_speed[x + 1] - 1
    while corner > fastest and mu >= rate * scratch.change[corner - 1]:
        corner -= 1
    while corner < slowest and mu < rate * scratch.change[corner]:
        corner += 1
    return corner


@kernel
def end_of_tokens(tables, prices, scratch, c, x, mu, begin, latest):
    """When all tokens are out at the price mu of a token, from ``begin`` on; ``latest`` at most."""
    intervals = prices.rate.shape[1]
    k = interval_at(prices, begin)
    left, at, corner = tables.tokens[c], begin, tables.first_speed[x]
    while at < latest:
        until = min(latest, prices.edge[k + 1]) if k < intervals else latest
        corner = speed_at(tables, prices, scratch, x, mu, k, corner)
        second = tables.token[c, x] + tables.speed_extra[corner]
        if left * second <= until - at:
            return at + left * second
        left -= (until - at) / second
        at = until
        k += 1
    return latest


@kernel
def run_at(tables, prices, scratch, c, x, mu, begin, end, use, row, share):
    """Tokens that c makes from begin to end at the price mu of a token; ``share`` of what that uses goes to ``use``."""
    intervals = prices.rate.shape[1]
    r = tables.prefill.shape[1] + x
    tokens = 0.0
    k = interval_at(prices, begin)
    at, corner = begin, tables.first_speed[x]
    while at < end:
        until = min(end, prices.edge[k + 1]) if k < intervals else end
        corner = speed_at(tables, prices, scratch, x, mu, k, corner)
        made = (until - at) / (tables.token[c, x] + tables.speed_extra[corner])
        tokens += made
        if share > 0.0 and k < intervals:
            use[row, r, k] += share * made * (tables.speed_use[corner] + tables.own[c, x])
        at = until
        k += 1
    return tokens


@kernel
def use_of_decode(tables, prices, scratch, use, row, c, x, mu, begin, end):
    """Add what decode from begin to end uses: between the prices of a token that make too few tokens and too many."""
    wanted = tables.tokens[c]
    low, high = mu, mu
    fewer = run_at(tables, prices, scratch, c, x, low, begin, end, use, row, 0.0)
    more = fewer
    step = CLOSE
    while more < wanted and step < FAR:
        low, fewer = high, more
        high *= step
        step *= step
        more = run_at(tables, prices, scratch, c, x, high, begin, end, use, row, 0.0)
    while fewer > wanted and step < FAR:
        high, more = low, fewer
        low /= step
        step *= step
        fewer = run_at(tables, prices, scratch, c, x, low, begin, end, use, row, 0.0)
    for _ in range(HALVINGS):
        if not fewer <= wanted < more or high <= low * CLOSE:
            break
        middle = math.sqrt(low * high)
        made = run_at(tables, prices, scratch, c, x, middle, begin, end, use, row, 0.0)
        if made <= wanted:
            low, fewer = middle, made
        else:
            high, more = middle, made
    if fewer <= wanted < more:
        part = (wanted - fewer) / (more - fewer)
        run_at(tables, prices, scratch, c, x, low, begin, end, use, row, 1.0 - part)
        run_at(tables, prices, scratch, c, x, high, begin, end, use, row, part)
    elif more > 0.0:
        run_at(tables, prices, scratch, c, x, high, begin, end, use, row, wanted / more)
