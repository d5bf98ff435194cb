"""The cheapest schedule of one workflow at given prices, by dynamic programming over slack.

All times of a call are told from the earliest that they can be: slack. Take a schedule, and round its slacks down to
cells after adding an offset that is common to the workflow and uniform in a cell. They keep their order, stay within
one cell more than the largest slack, and are *on average* exact. The kernels charge costs whose interpolation between
cells is nowhere above the true cost, so on average over the offset the rounded schedule pays no more than the true one,
and the cheapest path on the grid pays no more than that. For waits rounding costs at most a cell a workflow; but each
call may also take a slower place, or decode slower, by up to a cell for nothing. So cells should be short beside calls.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from hexsched.engine.kernel import entry, kernel

Array = np.ndarray[Any, Any]


class Tables(NamedTuple):
    """The arrays of a ``Relaxation`` that the kernels read."""

    first_call: Array
    head: Array
    best: Array
    first_child: Array
    child: Array
    prefill: Array
    before: Array
    detour: Array
    late: Array
    transfer: Array
    alone: Array
    kv_share: Array
    slot_share: Array
    first_chunk: Array
    chunk_alone: Array
    chunk_slowest: Array
    first_join: Array
    join_from: Array
    join_to: Array
    join_gap: Array
    final: Array
    hull_first: Array
    hull_extra: Array
    hull_cost: Array


class Prices(NamedTuple):
    """Prices of the resources, constant in each of T intervals of ``width`` seconds from time 0, and 0 afterwards.

    Resources are the prefill types, the decode types (use: of the batch), and the decode types again (KV cache).

    Attributes
    ----------
    rate : (K + 2 L, T) float array
        Price of one second of one instance.
    paid : (K + 2 L, T + 1) float array
        Price of one instance from time 0 to the end of each interval.
    width : float
    toll : (J,) float array
        Multiplier of each join, for a cell of slack.
    stretch : float
        Cells for which ``toll`` is paid once.
    slowness : (W,) float array
        Price of a second of slack at the end of each workflow.
    """

    rate: Array
    paid: Array
    width: float
    toll: Array
    stretch: float
    slowness: Array


class Scratch(NamedTuple):
    """Room for one workflow: values and choices by call and cell, by chunk and cell."""

    value: Array  # (calls, cells)
    prefill_on: Array  # (calls, cells)
    decode_on: Array
    start: Array
    after: Array  # (1, cells)
    chunk: Array  # (chunks + 1, cells)
    chunk_end: Array  # (L, chunks, cells) of a workflow
    enter: Array  # (L, cells)
    enter_last: Array  # (L,): the last cell from which decode can be in time
    enter_at: Array  # (L, calls, cells)
    reach: Array  # (L, calls): enter_last of each call
    last: Array  # (calls,): last cell of completion
    speed: Array  # (cells + 1,)
    pay: Array  # (calls,): tolls paid for each cell of slack at completion
    gain: Array  # (calls,): tolls received for each at the start of prefill
    ended: Array  # (calls,): cell of completion in the cheapest schedule
    began: Array  # (calls,): cell of the start of prefill


ROUNDING = 1e-9  # of a cell: a limit this close above a cell is that cell


@kernel
def paid_until(prices, r, t):
    """Price of one instance of resource r from time 0 to t."""
    x = t / prices.width
    intervals = prices.rate.shape[1]
    if x <= 0.0:
        return 0.0
    if x >= intervals:
        return prices.paid[r, intervals]
    k = int(x)
    return prices.paid[r, k] + (x - k) * prices.width * prices.rate[r, k]


@kernel
def price_of(prices, r, begin, length):
    """Price of ``length`` seconds of one instance of resource r from ``begin``."""
    return paid_until(prices, r, begin + length) - paid_until(prices, r, begin)


@kernel
def chord_excess(prices, r, begin, length, cell):
    """By how much the chord of ``price_of`` from ``begin`` to a cell later lies above it at most."""
    left = price_of(prices, r, begin, length)
    right = price_of(prices, r, begin + cell, length)
    most = 0.0
    for side in range(2):  # the price changes slope where the start, or the end, enters another interval
        shift = side * length
        k = math.ceil((begin + shift) / prices.width)
        while k * prices.width < begin + cell + shift:
            part = (k * prices.width - shift - begin) / cell
            chord = left * (1.0 - part) + right * part
            most = max(most, chord - price_of(prices, r, k * prices.width - shift, length))
            k += 1
    return most


@kernel
def cell_price(prices, r, begin, length, cell):
    """Price of ``length`` seconds from a cell on; interpolated between cells it never exceeds the price in between."""
    over = max(chord_excess(prices, r, begin - cell, length, cell), chord_excess(prices, r, begin, length, cell))
    return price_of(prices, r, begin, length) - over


@kernel
def later(values, row, a, shift, last):
    """``values[row]`` at ``a + shift`` cells, rounded down; inf after ``last``."""
    k = a + math.floor(shift)
    return values[row, k] if k <= last else math.inf


@kernel
def least_rate(prices, r, begin, end, known):
    """min(known, the lowest price of resource r from begin to end)."""
    intervals = prices.rate.shape[1]
    first = max(math.floor(begin / prices.width), 0)
    last = math.ceil(end / prices.width) - 1
    if last >= intervals:
        last = intervals - 1
        known = min(known, 0.0)
    for k in range(first, max(last, first) + 1):
        known = min(known, prices.rate[r, k] if k < intervals else 0.0)
    return known


@kernel
def speed_costs(tables, scratch, row, cell, cells):
    """Use of a chunk that takes e cells longer than alone, e = 0 to cells: interpolated, never above the hull.

    Between cells the chord of a convex function lies above it; where it does, both its ends are lowered by the most it
    does. When that would go below 0 the function is shifted by a cell instead.
    """
    first, last = tables.hull_first[row], tables.hull_first[row + 1] - 1
    speed = scratch.speed
    corner = first
    for e in range(cells + 1):
        x = e * cell
        while corner < last and tables.hull_extra[corner + 1] <= x:
            corner += 1
        if corner == last:
            speed[e] = tables.hull_cost[last]
        else:
            part = (x - tables.hull_extra[corner]) / (tables.hull_extra[corner + 1] - tables.hull_extra[corner])
            speed[e] = tables.hull_cost[corner] * (1.0 - part) + tables.hull_cost[corner + 1] * part
    least = speed[cells]
    corner = first
    over_before = 0.0
    negative = False
    beyond = speed[cells]
    at = speed[0]
    for e in range(cells):
        following = speed[e + 1]
        over = 0.0
        while corner <= last and tables.hull_extra[corner] < (e + 1) * cell:
            part = tables.hull_extra[corner] / cell - e
            if part > 0.0:
                over = max(over, at * (1.0 - part) + following * part - tables.hull_cost[corner])
            corner += 1
        speed[e] = at - max(over, over_before)
        negative = negative or speed[e] < 0.0
        over_before = over
        at = following
    speed[cells] = beyond - over_before
    if negative or speed[cells] < 0.0:
        for e in range(cells):
            speed[e] = _hull_at(tables, row, (e + 1) * cell)
        speed[cells] = tables.hull_cost[last]
    return least


@kernel
def _hull_at(tables, row, x):
    first, last = tables.hull_first[row], tables.hull_first[row + 1] - 1
    k = first
    while k < last and tables.hull_extra[k + 1] <= x:
        k += 1
    if k == last:
        return tables.hull_cost[last]
    part = (x - tables.hull_extra[k]) / (tables.hull_extra[k + 1] - tables.hull_extra[k])
    return tables.hull_cost[k] * (1.0 - part) + tables.hull_cost[k + 1] * part


@kernel
def decode_in_batch(tables, prices, scratch, c, x, chunk_row, cell, cells, last_cell, limit):
    """Cost from the start of decode of c on type x to the end, for every cell of the start, in ``scratch.chunk[0]``."""
    kinds, others = tables.prefill.shape[1], tables.before.shape[1]
    first, stop = tables.first_chunk[c], tables.first_chunk[c + 1]
    chunks = stop - first
    for a in range(cells):
        scratch.chunk[chunks, a] = later(scratch.after, 0, a, tables.late[c, x] / cell, last_cell)
    end = tables.head[c] + tables.before[c, x]
    for q in range(first, stop):
        end += tables.chunk_alone[q, x]
    share = tables.kv_share[c, x]
    most = max(limit - tables.late[c, x], 0.0)  # slack at the end of any chunk
    for q in range(stop - 1, first - 1, -1):
        k = q - first
        alone = tables.chunk_alone[q, x]
        begin = end - alone
        slowest = min(math.ceil(tables.chunk_slowest[q, x] / cell), cells)
        speed_costs(tables, scratch, q * others + x, cell, slowest)
        for a in range(cells):
            # the times of cell a are within a cell of it, and within the window
            since, until = begin + max(a - 1, 0) * cell, end + min(a * cell, most)
            rate = least_rate(prices, kinds + x, since, until, math.inf)
            kv = least_rate(prices, kinds + others + x, since, until, math.inf)
            best, at = math.inf, -1
            for b in range(a, min(cells, a + slowest + 1)):
                following = scratch.chunk[k + 1, b]
                since, until = end + min(b * cell, most), end + min((b + 1) * cell, most)
                rate = least_rate(prices, kinds + x, since, until, rate)
                kv = least_rate(prices, kinds + others + x, since, until, kv)
                if following == math.inf:
                    break
                cost = rate * scratch.speed[b - a] + kv * share * (alone + (b - a) * cell) + following
                if cost < best:
                    best, at = cost, b
            scratch.chunk[k, a] = best
            scratch.chunk_end[x, chunk_row + k, a] = at
        end = begin


@kernel
def decode_fixed(tables, prices, scratch, c, x, cell, cells, last_cell):
    """As ``decode_in_batch``, where decode times are fixed: slots and KV cache are held from admission on."""
    kinds, others = tables.prefill.shape[1], tables.before.shape[1]
    stay = tables.transfer[c, x] + tables.alone[c, x]
    begin = tables.head[c] + tables.before[c, x] - tables.transfer[c, x]
    for a in range(cells):
        cost = later(scratch.after, 0, a, tables.late[c, x] / cell, last_cell)
        if cost < math.inf:
            cost += tables.slot_share[x] * cell_price(prices, kinds + x, begin + a * cell, stay, cell)
            cost += tables.kv_share[c, x] * cell_price(prices, kinds + others + x, begin + a * cell, stay, cell)
        scratch.chunk[0, a] = cost


@kernel
def plan_call(tables, prices, scratch, fixed, w, c, chunk_row, cell, cells, last_cell, limit):
    """Cost of c and of all calls under it, by the cell of its release."""
    kinds, others = tables.prefill.shape[1], tables.before.shape[1]
    row = c - tables.first_call[w]
    base = tables.first_call[w]
    scratch.last[row] = last_cell
    for a in range(cells):
        after = scratch.pay[row] * a if a <= last_cell else math.inf
        for k in range(tables.first_child[c], tables.first_child[c + 1]):
            after += scratch.value[tables.child[k] - base, a]
        scratch.after[0, a] = after
    for x in range(others):
        if tables.late[c, x] == math.inf:
            for a in range(cells):
                scratch.enter[x, a] = math.inf
            scratch.enter_last[x] = -1
            continue
        if fixed:
            decode_fixed(tables, prices, scratch, c, x, cell, cells, last_cell)
        else:
            decode_in_batch(tables, prices, scratch, c, x, chunk_row, cell, cells, last_cell, limit)
        best, at = math.inf, -1
        scratch.enter_last[x] = -1
        for a in range(cells - 1, -1, -1):  # it may wait to be admitted
            if scratch.enter_last[x] < 0 and scratch.chunk[0, a] < math.inf:
                scratch.enter_last[x] = a
            if scratch.chunk[0, a] < best:
                best, at = scratch.chunk[0, a], a
            scratch.enter[x, a] = best
            scratch.enter_at[x, row, a] = at
        scratch.reach[x, row] = scratch.enter_last[x]
    best, on, to, at = math.inf, -1, -1, -1
    for a in range(cells - 1, -1, -1):  # it may wait for its prefill
        for k in range(kinds):
            paid = math.inf
            for x in range(others):
                if tables.detour[c, k, x] == math.inf:
                    continue
                then = later(scratch.enter, x, a, tables.detour[c, k, x] / cell, scratch.enter_last[x])
                if then == math.inf:
                    continue
                if paid == math.inf:
                    paid = cell_price(prices, k, tables.head[c] + a * cell, tables.prefill[c, k], cell)
                    paid -= scratch.gain[row] * a
                if paid + then < best:
                    best, on, to, at = paid + then, k, x, a
        scratch.value[row, a] = best
        scratch.prefill_on[row, a] = on
        scratch.decode_on[row, a] = to
        scratch.start[row, a] = at


@kernel
def add_use(prices, use, w, r, begin, end, share):
    """Add what an instance is used between begin and end to ``use[w, r]``."""
    intervals = prices.rate.shape[1]
    k = max(math.floor(begin / prices.width), 0)
    while k < intervals and k * prices.width < end:
        inside = min(end, (k + 1) * prices.width) - max(begin, k * prices.width)
        if inside > 0.0:
            use[w, r, k] += share * inside
        k += 1


@kernel
def add_use_at_least(prices, use, w, r, begin, end, seconds):
    """Add ``seconds`` of use where the price is lowest between begin and end."""
    intervals = prices.rate.shape[1]
    first = max(math.floor(begin / prices.width), 0)
    last = max(math.ceil(end / prices.width) - 1, first)
    if last >= intervals:
        return
    at = first
    for k in range(first, last + 1):
        if prices.rate[r, k] < prices.rate[r, at]:
            at = k
    # spread over all intervals at that price: any choice is a subgradient, this one is steadier
    alike = 0
    for k in range(first, last + 1):
        alike += prices.rate[r, k] == prices.rate[r, at]
    for k in range(first, last + 1):
        if prices.rate[r, k] == prices.rate[r, at]:
            use[w, r, k] += seconds / alike


@kernel
def trace(tables, prices, scratch, fixed, w, limit, cell, cells, use, row, released):
    """Follow the choices from the roots and add up what they use."""
    kinds, others = tables.prefill.shape[1], tables.before.shape[1]
    base = tables.first_call[w]
    first_chunk = tables.first_chunk[base]
    for c in range(base, tables.first_call[w + 1]):
        place = c - base
        a = released[c]
        k, x, a = scratch.prefill_on[place, a], scratch.decode_on[place, a], scratch.start[place, a]
        scratch.began[place] = a
        begin = tables.head[c] + a * cell
        add_use(prices, use, row, k, begin, begin + tables.prefill[c, k], 1.0)
        a = scratch.enter_at[x, place, min(a + math.floor(tables.detour[c, k, x] / cell), scratch.reach[x, place])]
        begin = tables.head[c] + tables.before[c, x]
        if fixed:
            admitted = begin + a * cell - tables.transfer[c, x]
            end = begin + a * cell + tables.alone[c, x]
            add_use(prices, use, row, kinds + x, admitted, end, tables.slot_share[x])
            add_use(prices, use, row, kinds + others + x, admitted, end, tables.kv_share[c, x])
        else:
            for q in range(tables.first_chunk[c], tables.first_chunk[c + 1]):
                b = scratch.chunk_end[x, q - first_chunk, a]
                end = begin + tables.chunk_alone[q, x]
                seconds = _hull_at(tables, q * others + x, (b - a) * cell)
                most = max(limit[c] - tables.late[c, x], 0.0)
                since, until = begin + max(a - 1, 0) * cell, end + min((b + 1) * cell, most)
                add_use_at_least(prices, use, row, kinds + x, since, until, seconds)
                add_use(prices, use, row, kinds + others + x, begin + a * cell, end + b * cell, tables.kv_share[c, x])
                begin, a = end, b
        a = min(a + math.floor(tables.late[c, x] / cell), scratch.last[place])
        scratch.ended[place] = a
        for y in range(tables.first_child[c], tables.first_child[c + 1]):
            released[tables.child[y]] = a


@kernel
def spread_tolls(tables, prices, scratch, w, cell):
    """What each call of w pays for a cell of slack at its completion, and gets for one at the start of its prefill.

    Of a join the parent pays for its slack beyond the gap what the child gets for its own, which is no less in any
    schedule: a linear function of slacks, so that rounding leaves it as it is on average, and completing in an earlier
    cell never costs more. Returns what is paid whatever the slacks are.
    """
    base = tables.first_call[w]
    for row in range(tables.first_call[w + 1] - base):
        scratch.pay[row] = 0.0
        scratch.gain[row] = 0.0
    scratch.pay[tables.final[w] - base] = prices.slowness[w] * cell
    always = 0.0
    for j in range(tables.first_join[w], tables.first_join[w + 1]):
        toll = prices.toll[j] / prices.stretch
        scratch.pay[tables.join_from[j] - base] += toll
        scratch.gain[tables.join_to[j] - base] += toll
        always -= toll * tables.join_gap[j] / cell
    return always


@kernel
def plan_workflow(tables, prices, scratch, fixed, w, limit, cell, use, row, released):
    """Cheapest cost of workflow w, inf when it cannot be in time; what that schedule uses goes to ``use[row]``."""
    base, end = tables.first_call[w], tables.first_call[w + 1]
    for r in range(use.shape[1]):
        for k in range(use.shape[2]):
            use[row, r, k] = 0.0
    cells = 0
    for c in range(base, end):
        if limit[c] < 0.0:
            return math.inf
        cells = max(cells, math.ceil(limit[c] / cell - ROUNDING) + 1)
    cells = min(cells, scratch.value.shape[1])
    always = spread_tolls(tables, prices, scratch, w, cell)
    first_chunk = tables.first_chunk[base]
    for c in range(end - 1, base - 1, -1):
        last_cell = min(math.ceil(limit[c] / cell - ROUNDING), cells - 1)
        chunk_row = tables.first_chunk[c] - first_chunk
        plan_call(tables, prices, scratch, fixed, w, c, chunk_row, cell, cells, last_cell, limit[c])
    for c in range(base, end):
        released[c] = -1
    for c in range(base, end):
        for y in range(tables.first_child[c], tables.first_child[c + 1]):
            released[tables.child[y]] = 0
    total = always
    for c in range(base, end):
        if released[c] < 0:
            total += scratch.value[c - base, 0]
        released[c] = 0
    if total < math.inf:
        trace(tables, prices, scratch, fixed, w, limit, cell, cells, use, row, released)
    return total


@entry
def plan_workflows(tables, prices, scratch, fixed, first, stop, limit, cell, cost, use, released):
    """Cheapest cost of workflows first to stop - 1, and what their cheapest schedules use.

    Parameters
    ----------
    limit : (N,) float array
        Largest slack of the completion of each call, seconds; below 0 when it cannot be in time.
    cell : (W,) float array
        Seconds of a cell.
    cost : (W,) float array, written
        inf when a workflow cannot be in time.
    use : (W, K + 2 L, T) float array, written
    released : (N,) int array, written
        Cell of each release.
    """
    for w in range(first, stop):
        cost[w] = plan_workflow(tables, prices, scratch, fixed, w, limit, cell[w], use, w, released)


@entry
def speed_hulls(batch_seconds, most, alike, tokens, least, corners, extra, cost):
    """Corners of the decreasing lower convex hull of what each speed of a chunk costs; see ``relaxation.relax``.

    Parameters
    ----------
    batch_seconds : (L, B) float array
        Seconds of a token in a batch of 1 to B, beside what the call's own KV adds.
    most : (Q, L) int array
        Largest batch.
    alike : float
        Relative difference of seconds below which two batches are as fast.
    tokens : (Q,) float array
    least : (Q, L) float array
        Seconds a token that the call's own KV adds at least.
    corners : (Q, L) int array, written
        How many there are.
    extra, cost : (Q, L, B) float arrays, written
    """
    for q in range(tokens.shape[0]):
        for x in range(batch_seconds.shape[0]):
            size = 0
            for k in range(most[q, x]):
                at = tokens[q] * (batch_seconds[x, k] - batch_seconds[x, 0])
                use = tokens[q] * (batch_seconds[x, k] + least[q, x]) / (k + 1)
                if size > 0 and use >= cost[q, x, size - 1]:
                    continue
                if size > 0 and at <= extra[q, x, size - 1] + alike * tokens[q] * batch_seconds[x, 0]:
                    at = extra[q, x, size - 1]
                    size -= 1
                while size > 1:
                    slope = (cost[q, x, size - 1] - cost[q, x, size - 2]) * (at - extra[q, x, size - 2])
                    if slope < (use - cost[q, x, size - 2]) * (extra[q, x, size - 1] - extra[q, x, size - 2]):
                        break
                    size -= 1
                extra[q, x, size] = at
                cost[q, x, size] = use
                size += 1
            corners[q, x] = size
