"""The cheapest schedule of one workflow at given prices, by dynamic programming over slack.

All times of a call are told from the earliest that they can be: slack. Its cost, and that of all calls under it, is a
function of slack at its release, kept as values on cells between which it is linear (``grid``); all that is done to
such functions leaves them at or below the true cost, at any slack whatever. So the value at the roots, without slack,
is no more than the cost of any schedule.
"""

from __future__ import annotations

import math

from hexsched.engine.kernel import entry, kernel
from solvers.bounds.prices.decode import decode_fixed, decode_in_batch, end_of_tokens, set_changes, use_of_decode
from solvers.bounds.prices.grid import ROUNDING, add_price, add_use, shifted


@kernel
def plan_call(tables, prices, scratch, fixed, w, c, cell, last):
    """Cost of c and of all calls under it, by the cell of its release up to ``last``."""
    kinds, others = tables.prefill.shape[1], tables.before.shape[1]
    base = tables.first_call[w]
    row = c - base
    scratch.last[row] = last
    for a in range(last + 1):
        after = scratch.pay[row] * a
        for k in range(tables.first_child[c], tables.first_child[c + 1]):
            after += scratch.value[tables.child[k] - base, a]
        scratch.after[a] = after
    for x in range(others):
        scratch.enter_last[x] = -1
        if tables.late[c, x] < math.inf:
            scratch.enter_last[x] = shifted(scratch.after, last, tables.late[c, x] / cell, scratch.then, scratch.over)
        top = scratch.enter_last[x]
        if top < 0:
            continue
        if fixed:
            decode_fixed(tables, prices, scratch, c, row, x, cell, top)
        else:
            decode_in_batch(tables, prices, scratch, c, row, x, cell, top)
        best, at = math.inf, -1
        for a in range(top, -1, -1):  # it may wait to be admitted
            if scratch.total[a] < best:
                best, at = scratch.total[a], a
            scratch.enter[x, a] = best
            scratch.enter_at[x, row, a] = at
    for a in range(last + 1):
        scratch.value[row, a] = math.inf
    for k in range(kinds):
        for a in range(last + 1):
            scratch.total[a] = -scratch.gain[row] * a
        add_price(
            prices, k, 1.0, tables.head[c], tables.prefill[c, k], cell, last, scratch.total, scratch.price, scratch.over
        )
        for x in range(others):
            if scratch.enter_last[x] < 0 or tables.detour[c, k, x] == math.inf:
                continue
            detour = tables.detour[c, k, x] / cell
            top = shifted(scratch.enter[x], scratch.enter_last[x], detour, scratch.then, scratch.over)
            for a in range(top + 1):
                cost = scratch.total[a] + scratch.then[a]
                if cost < scratch.value[row, a]:
                    scratch.value[row, a] = cost
                    scratch.prefill_on[row, a] = k
                    scratch.decode_on[row, a] = x
                    scratch.start[row, a] = a
    for a in range(last - 1, -1, -1):  # it may wait for its prefill
        if scratch.value[row, a + 1] < scratch.value[row, a]:
            scratch.value[row, a] = scratch.value[row, a + 1]
            scratch.prefill_on[row, a] = scratch.prefill_on[row, a + 1]
            scratch.decode_on[row, a] = scratch.decode_on[row, a + 1]
            scratch.start[row, a] = scratch.start[row, a + 1]


@kernel
def nearest(slack, last):
    """The cell nearest to ``slack``."""
    return min(int(slack + 0.5), last)


@kernel
def chosen(slack, cell_of_slack, choice):
    """Slack after a wait for cell ``choice``, looked up at ``cell_of_slack``: none when that is the cell itself."""
    return max(slack, float(choice)) if choice > cell_of_slack else slack


@kernel
def trace(tables, prices, scratch, fixed, w, cell, use, row, released):
    """Follow the choices from the roots and add up what they use."""
    kinds, others = tables.prefill.shape[1], tables.before.shape[1]
    base = tables.first_call[w]
    for c in range(base, tables.first_call[w + 1]):
        place = c - base
        slack = released[c]
        a = nearest(slack, scratch.last[place])
        k, x = scratch.prefill_on[place, a], scratch.decode_on[place, a]
        slack = chosen(slack, a, scratch.start[place, a])
        scratch.began[place] = slack
        begin = tables.head[c] + slack * cell
        add_use(prices, use, row, k, begin, begin + tables.prefill[c, k], 1.0)
        slack += tables.detour[c, k, x] / cell
        top = math.floor(tables.late[c, x] / cell + ROUNDING)
        top = scratch.last[place] - top
        a = nearest(slack, top)
        slack = chosen(slack, a, scratch.enter_at[x, place, a])
        begin = tables.head[c] + tables.before[c, x] + slack * cell
        end = begin + tables.alone[c, x]
        if fixed:
            begin -= tables.transfer[c, x]
            add_use(prices, use, row, kinds + x, begin, end, tables.slot_share[x])
        else:
            a = nearest(slack, top)
            mu = scratch.decode_price[x, place, a]
            latest = end + max(scratch.decode_to[x, place, a] - slack, 0.0) * cell
            earliest = end + max(scratch.decode_from[x, place, a] - slack, 0.0) * cell
            set_changes(tables, scratch, c, x)
            until = max(end_of_tokens(tables, prices, scratch, c, x, mu, begin, latest), earliest)
            use_of_decode(tables, prices, scratch, use, row, c, x, mu, begin, until)
            slack += (until - end) / cell
            end = until
        add_use(prices, use, row, kinds + others + x, begin, end, tables.kv_share[c, x])
        after = slack + tables.late[c, x] / cell
        scratch.ended[place] = after
        for y in range(tables.first_child[c], tables.first_child[c + 1]):
            released[tables.child[y]] = after


@kernel
def spread_tolls(tables, prices, scratch, w, cell):
    """What each call of w pays for a cell of slack at its completion, and gets for one at the start of its prefill.

    Of a join the parent pays for its slack beyond the gap what the child gets for its own, which is no less in any
    schedule: a linear function of slacks, and completing earlier never costs more. Returns what is paid whatever the
    slacks are.
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
    for c in range(base, end):
        if limit[c] < 0.0:
            return math.inf
    always = spread_tolls(tables, prices, scratch, w, cell)
    for c in range(end - 1, base - 1, -1):
        last = min(max(math.ceil(limit[c] / cell - ROUNDING), 0), scratch.after.shape[0] - 1)
        plan_call(tables, prices, scratch, fixed, w, c, cell, last)
    for c in range(base, end):
        released[c] = -1.0
    for c in range(base, end):
        for y in range(tables.first_child[c], tables.first_child[c + 1]):
            released[tables.child[y]] = 0.0
    total = always
    for c in range(base, end):
        if released[c] < 0.0:
            total += scratch.value[c - base, 0]
        released[c] = 0.0
    if total < math.inf:
        trace(tables, prices, scratch, fixed, w, cell, use, row, released)
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
    released : (N,) float array, written
        Slack of each release, cells.
    """
    for w in range(first, stop):
        cost[w] = plan_workflow(tables, prices, scratch, fixed, w, limit, cell[w], use, w, released)
