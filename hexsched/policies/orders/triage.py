"""HexAGenT with triage: the few workflows that cost most may wait, so that the others are in time.

The SLO scale that a share q of all workflows meets does not depend on the others. So of every 1 / (1 - q) workflows
that have arrived one may be put into a lower tier, which is served after all others: the one of largest cost, that is
of most expected work, times how long it has waited already. Its ratio suffers, and the largest of all.

    w_p, w_d   work of a call: mean seconds on the instances of a pool, over their number; decode as in a batch of 32
    work       (L_p^2 w_p + L_d^2 w_d) / (L_p^2 + L_d^2), L being all of w so far: what the loaded pool has to do counts
    C_w        (work released and not done + expected work, ``remaining_work``) (1 + (t - a_w) / H_w(t))
    clean      the largest ratio so far of a workflow that was never in the lower tier, at least 1
    room       (1 - q) of those that have arrived, less those that ended above ``clean`` after being in the lower tier

With ``work=oracle`` or ``work=hint(SIGMA)`` what is expected is the work that is told of the whole workflow, less what
is released (model M42).

With ``rest=least`` H_w(t), for risk, too, is the horizon shown and what it will at least grow by, as those of workflows
that have ended did (``least_rest``). A workflow that ended when more was expected counts as if it had been put off.

Where calls have to wait for admission rather than for prefill, short horizons are no measure of urgency: early on,
calls of long workflows look as pressing as those of short ones, and all are made equally late. There nobody is put
off, and the order is that of Workflow-LLF. That is so while the calls so far, were they decoded in batches of 32,
would have kept all KV cache, or all places in batches, busy longer than the prefill pool. (Nobody queues for
iterations.)

The tier is chosen anew every few decisions (``period``, or the number of workflows under way over 32 where that is
more, so that looking at all of them costs a decision the same however many there are). Costs do not change in between.
"""

from __future__ import annotations

import math

from hexsched.engine.heap import heap_pop, heap_push
from hexsched.engine.kernel import kernel
from hexsched.engine.physics import iteration_seconds
from hexsched.policies.orders.parts import least_rest, remaining_work
from hexsched.policies.orders.parts.horizon import HORIZON, shown
from hexsched.policies.orders.parts.least_rest import note_end, note_horizon
from hexsched.policies.orders.parts.remaining_work import expected_work, note_event, value_states
from hexsched.policies.orders.parts.work import ALONE, BATCH, TOLD, WORK, told
from hexsched.policies.orders.workflow_llf import ORDER as WORKFLOW_LLF
from hexsched.policies.orders.workflow_llf import workflow_llf_key
from hexsched.policies.parts.option import Option
from hexsched.policies.parts.order import Books, Order

CHAIN, NONE = range(2)  # how work to come is estimated
LEAST = 1  # of ``rest``: growth of horizons is expected
A_DECISION = 32  # workflows looked at for each decision, at most, once there are more than ``period`` times as many
ROUNDING = 1e-9  # of the number of workflows: 0.07 * 100 is 7


@kernel
def triage_key(seen, memory, settings, c, stage):
    """Below 0, -R(c, t) of the horizon expected; in the lower tier C_w, seconds, above. Or that of Workflow-LLF."""
    if memory.counters[0].looks_aside == 1:
        return workflow_llf_key(seen, memory, settings, c, stage)
    w = seen.calls[c].workflow
    workflow = memory.workflows[w]
    if workflow.chosen_in == memory.counters[0].choices:
        return workflow.cost
    horizon = seen.workflows[w].horizon + expected_rest(memory, settings, w)
    return -((seen.clock[0].now - seen.workflows[w].arrival) + memory.calls[c].delta) / horizon


@kernel
def expected_rest(memory, settings, w):
    """By how much the horizon of workflow ``w`` will at least grow, seconds."""
    return memory.rows[memory.workflows[w].state - 1].rest if settings.rest == LEAST else 0.0


@kernel
def note_epoch(seen, memory, settings):
    """Note what was released and completed, and choose the lower tier when it is time."""
    clock = seen.clock[0]
    counters = memory.counters[0]
    if counters.choices == 0:
        measure_pools(seen, counters)
    for k in range(clock.completed):
        note_completion(seen, memory, settings, seen.completed[k])
    k = 0
    while k < clock.released:
        k = note_releases(seen, memory, settings, k)
    counters.until_choice -= 1
    if counters.until_choice <= 0:
        counters.until_choice = max(settings.period, counters.under_way // A_DECISION)
        choose_tier(seen, memory, settings)


@kernel
def measure_pools(seen, counters):
    """Mean service times of the instances of both pools, over their number."""
    prefills, decodes = seen.prefills.shape[0], seen.decodes.shape[0]
    for i in range(prefills):
        prefill = seen.prefills[i]
        counters.mean_p0 += prefill.p0 / prefills / prefills
        counters.mean_p1 += prefill.p1 / prefills / prefills
        counters.mean_p2 += prefill.p2 / prefills / prefills
    for j in range(decodes):
        counters.mean_share += iteration_seconds(seen, j, BATCH, 0) / BATCH / decodes / decodes
        counters.mean_iteration += iteration_seconds(seen, j, BATCH, 0) / decodes
        counters.all_kv += seen.decodes[j].kv_capacity
        counters.all_places += seen.decodes[j].max_batch
        if seen.clock[0].fixed == 0:
            counters.mean_d2 += seen.decodes[j].d2 / decodes / decodes


@kernel
def measure_work(seen, memory, settings, c):
    """Seconds of work that call ``c``, just released, is; what pools and room have to do grows by it."""
    call = seen.calls[c]
    counters = memory.counters[0]
    n, h, m = float(call.n), float(call.h), call.estimate
    prefill = counters.mean_p0 + counters.mean_p1 * (n - h) + counters.mean_p2 * (n * n - h * h)
    decode = m * counters.mean_share + counters.mean_d2 * (n + m / 2.0) * m
    counters.prefill_load += prefill
    counters.decode_load += decode
    stays = m * counters.mean_iteration
    counters.room_load += stays * max((n + m) / counters.all_kv, 1.0 / counters.all_places)
    if settings.work == ALONE:
        return call.best
    if settings.work >= TOLD:
        workflow = memory.workflows[call.workflow]
        workflow.prefill_released += prefill
        workflow.decode_released += decode
    return work_of_pools(counters, prefill, decode)


@kernel
def work_of_pools(counters, prefill, decode):
    """Seconds of work that so much for each pool is: what the loaded one has to do counts."""
    share = counters.decode_load / counters.prefill_load
    return (prefill + share * share * decode) / (1.0 + share * share)


@kernel
def work_to_come(seen, memory, settings, w):
    """Work of workflow ``w`` that is not released yet, seconds: as told, or as others went on."""
    counters = memory.counters[0]
    workflow = memory.workflows[w]
    if settings.work >= TOLD:
        prefill = max(seen.workflows[w].prefill_told - workflow.prefill_released, 0.0)
        decode = max(seen.workflows[w].decode_told - workflow.decode_released, 0.0)
        return work_of_pools(counters, prefill, decode)
    return expected_work(memory.rows, workflow)


@kernel
def note_releases(seen, memory, settings, k):
    """Note those of the released calls, from the k-th on, that are of one workflow; where those of others begin."""
    counters = memory.counters[0]
    first = seen.calls[seen.released[k]]
    w = first.workflow
    workflow = memory.workflows[w]
    if workflow.calls_released == 0:
        memory.rows[counters.under_way].workflow = w
        workflow.place = counters.under_way
        counters.under_way += 1
        counters.arrived += 1
    event = 0.0
    calls = 0
    while k < seen.clock[0].released and seen.calls[seen.released[k]].workflow == w:
        c = seen.released[k]
        work = measure_work(seen, memory, settings, c)
        memory.calls[c].work = work
        event += work
        calls += 1
        k += 1
    workflow.open_calls += calls
    workflow.open_work += event
    note_event(memory.rows, counters, workflow, first.kind, calls, event)
    if settings.rest == LEAST:
        note_horizon(memory.rows, workflow, counters.all_events - 1, seen.workflows[w].horizon)
    return k


@kernel
def note_completion(seen, memory, settings, c):
    """Call ``c`` is complete, and its workflow perhaps with it."""
    counters = memory.counters[0]
    w = seen.calls[c].workflow
    workflow = memory.workflows[w]
    workflow.open_calls -= 1
    workflow.open_work -= memory.calls[c].work
    if workflow.open_calls > 0:
        return
    workflow.open_work = 0.0  # rounding must not add up
    if seen.workflows[w].ended == 0:
        return
    if settings.rest == LEAST:
        note_end(memory.rows, workflow, seen.workflows[w].horizon)
    counters.under_way -= 1
    last = memory.rows[counters.under_way].workflow
    memory.rows[workflow.place].workflow = last
    memory.workflows[last].place = workflow.place
    ratio = (seen.clock[0].now - seen.workflows[w].arrival) / seen.workflows[w].horizon
    if workflow.was_chosen == 0 and expected_rest(memory, settings, w) == 0.0:
        counters.worst_ended = max(counters.worst_ended, ratio)
    else:
        memory.rows[counters.late].late_ratio = ratio
        counters.late += 1


@kernel
def ratio_by_now(seen, memory, settings, w):
    """What the ratio of workflow ``w`` would be, did it end now, and as is expected."""
    workflow = seen.workflows[w]
    return (seen.clock[0].now - workflow.arrival) / (workflow.horizon + expected_rest(memory, settings, w))


@kernel
def choose_tier(seen, memory, settings):
    """The workflows under way that cost most become the lower tier, as many as there is room for."""
    counters = memory.counters[0]
    counters.choices += 1
    counters.looks_aside = 0
    if settings.deadline == 1 and counters.room_load > counters.prefill_load:
        counters.looks_aside = 1
        return
    allowed = counters.arrived - math.ceil(settings.q * counters.arrived * (1.0 - ROUNDING))
    if allowed <= 0:
        return
    clean = max(1.0, counters.worst_ended)
    for k in range(counters.under_way):
        w = memory.rows[k].workflow
        if memory.workflows[w].was_chosen == 0:
            clean = max(clean, ratio_by_now(seen, memory, settings, w))
    room = allowed - count_late(memory.rows, counters, clean)
    if clean < settings.clean or room <= 0:
        return
    if settings.remaining == CHAIN and settings.work < TOLD:
        value_states(memory.rows, counters)
    chosen = 0
    for k in range(counters.under_way):
        w = memory.rows[k].workflow
        cost = cost_of(seen, memory, settings, w)
        # a heap of those chosen, the cheapest on top; of two that cost the same the one of lesser number is chosen
        if chosen == room:
            top = memory.rows[0]
            if cost < top.key or (cost == top.key and -w < top.code):
                continue
            heap_pop(memory.rows, chosen)
            chosen -= 1
        heap_push(memory.rows, chosen, cost, -w)
        chosen += 1
    for k in range(chosen):
        workflow = memory.workflows[-memory.rows[k].code]
        workflow.chosen_in = counters.choices
        workflow.was_chosen = 1


@kernel
def count_late(rows, counters, clean):
    """How many that were once chosen ended with a ratio above ``clean``; those that never will count are forgotten."""
    late = 0
    kept = 0
    for k in range(counters.late):
        ratio = rows[k].late_ratio
        if ratio > counters.worst_ended:
            rows[kept].late_ratio = ratio
            kept += 1
            if ratio > clean:
                late += 1
    counters.late = kept
    return late


@kernel
def cost_of(seen, memory, settings, w):
    """C_w, seconds; it is kept."""
    workflow = memory.workflows[w]
    cost = workflow.open_work
    if settings.remaining == CHAIN:
        cost += work_to_come(seen, memory, settings, w)
    if settings.waiting == 1:
        cost *= 1.0 + ratio_by_now(seen, memory, settings, w)
    workflow.cost = cost
    return cost


ORDER = Order(
    name="triage",
    summary="HexAGenT, but a share 1 - q of the workflows, those of most work, may wait: better Req_q, larger maximum; "
    "the same as HexAGenT for fewer than 1 / (1 - q) workflows",
    source="hexsched, docs/triage.md",
    key=triage_key,
    rank=10,
    options={
        "q": Option(0.99, between=(0.0, 1.0)),
        "work": WORK,
        "remaining": Option("chain", ("chain", "none")),
        "rest": Option("none", ("none", "least")),
        "waiting": Option("on"),
        "period": Option(4),
        "clean": Option(1.5),
        "deadline": Option("on"),
        "slo_scale": WORKFLOW_LLF.options["slo_scale"],
        "horizon": HORIZON,
    },
    changes=lambda options: shown(options) | told(options),
    looks_ahead=True,
    by_risk=True,
    books=Books(
        calls=(("work", "f8"),),  # seconds of it
        workflows=(
            *remaining_work.WORKFLOWS,
            *least_rest.WORKFLOWS,
            ("place", "i8"),  # among those under way
            ("open_calls", "i8"),  # calls released and not complete,
            ("open_work", "f8"),  # ... and their work
            ("prefill_released", "f8"),  # work for each pool of all calls released, where that of the whole is told
            ("decode_released", "f8"),
            ("cost", "f8"),  # C_w when the tier was last chosen
            ("chosen_in", "i8"),  # number of the last choice by which it was in the lower tier
            ("was_chosen", "i8"),  # 1: once at least
        ),
        counters=(
            *remaining_work.COUNTERS,
            # mean service times of a pool over the number of its instances, seconds
            ("mean_p0", "f8"),
            ("mean_p1", "f8"),
            ("mean_p2", "f8"),
            ("mean_share", "f8"),  # of an iteration, for one call of a batch
            ("mean_d2", "f8"),
            ("mean_iteration", "f8"),  # seconds of an iteration of a batch
            ("all_kv", "f8"),  # KV tokens, and places in batches, of all decode instances
            ("all_places", "f8"),
            ("prefill_load", "f8"),  # L_p, L_d: work released so far,
            ("decode_load", "f8"),
            ("room_load", "f8"),  # ... and for how long it fills all room there is for admissions
            ("arrived", "i8"),  # workflows that have released a call
            ("under_way", "i8"),  # those that have not ended
            ("worst_ended", "f8"),  # largest ratio of those that ended and never were in the lower tier
            ("late", "i8"),  # ratios kept of those that ended and were
            ("choices", "i8"),
            ("until_choice", "i8"),  # decisions
        ),
        rows=(
            *remaining_work.ROWS,
            *least_rest.ROWS,
            ("workflow", "i8"),  # the k-th under way
            ("late_ratio", "f8"),
            ("key", "f8"),  # a heap while the tier is chosen
            ("code", "i8"),
        ),
        note_epoch=note_epoch,
    ),
)
