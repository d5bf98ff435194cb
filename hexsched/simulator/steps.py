"""The engine's steps one by one, as a policy in plain Python needs them."""

from __future__ import annotations

from hexsched.engine.kernel import entry
from hexsched.engine.loop import admit, advance, has_room, start_prefill
from hexsched.policies.decide import decide


@entry
def advance_step(state):
    """Move to the next decision epoch; False when nothing is left to happen."""
    return advance(state)


@entry
def decide_step(state, settings):
    """One epoch of an order x placement."""
    decide(state, settings[0])


@entry
def start_step(state, c, i):
    """Start the prefill of call ``c`` on instance ``i``."""
    start_prefill(state, c, i)


@entry
def admit_step(state, c, j):
    """Admit call ``c`` to instance ``j`` if it has room; whether it had."""
    if not has_room(state, c, j):
        return False
    admit(state, c, j)
    return True
