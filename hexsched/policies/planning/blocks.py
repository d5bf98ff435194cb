"""Ready calls in blocks, where the order goes by risk: bounds say of most of them that they are far behind.

From one epoch to a later one, all that moves the risk R = ((t - a_w) + Delta) / H_w of a call (model M23) is the same
for all calls but for two factors of their own. On the pair on which it would have finished first it would now do so

    later by at most    (the most that any time has grown) + m (the most that any pace has grown)

where times are those from which on a kind of prefill instances is free, or a decode instance has room, and paces are
seconds an iteration. H_w only grows. So R is at most what it was, plus the first over H_w, plus the second times
m / H_w. Each block keeps the largest of these three of its calls, and only blocks that may hold a call that goes before
the best one known are looked at. Calls of a block have about the same H_w, so that its bound stays close.

Growth is counted from the same moment for all, ``since``. What a call's bound is made of leaves out the least that any
time, or pace, had grown when the call was looked at.
"""

from __future__ import annotations

import math

from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import kernel
from hexsched.policies.parts.order import PREFILL, Kernel
from hexsched.policies.planning.paces import find_first_decodes, find_pace, pace
from hexsched.policies.planning.preference import Preference
from hexsched.policies.planning.prefills import find_all_first_free
from hexsched.policies.planning.projection import room_waits

LOOKS = 10  # at each ready call, after which sorting all of them is worth it
ROUNDING = 1e-9  # of a risk: far more than rounding takes away


@kernel
def put_in_block(memory, c, risk, seconds, tokens):
    """Add call ``c`` to the last block; a risk of inf is one that is not known."""
    mine = memory.planner
    ranks = mine.ranks[0]
    if ranks.blocks == 0 or mine.blocks[ranks.blocks - 1].calls == ranks.width:
        mine.blocks[ranks.blocks].calls = 0
        mine.blocks[ranks.blocks].epoch = -1
        _forget_bounds(mine.blocks[ranks.blocks])
        ranks.blocks += 1
    block = mine.blocks[ranks.blocks - 1]
    entry = mine.entries[(ranks.blocks - 1) * ranks.width + block.calls]
    block.calls += 1
    ranks.calls += 1
    mine.reach[c].block = ranks.blocks - 1
    mine.reach[c].patient = 0
    entry.call = c
    entry.risk = risk
    entry.seconds = seconds
    entry.tokens = tokens
    _include(block, entry)


@kernel
def _forget_bounds(block):
    block.risk = -math.inf
    block.seconds = 0.0
    block.tokens = 0.0


@kernel
def _include(block, entry):
    block.risk = max(block.risk, entry.risk)
    block.seconds = max(block.seconds, entry.seconds)
    block.tokens = max(block.tokens, entry.tokens)


@kernel
def take_out(memory, c):
    """Call ``c`` is not ready any more."""
    mine = memory.planner
    ranks = mine.ranks[0]
    b = mine.reach[c].block
    block = mine.blocks[b]
    first = b * ranks.width
    block.calls -= 1
    ranks.calls -= 1
    last = mine.entries[first + block.calls]
    _forget_bounds(block)
    for k in range(first, first + block.calls):
        entry = mine.entries[k]
        if entry.call == c:
            entry.call = last.call
            entry.risk = last.risk
            entry.seconds = last.seconds
            entry.tokens = last.tokens
        _include(block, entry)


@kernel
def take_out_started(seen, memory, walked):
    """Take out those of the first ``walked`` calls in order that have been started; the order is made anew."""
    mine = memory.planner
    for k in range(walked):
        c = mine.queue[k].call
        if seen.calls[c].prefill_instance >= 0:
            take_out(memory, c)
    mine.ready[0].ordered = 0


@kernel
def empty_blocks(memory):
    """Have all calls of blocks in the line, in no order."""
    mine = memory.planner
    row = mine.ready[0]
    ranks = mine.ranks[0]
    for b in range(ranks.blocks):
        for k in range(b * ranks.width, b * ranks.width + mine.blocks[b].calls):
            mine.queue[row.first + row.ordered].call = mine.entries[k].call
            row.ordered += 1
    ranks.blocks = 0
    ranks.calls = 0


@kernel
def upper_bound(ranks, risk, seconds, tokens):
    """Of the risk now of what had that risk, reciprocal of the horizon, and tokens over the horizon."""
    grown = ranks.latest * seconds + ranks.slowest * tokens
    return risk + ROUNDING * (abs(risk) + grown) + grown


@kernel
def measure_growth(seen, memory, settings, anew):
    """How much times and paces have grown since it was last measured ``anew``; the first ones of a kind are known."""
    mine = memory.planner
    ranks = mine.ranks[0]
    if anew:
        ranks.since = seen.clock[0].now
    passed = seen.clock[0].now - ranks.since
    ranks.latest = 0.0
    ranks.slowest = 0.0
    ranks.earliest = math.inf
    ranks.fastest = math.inf
    ranks.apart = 0
    for kind in range(mine.prefill_first.shape[0]):
        wait = mine.prefills[mine.prefill_first[kind]].wait
        if anew:
            mine.waits_before[kind] = wait
        grown = passed + (wait - mine.waits_before[kind])
        ranks.latest = max(ranks.latest, grown)
        ranks.earliest = min(ranks.earliest, grown)
    for j in range(seen.decodes.shape[0]):
        largest = mine.room[0].largest
        least, most, turns = room_waits(seen, memory, settings, largest, j)
        seconds = pace(seen, memory, j)
        if anew:
            mine.room_before[j] = most if most < math.inf else least
            mine.turns_before[j] = turns
            mine.pace_before[j] = seconds
        grown = seconds - mine.pace_before[j]
        steepest = grown
        flattest = grown
        if turns > 0.0 and mine.turns_before[j] > 0.0:
            # turns times the pace, and what a call's own tokens add to either
            waited = turns * seconds - mine.turns_before[j] * mine.pace_before[j]
            own_turns = grown * largest / seen.decodes[j].kv_capacity
            own_pace = (turns - mine.turns_before[j]) * seen.decodes[j].d2 * largest
            steepest += waited + max(own_turns, 0.0) + max(own_pace, 0.0)
            flattest += waited + min(own_turns, 0.0) + min(own_pace, 0.0)
        elif turns != mine.turns_before[j]:
            ranks.apart = 1
            least = -math.inf
            most = math.inf
        ranks.latest = max(ranks.latest, passed + (most - mine.room_before[j]))
        ranks.earliest = min(ranks.earliest, passed + (least - mine.room_before[j]))
        ranks.slowest = max(ranks.slowest, max(grown, steepest))
        ranks.fastest = min(ranks.fastest, min(grown, flattest))


@kernel
def gather_blocks(memory):
    """Have what is kept of all calls of blocks in a heap by horizon, with bounds on their risk now."""
    mine = memory.planner
    ranks = mine.ranks[0]
    count = 0
    for b in range(ranks.blocks):
        for k in range(b * ranks.width, b * ranks.width + mine.blocks[b].calls):
            entry = mine.entries[k]
            sorting = mine.sorting[count]
            sorting.call = entry.call
            sorting.risk = upper_bound(ranks, entry.risk, entry.seconds, entry.tokens)
            sorting.seconds = entry.seconds
            sorting.tokens = entry.tokens
            heap_push(mine.heap, count, -entry.seconds, count)
            count += 1


@kernel
def lay_blocks(memory):
    """Make all blocks anew of what was gathered: by horizon into strips, and within a strip by risk."""
    mine = memory.planner
    ranks = mine.ranks[0]
    left = ranks.calls
    strip = ranks.width * (int(math.sqrt(left / ranks.width)) + 1)
    ranks.blocks = 0
    ranks.calls = 0
    ranks.looked_at = 0
    while left > 0:
        size = min(strip, left)
        for k in range(size):
            place = heap_pop(mine.heap, left)
            left -= 1
            heap_push(mine.admitting, k, -mine.sorting[place].risk, place)
        for k in range(size, 0, -1):
            entry = mine.sorting[heap_pop(mine.admitting, k)]
            risk = entry.risk - ranks.earliest * entry.seconds - ranks.fastest * entry.tokens
            put_in_block(memory, entry.call, risk, entry.seconds, entry.tokens)


@kernel
def open_blocks(memory, epoch, above, limit):
    """Have those blocks at hand that may hold keys above one and up to another; ``behind`` is a bound on all others."""
    mine = memory.planner
    ranks = mine.ranks[0]
    ranks.behind = math.inf
    for b in range(ranks.blocks):
        block = mine.blocks[b]
        if block.calls > 0 and block.epoch != epoch:
            key = -upper_bound(ranks, block.risk, block.seconds, block.tokens)
            if key > limit:
                ranks.behind = min(ranks.behind, key)
            elif key > above or above == -math.inf:
                heap_push(mine.admitting, ranks.open, key, b)
                ranks.open += 1
    ranks.within = limit


@kernel
def keep_unplanned(memory, j, epoch):
    """What decode instance ``j`` has before any call of this plan is counted for it."""
    mine = memory.planner
    row = mine.decodes[j]
    if row.kept != epoch:
        row.kept = epoch
        row.other_free = row.free
        row.other_slots = row.slots
        row.other_batch = row.batch
        row.other_kv = row.kv
        mine.kept[mine.ranks[0].kept] = j
        mine.ranks[0].kept += 1


@kernel
def exchange_plans(seen, memory):
    """Have decode instances as they were before this plan, or as they are with it, in turn."""
    mine = memory.planner
    for k in range(mine.ranks[0].kept):
        j = mine.kept[k]
        row = mine.decodes[j]
        row.free, row.other_free = row.other_free, row.free
        row.slots, row.other_slots = row.other_slots, row.slots
        row.batch, row.other_batch = row.other_batch, row.batch
        row.kv, row.other_kv = row.other_kv, row.kv
        find_pace(seen, memory, j)
    find_first_decodes(seen, memory)


def risk_order(preference: Preference, best_pair: Kernel) -> tuple[Kernel, Kernel]:
    """Two kernels: one begins the order of an epoch, the other has more calls in it.

    Returns
    -------
    begin_ranks, rank_more : ``(seen, memory, wish)``
        Nothing is planned when the first one is called. The second one adds calls to the line, if there are any.
    """
    key, settings_of = preference.key, preference.settings

    @kernel
    def look_at_block(seen, memory, wish, b):
        """Work out what is known of the calls of a block by bounds alone."""
        mine = memory.planner
        ranks = mine.ranks[0]
        block = mine.blocks[b]
        now = seen.clock[0].now
        block.epoch = seen.clock[0].epoch
        _forget_bounds(block)
        for k in range(b * ranks.width, b * ranks.width + block.calls):
            entry = mine.entries[k]
            c = entry.call
            _, _, finish = best_pair(seen, memory, wish, c)
            memory.calls[c].delta = finish
            workflow = seen.workflows[seen.calls[c].workflow]
            risk = ((now - workflow.arrival) + finish) / workflow.horizon
            entry.seconds = 1.0 / workflow.horizon
            entry.tokens = seen.calls[c].estimate / workflow.horizon
            entry.risk = risk + ROUNDING * risk - ranks.earliest * entry.seconds - ranks.fastest * entry.tokens
            _include(block, entry)
            heap_push(mine.heap, ranks.candidates, key(seen, memory, wish, c, PREFILL), c)
            ranks.candidates += 1
        ranks.looked_at += block.calls

    @kernel
    def begin_ranks(seen, memory, wish):
        mine = memory.planner
        ranks = mine.ranks[0]
        row = mine.ready[0]
        anew = ranks.calls == 0
        for k in range(row.ordered + row.rest):
            c = mine.queue[row.first + k].call if k < row.ordered else mine.heap[k - row.ordered].code
            workflow = seen.workflows[seen.calls[c].workflow]
            put_in_block(memory, c, math.inf, 1.0 / workflow.horizon, seen.calls[c].estimate / workflow.horizon)
        row.first = 0
        row.ordered = 0
        row.rest = 0
        ranks.kept = 0
        ranks.candidates = 0
        for kind in range(mine.prefill_first.shape[0]):
            mine.free_before[kind].code = mine.prefill_first[kind]
            mine.free_before[kind].key = mine.prefills[mine.prefill_first[kind]].wait
        for step in range(2):  # each of these kernels is inlined where it stands, so it stands in one place
            measure_growth(seen, memory, settings_of(wish), step == 1)
            if step == 1:
                lay_blocks(memory)
            elif anew or ranks.apart == 1 or ranks.looked_at > LOOKS * ranks.calls:
                gather_blocks(memory)
            else:
                break
        ranks.open = 0
        ranks.within = -math.inf
        ranks.behind = -math.inf

    @kernel
    def rank_more(seen, memory, wish):
        mine = memory.planner
        ranks = mine.ranks[0]
        row = mine.ready[0]
        again = row.ordered > 0
        if again:
            exchange_plans(seen, memory)
            for kind in range(mine.prefill_first.shape[0]):
                mine.prefill_first[kind] = mine.free_before[kind].code
                mine.prefills[mine.free_before[kind].code].wait = mine.free_before[kind].key
        until = 2 * row.ordered + ranks.ahead
        while row.ordered < until:
            while True:
                first = min(mine.admitting[0].key, ranks.behind) if ranks.open > 0 else ranks.behind
                if first == math.inf or (ranks.candidates > 0 and mine.heap[0].key < first):
                    break
                if ranks.open == 0 or mine.admitting[0].key > ranks.behind:
                    limit = ranks.limit if ranks.within == -math.inf else math.inf
                    open_blocks(memory, seen.clock[0].epoch, ranks.within, limit)
                    continue
                b = heap_pop(mine.admitting, ranks.open)
                ranks.open -= 1
                look_at_block(seen, memory, wish, b)
            if ranks.candidates == 0:
                break
            mine.queue[row.ordered].key = mine.heap[0].key
            mine.queue[row.ordered].call = heap_pop(mine.heap, ranks.candidates)
            ranks.candidates -= 1
            row.ordered += 1
        ranks.limit = mine.queue[row.ordered - 1].key
        if again:
            exchange_plans(seen, memory)
            find_all_first_free(seen, memory)

    return begin_ranks, rank_more
