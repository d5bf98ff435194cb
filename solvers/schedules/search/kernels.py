"""The clairvoyant's preference for HexAGenT's planner: priorities and due times of its own, allowed kinds, crowding.

The engine's own physics carries every decision out, so a run is a schedule that the model allows, whatever it prefers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hexsched.engine.by_address import by_address
from hexsched.engine.kernel import entry, kernel
from hexsched.engine.loop import advance
from hexsched.engine.physics import iteration_seconds
from hexsched.engine.state import Records
from hexsched.policies.decide import asks_for_decision
from hexsched.policies.parts.order import KEY_STAYS, PREFILL
from hexsched.policies.planning.planner import planner
from hexsched.policies.planning.preference import Preference, finish_of_decode
from hexsched.policies.planning.projection import project
from hexsched.policies.replay import replay

LAST_BIT = 62  # kinds beyond it share it
GOING, DONE, TOO_LATE = 0, 1, 2  # of a run

ROW = np.dtype(
    [
        ("first", "f8"),  # priority before prefill, the least first
        ("then", "f8"),  # priority before admission
        ("prefills", "i8"),  # bits: kinds of prefill instances it may use
        ("decodes", "i8"),  # bits: kinds of decode instances it may use
        ("due", "f8"),  # an end before then counts as one at that time
    ],
    align=True,
)


@by_address
class Wish(NamedTuple):
    """What the clairvoyant prefers.

    Attributes
    ----------
    settings : (1,) SETTINGS
        Of a policy with all terms of the projection on, whose order does not look ahead.
    rows : (N,) ROW
    crowding : float
        Weight of the seconds by which a call on a decode instance holds up those already there.
    """

    settings: Records
    rows: Records
    crowding: float


@kernel
def settings_of(wish: Any) -> Any:
    """What projections read."""
    return wish.settings[0]


@kernel
def priority(seen: Any, memory: Any, wish: Any, c: int, stage: int) -> float:
    """The priority of the stage."""
    if stage == PREFILL:
        return wish.rows[c].first
    return wish.rows[c].then


@kernel
def fixed_keys(wish: Any) -> int:
    """Priorities stay as they are."""
    return KEY_STAYS


@kernel
def allows(wish: Any, c: int, stage: int, kind: int) -> bool:
    """Whether the bit of the kind is set."""
    bits = wish.rows[c].prefills if stage == PREFILL else wish.rows[c].decodes
    return (bits >> min(kind, LAST_BIT)) & 1 == 1


@kernel
def twins_alike(wish: Any) -> bool:
    """Where crowding does not count."""
    return wish.crowding == 0.0


@kernel
def holdup(seen: Any, memory: Any, wish: Any, c: int, j: int) -> float:
    """Weighed seconds by which call ``c`` on ``j`` holds up the calls there, were they to stay as long as it does."""
    if seen.clock[0].fixed:
        return wish.crowding * 0.0
    row = project(seen, memory, j)
    call = seen.calls[c]
    with_it = iteration_seconds(seen, j, row.batch + 1, row.kv + call.n)
    without = iteration_seconds(seen, j, max(row.batch, 1), row.kv)
    return wish.crowding * ((with_it - without) * row.batch * call.estimate)


@kernel
def when_due(seen: Any, wish: Any, c: int, finish: float, aside: float) -> float:
    """Nothing is gained by a finish before it is due: then what it holds up decides."""
    return max(finish, wish.rows[c].due - seen.clock[0].now) + aside


@kernel
def first_in_number(j: int) -> int:
    """Of places of equal cost the one of least number."""
    return j


@kernel
def decode_when_due(seen: Any, memory: Any, wish: Any, c: int, j: int) -> float:
    """The same for a call that is prefilled."""
    finish = finish_of_decode(seen, memory, wish.settings[0], c, j)
    return when_due(seen, wish, c, finish, holdup(seen, memory, wish, c, j))


CLAIRVOYANT = Preference(
    key=priority,
    key_changes=fixed_keys,
    settings=settings_of,
    allows=allows,
    twins_alike=twins_alike,
    aside=holdup,
    cost=when_due,
    tie=first_in_number,
    decode_cost=decode_when_due,
    left_over_first=False,
)

plan = planner(CLAIRVOYANT)


@entry
def run_guide(
    state: Any, memory: Any, wish: Any, due: Any, by_due: Any, calls_from: Any, late_allowed: int, of_interest: int
) -> bool:
    """Run a fresh state; False as soon as more than ``late_allowed`` workflows are late.

    Parameters
    ----------
    state : State
    memory : Memory
    wish : Wish
    due, by_due : (W,) arrays
        When each workflow is late, seconds, and the workflows in that order.
    calls_from : (W + 1,) int array
        Workflow w has the calls from ``calls_from[w]`` to ``calls_from[w + 1] - 1``.
    late_allowed : int
    of_interest : int
        The run ends with the completion of so many calls.
    """
    status, looked_at, late = GOING, 0, 0
    while status == GOING:
        status, of_interest, looked_at, late = _go_on(
            state, due, by_due, calls_from, late_allowed, of_interest, looked_at, late
        )
        if status == GOING and asks_for_decision(state.seen.clock[0]):
            plan(state, state.seen, memory, wish)
    return status == DONE


@entry
def run_orders(
    state: Any, orders: Any, due: Any, by_due: Any, calls_from: Any, late_allowed: int, of_interest: int
) -> bool:
    """Run a fresh state with every call's place, and the order of calls at each, given; otherwise as ``run_plan``."""
    status, looked_at, late = GOING, 0, 0
    while status == GOING:
        status, of_interest, looked_at, late = _go_on(
            state, due, by_due, calls_from, late_allowed, of_interest, looked_at, late
        )
        if status == GOING:
            replay(state, state.seen, orders)
    return status == DONE


@kernel
def _go_on(
    state: Any, due: Any, by_due: Any, calls_from: Any, late_allowed: int, of_interest: int, looked_at: int, late: int
) -> Any:
    """Move to the next decision epoch, unless the run is over.

    Returns the status, for how many more completions to wait, how many workflows were due by now, and how many of them
    were not through then.
    """
    if not advance(state):
        return DONE, of_interest, looked_at, late
    seen = state.seen
    of_interest -= seen.clock[0].completed
    if of_interest <= 0:
        return DONE, of_interest, looked_at, late
    while looked_at < by_due.shape[0] and due[by_due[looked_at]] < seen.clock[0].now:
        w = by_due[looked_at]
        looked_at += 1
        for c in range(calls_from[w], calls_from[w + 1]):
            if seen.calls[c].decode_instance < 0 or not 0.0 < seen.calls[c].decode_end <= due[w]:
                late += 1
                break
        if late > late_allowed:
            return TOO_LATE, of_interest, looked_at, late
    return GOING, of_interest, looked_at, late
