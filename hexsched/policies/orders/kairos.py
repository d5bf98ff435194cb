"""Kairos (arXiv 2508.06948): the kind of call after which least is left of a workflow goes first.

Kairos has for each agent a distribution of how long workflows go on from there, sorts agents by how near theirs is to
one of zeros, and serves requests of one agent by their start. Near is by the Wasserstein distance. To zeros that is the
mean; and between two distributions of which one is nowhere the shorter (stochastic order) it is the difference of their
means, so that the line on which Kairos arranges agents is then that of means, which is used here. docs/policies.md says
what else is different.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.option import Option
from hexsched.policies.parts.order import Books, Order

KIND_APART = 1e7  # seconds (115 days): more than calls wait; with many kinds the sum is still exact to a microsecond


@kernel
def kairos_key(seen, memory, settings, c, stage):
    """The place of the call's kind, 0 while nothing is known of it, and the start among those of one place, seconds."""
    call = seen.calls[c]
    start = call.released if settings.start == 1 else seen.workflows[call.workflow].arrival
    return memory.rows[call.kind].kind_place * KIND_APART + start


@kernel
def note_epoch(seen, memory, settings):
    """Calls of a workflow are kept in a list while it is under way; once it has ended they tell what was left."""
    clock = seen.clock[0]
    for k in range(clock.completed):
        w = seen.calls[seen.completed[k]].workflow
        if seen.workflows[w].ended == 1:
            note_end(seen, memory, w)
    for k in range(clock.released):
        c = seen.released[k]
        workflow = memory.workflows[seen.calls[c].workflow]
        memory.calls[c].before_in_workflow = workflow.last_call
        workflow.last_call = c + 1


@kernel
def note_end(seen, memory, w):
    """Each call of workflow ``w`` adds what was left of it to the mean of its kind, and leaves the list."""
    first = memory.workflows[w].last_call - 1
    horizon = 0.0
    c = first
    while c >= 0:
        horizon = max(horizon, seen.calls[c].path)
        c = memory.calls[c].before_in_workflow - 1
    c = first
    while c >= 0:
        call = seen.calls[c]
        row = memory.rows[call.kind]
        row.kind_calls += 1
        row.kind_left += (horizon - call.path + call.best - row.kind_left) / row.kind_calls
        settle(memory.rows, memory.counters[0], call.kind)
        c = memory.calls[c].before_in_workflow - 1
    memory.workflows[w].last_call = 0


@kernel
def settle(rows, counters, kind):
    """Move ``kind`` to its place among the kinds, by what is left after them; it passes none that is its like."""
    if rows[kind].kind_place == 0:
        counters.kinds_known += 1
        put(rows, counters.kinds_known, kind)
    place = rows[kind].kind_place
    left = rows[kind].kind_left
    while place > 1 and rows[rows[place - 2].kind_there].kind_left > left:
        put(rows, place, rows[place - 2].kind_there)
        place -= 1
    while place < counters.kinds_known and rows[rows[place].kind_there].kind_left < left:
        put(rows, place, rows[place].kind_there)
        place += 1
    put(rows, place, kind)


@kernel
def put(rows, place, kind):
    """``kind`` stands at ``place``, which are from 1 on."""
    rows[place - 1].kind_there = kind
    rows[kind].kind_place = place


ORDER = Order(
    name="kairos",
    summary="calls of the kind after which least is left of a workflow, by the mean of ended ones",
    source="Kairos, arXiv 2508.06948",
    key=kairos_key,
    rank=11,
    starts_search=False,
    options={"start": Option("workflow", ("workflow", "call"))},
    books=Books(
        calls=(("before_in_workflow", "i8"),),  # one more than the number of the call before it in the list, 0 for none
        workflows=(("last_call", "i8"),),  # the first in that list
        counters=(("kinds_known", "i8"),),  # how many kinds have a place
        rows=(
            # by kind of call
            ("kind_calls", "i8"),  # how many there were in workflows that ended
            ("kind_left", "f8"),  # mean standalone time from such a call to the end of its workflow, seconds
            ("kind_place", "i8"),  # from 1 on; 0 while there were none
            # by place, the first one in row 0
            ("kind_there", "i8"),  # the kind
        ),
        note_epoch=note_epoch,
    ),
)
