"""Justitia (arXiv 2510.17015): workflows in the order in which they would end if all shared the KV cache fairly.

The cost of a call with p prompt and d output tokens is the KV cache that it holds over its iterations, p d + d^2 / 2.
Were the cache shared evenly, as by generalised processor sharing (Parekh and Gallager 1993), a workflow that arrives at
a and costs C would end when virtual time is F = V(a) + C, where V grows by what each of the workflows that have not
ended in that sharing is given. The one of least F is served first and with all there is. docs/policies.md says how C
is estimated here, and what else is different.
"""

from __future__ import annotations

from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import kernel
from hexsched.engine.physics import iteration_seconds
from hexsched.policies.parts.option import Option
from hexsched.policies.parts.order import KEY_STAYS, Books, Order

CACHE, SERVED = range(2)  # what there is to share: the whole KV cache all the time, or what was really served


@kernel
def justitia_key(seen, memory, settings, c, stage):
    """F_w, KV tokens times iterations."""
    return memory.workflows[seen.calls[c].workflow].virtual_finish


@kernel
def kv_cost(call):
    """KV tokens held, added up over the iterations of the call."""
    return call.estimate * (call.n + call.estimate / 2.0)


@kernel
def note_epoch(seen, memory, settings):
    """Ended workflows tell what they cost; those that begin are given their place for good."""
    clock = seen.clock[0]
    for k in range(clock.completed):
        note_completion(seen, memory, seen.completed[k])
    k = 0
    while k < clock.released:
        c = seen.released[k]
        w = seen.calls[c].workflow
        workflow = memory.workflows[w]
        begins = workflow.virtual_finish == 0.0
        first_cost = 0.0
        while k < clock.released and seen.calls[seen.released[k]].workflow == w:
            first_cost += kv_cost(seen.calls[seen.released[k]])
            workflow.open_calls += 1
            k += 1
        if begins:
            begin(seen, memory, settings, w, seen.calls[c].kind, first_cost)


@kernel
def begin(seen, memory, settings, w, kind, first_cost):
    """Workflow ``w`` begins with calls that cost ``first_cost``, the first of that ``kind``: work its F out."""
    counters = memory.counters[0]
    workflow = memory.workflows[w]
    workflow.first_kind = kind
    workflow.first_cost = first_cost
    growth = 1.0
    if memory.rows[kind].first_costs > 0.0:
        growth = memory.rows[kind].whole_costs / memory.rows[kind].first_costs
    elif counters.first_costs > 0.0:
        growth = counters.whole_costs / counters.first_costs
    pass_time(seen, memory, settings)
    workflow.virtual_finish = counters.virtual_now + growth * first_cost
    heap_push(memory.rows, counters.sharing, workflow.virtual_finish, w)
    counters.sharing += 1


@kernel
def pass_time(seen, memory, settings):
    """Bring virtual time to now: what was there to share since it was last looked at, over the workflows that did."""
    counters = memory.counters[0]
    if counters.cache_pace == 0.0:
        for j in range(seen.decodes.shape[0]):
            decode = seen.decodes[j]
            counters.cache_pace += decode.kv_capacity / iteration_seconds(seen, j, decode.max_batch, decode.kv_capacity)
    left = counters.served
    if settings.pace == CACHE:
        left = counters.cache_pace * (seen.clock[0].now - counters.looked_at)
    while counters.sharing > 0:
        ends = (memory.rows[0].key - counters.virtual_now) * counters.sharing
        if ends > left:
            counters.virtual_now += left / counters.sharing
            break
        left -= ends
        counters.virtual_now = memory.rows[0].key
        heap_pop(memory.rows, counters.sharing)
        counters.sharing -= 1
    counters.looked_at = seen.clock[0].now
    counters.served = 0.0


@kernel
def note_completion(seen, memory, c):
    """Call ``c`` is complete and its length known; if that was the last one, what its workflow cost in all is, too."""
    workflow = memory.workflows[seen.calls[c].workflow]
    cost = kv_cost(seen.calls[c])
    workflow.whole_cost += cost
    memory.counters[0].served += cost
    workflow.open_calls -= 1
    if workflow.open_calls > 0 or seen.workflows[seen.calls[c].workflow].ended == 0:
        return
    row, counters = memory.rows[workflow.first_kind], memory.counters[0]
    row.first_costs += workflow.first_cost
    row.whole_costs += workflow.whole_cost
    counters.first_costs += workflow.first_cost
    counters.whole_costs += workflow.whole_cost


COSTS = (
    ("first_costs", "f8"),  # of ended workflows: what was thought of their first calls,
    ("whole_costs", "f8"),  # ... and what all of their calls came to
)

ORDER = Order(
    name="justitia",
    summary="calls of the workflow that would end first if all shared the KV cache fairly",
    source="Justitia, arXiv 2510.17015",
    key=justitia_key,
    key_changes=KEY_STAYS,
    rank=12,
    starts_search=False,
    options={"pace": Option("cache", ("cache", "served"))},
    books=Books(
        workflows=(
            ("virtual_finish", "f8"),  # F_w, above 0 once it has begun
            ("first_kind", "i8"),  # of its first call
            ("first_cost", "f8"),  # estimate of all calls that it began with
            ("whole_cost", "f8"),  # of its completed calls
            ("open_calls", "i8"),  # released and not complete
        ),
        counters=(
            ("cache_pace", "f8"),  # KV tokens of the cluster over the seconds of an iteration of full instances
            ("virtual_now", "f8"),  # V when last looked at,
            ("looked_at", "f8"),  # ... when that was, seconds,
            ("served", "f8"),  # ... and the cost of calls that completed since
            ("sharing", "i8"),  # workflows that have not ended in the fair sharing
            *COSTS,
        ),
        rows=(
            *COSTS,  # by kind of the first call
            ("key", "f8"),  # a heap of workflows that share, by F_w
            ("code", "i8"),
        ),
        note_epoch=note_epoch,
    ),
)
