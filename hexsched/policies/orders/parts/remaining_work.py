"""How much work a workflow is thought to have left, learned online from all workflows seen so far.

All calls of a workflow that are released at one instant are an *event*. After it the workflow is in a state: the kind
of the first of these calls, and how many calls of it have been released so far, in buckets. What followed each state
so far, events of which states and how much work, is a Markov chain with rewards (Puterman 1994, ch. 7); the mean work
to come is its value. Workflows that are still under way count as they are, as if they ended there.

States and transitions are kept as they are first seen, in lists; numbers in lists are one more than those of rows, and
0 is the end.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.order import Fields

PERCENT_MORE = 1  # values are worked out anew when there are so many more events: all times cost their logarithm

ROWS: Fields = (
    # by kind of call
    ("first_of_kind", "i8"),  # its states,
    # by state
    ("next_of_kind", "i8"),  # ... in the order in which they were seen
    ("shallower", "i8"),  # the next in the order from deep to shallow
    ("bucket", "i8"),
    ("events", "i8"),  # how many there were: N(z),
    ("event_work", "f8"),  # ... and their work
    ("work_after", "f8"),  # D(z): of the events that came right after
    ("stays", "i8"),  # N(z -> z)
    ("first_transition", "i8"),  # to other states
    ("value", "f8"),  # V(z): mean work to come
    # by transition
    ("to", "i8"),
    ("times", "i8"),  # N(z -> to)
    ("next_transition", "i8"),
)
COUNTERS: Fields = (
    ("states", "i8"),
    ("transitions", "i8"),
    ("deepest", "i8"),  # the first state in the order from deep to shallow
    ("all_events", "i8"),
    ("events_valued", "i8"),  # how many there were when values were last worked out
)
WORKFLOWS: Fields = (
    ("state", "i8"),  # one more than its number, 0 before the first event
    ("calls_released", "i8"),
    ("last_work", "f8"),  # of its last event
)


@kernel
def bucket_of(calls):
    """1, 2, 3, 4, 5 to 6, 7 to 8, 9 to 12, 13 to 16, 17 to 24, ...: two for each doubling, 15 being the last."""
    if calls <= 4:
        return calls - 1
    bucket = 4
    last, step = 6, 2
    while bucket < 15 and calls > last:
        bucket += 1
        last += step
        if calls <= last:
            break
        bucket += 1
        step *= 2
        last += step
    return min(bucket, 15)


@kernel
def note_event(rows, counters, workflow, kind, calls, work):
    """A workflow releases so many ``calls`` at once, the first of that ``kind``, with so much work in all."""
    workflow.calls_released += calls
    state = find_state(rows, counters, kind, bucket_of(workflow.calls_released))
    if workflow.state > 0:
        before = rows[workflow.state - 1]
        before.work_after += work
        if workflow.state - 1 == state:
            before.stays += 1
        else:
            note_transition(rows, counters, before, state)
    row = rows[state]
    row.events += 1
    row.event_work += work
    workflow.state = state + 1
    workflow.last_work = work
    counters.all_events += 1


@kernel
def find_state(rows, counters, kind, bucket):
    """The state of that kind and bucket, a new one where there was none."""
    state = rows[kind].first_of_kind - 1
    while state >= 0:
        row = rows[state]
        if row.bucket == bucket:
            return state
        state = row.next_of_kind - 1
    state = counters.states
    counters.states += 1
    row = rows[state]
    row.bucket = bucket
    row.next_of_kind = rows[kind].first_of_kind
    rows[kind].first_of_kind = state + 1
    before = -1  # it comes after those that are as deep
    behind = counters.deepest
    while behind > 0:
        other = rows[behind - 1]
        if other.bucket < bucket:
            break
        before = behind - 1
        behind = other.shallower
    row.shallower = behind
    if before < 0:
        counters.deepest = state + 1
    else:
        rows[before].shallower = state + 1
    return state


@kernel
def note_transition(rows, counters, before, state):
    """The state of row ``before`` was followed by ``state``, another one."""
    k = before.first_transition
    while k > 0:
        row = rows[k - 1]
        if row.to == state:
            row.times += 1
            return
        k = row.next_transition
    row = rows[counters.transitions]
    counters.transitions += 1
    row.to = state
    row.times = 1
    row.next_transition = before.first_transition
    before.first_transition = counters.transitions


@kernel
def value_states(rows, counters):
    """Work the values of all states out, from deep to shallow, where enough has happened since the last time.

    V(z) = (D(z) + sum of N(z -> y) V(y)) / max(N(z) - N(z -> z), 1). Among states of one depth a value may be that of
    the last time.
    """
    if 100 * counters.all_events < (100 + PERCENT_MORE) * counters.events_valued:
        return
    counters.events_valued = counters.all_events
    state = counters.deepest
    while state > 0:
        row = rows[state - 1]
        total = row.work_after
        k = row.first_transition
        while k > 0:
            transition = rows[k - 1]
            total += transition.times * rows[transition.to].value
            k = transition.next_transition
        row.value = total / max(row.events - row.stays, 1)
        state = row.shallower


@kernel
def expected_work(rows, workflow):
    """Work of a workflow that is not released yet: the mean after its state, as its last event was to others there."""
    row = rows[workflow.state - 1]
    if row.event_work <= 0.0:
        return 0.0
    return row.value * workflow.last_work * row.events / row.event_work
