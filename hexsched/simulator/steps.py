"""What a policy in plain Python can make the engine do."""

from __future__ import annotations

from hexsched.engine.kernel import entry
from hexsched.engine.loop import admit, has_room, start_prefill


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
