"""By how much at least a horizon will still grow, learned online from the workflows that have ended.

A mean of what comes would not do: the SLO scale is set by workflows that end before others of their sort, and these
suffer from whatever was expected of them in vain. So it is a lower limit that few fall below. What counts is the last
event of a workflow in each state (``remaining_work``), and by how much the horizon shown then was short of the one at
its end. The least of n such is more than the next one with a probability of at most 1 / (n + 1), as long as workflows
are exchangeable (conformal prediction: Vovk, Gammerman and Shafer 2005). They are taken in blocks, and what is expected
is the least of the present block and the one before, so that it does not fall for ever as n grows, and what changes
with time is followed. Before enough workflows have ended nothing is expected.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.order import Fields

ENOUGH = 80  # workflows that ended after a state, before anything is expected of the next
BLOCK = 200  # workflows: one in 201 to 401 ends sooner than is expected

ROWS: Fields = (
    # by state
    ("ended_after", "i8"),  # workflows that were in it and have ended
    ("least_before", "f8"),  # by how much horizons grew at least in the block before, seconds,
    ("least_now", "f8"),  # ... and in the present one
    ("noted_for", "i8"),  # the last event, as below, of the workflow that was noted last
    ("rest", "f8"),  # what may be expected of the next workflow in it
    # by event, in the order in which they came
    ("event_state", "i8"),
    ("event_horizon", "f8"),  # shown then, seconds
    ("event_before", "i8"),  # one more than the number of the event before, of the same workflow
)
WORKFLOWS: Fields = (("last_event", "i8"),)  # one more than its number, 0 before the first


@kernel
def note_horizon(rows, workflow, event, horizon):
    """A workflow is in a new state, or in its old one again, after that ``event``, and ``horizon`` is shown for it."""
    row = rows[event]
    row.event_state = workflow.state - 1
    row.event_horizon = horizon
    row.event_before = workflow.last_event
    workflow.last_event = event + 1


@kernel
def note_end(rows, workflow, horizon):
    """A workflow ended, with that ``horizon``: by how much it grew after each of its states."""
    event = workflow.last_event
    while event > 0:
        row = rows[event - 1]
        state = rows[row.event_state]
        if state.noted_for != workflow.last_event:
            state.noted_for = workflow.last_event
            note_rest(state, horizon - row.event_horizon)
        event = row.event_before


@kernel
def note_rest(state, rest):
    """The horizon of a workflow that was in that state grew by ``rest`` seconds."""
    if state.ended_after % BLOCK == 0:
        state.least_before = state.least_now
        state.least_now = rest
    state.least_now = min(state.least_now, rest)
    state.ended_after += 1
    if state.ended_after >= ENOUGH:
        least = state.least_now
        if state.ended_after > BLOCK:
            least = min(least, state.least_before)
        state.rest = max(least, 0.0)
