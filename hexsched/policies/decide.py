"""The one place where compiled policies meet the engine."""

from __future__ import annotations

from hexsched.engine.kernel import entry, kernel
from hexsched.engine.loop import advance
from hexsched.engine.wallclock import nanoseconds, record
from hexsched.policies.dispatch import dispatch
from hexsched.policies.planner import plan
from hexsched.policies.replay import replay
from hexsched.policies.settings import PLAN


@kernel
def decide(state, settings):
    """Make the decisions of one epoch; the end of a transfer alone is none (model.md section 5)."""
    clock = state.board.clock[0]
    if clock.released + clock.prefilled + clock.completed == 0:
        return
    if settings.mode == PLAN:
        plan(state, settings)
    else:
        dispatch(state, settings)


@entry
def run_epochs(state, settings, epochs, latency, buffer):
    """Run at most ``epochs`` decision epochs; False when nothing is left to happen.

    ``latency`` is a histogram of the time each decision took (``hexsched.engine.wallclock``).
    """
    for _ in range(epochs):
        if not advance(state):
            return False
        start = nanoseconds(buffer)
        decide(state, settings[0])
        record(latency, nanoseconds(buffer) - start)
    return True


@entry
def replay_epochs(state, orders, epochs):
    """As ``run_epochs``, for given decisions."""
    for _ in range(epochs):
        if not advance(state):
            return False
        replay(state, orders)
    return True
