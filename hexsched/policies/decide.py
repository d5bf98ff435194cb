"""The one place where compiled policies meet the engine."""

from __future__ import annotations

from hexsched.engine.kernel import entry, kernel
from hexsched.engine.loop import advance
from hexsched.engine.wallclock import nanoseconds, record
from hexsched.policies.dispatch import dispatch
from hexsched.policies.orders import PYTHON
from hexsched.policies.planner import plan
from hexsched.policies.replay import replay
from hexsched.policies.settings import DECIDER, PLAN, QUEUES


@kernel
def decide(state, settings):
    """Make the decisions of one epoch; what plain Python decides is already done."""
    if settings.mode == PLAN:
        plan(state, settings)
    elif settings.mode == QUEUES:
        dispatch(state, settings)


@kernel
def asks_for_decision(clock):
    """Whether anything happened that decisions depend on: the end of a transfer does not (model.md section 5)."""
    return clock.released + clock.prefilled + clock.completed > 0


@kernel
def asks_python(clock, settings):
    """Whether plain Python has a say in this decision: all of it, or the priority of calls that enter a queue."""
    return settings.mode == DECIDER or (settings.order == PYTHON and clock.released + clock.prefilled > 0)


@entry
def run_epochs(state, settings, epochs, latency, buffer):
    """Run at most ``epochs`` decision epochs; False when nothing is left to happen.

    Returns early, with ``clock.python_turn`` set, when a decision waits for plain Python; the next call goes on there.
    ``latency`` is a histogram of the time each decision took (``hexsched.engine.wallclock``).
    """
    clock = state.board.clock[0]
    for _ in range(epochs):
        if clock.python_turn == 0:
            if not advance(state):
                return False
            if not asks_for_decision(clock):
                continue
            if asks_python(clock, settings[0]):
                clock.python_turn = 1
                return True
        start = nanoseconds(buffer)
        decide(state, settings[0])
        record(latency, nanoseconds(buffer) - start + clock.python_nanoseconds)
        clock.python_turn = 0
        clock.python_nanoseconds = 0
    return True


@entry
def replay_epochs(state, orders, epochs):
    """As ``run_epochs``, for given decisions."""
    for _ in range(epochs):
        if not advance(state):
            return False
        replay(state, orders)
    return True
