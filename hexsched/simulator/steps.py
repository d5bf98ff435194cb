"""What a policy in plain Python can make the engine do."""

from __future__ import annotations

from hexsched.engine.actions import admit, has_room, start_prefill
from hexsched.engine.kernel import entry


@entry
def start_step(actions, c, i):
    """Start the prefill of call ``c`` on instance ``i``."""
    start_prefill(actions, c, i)


@entry
def admit_step(actions, c, j):
    """Admit call ``c`` to instance ``j`` if it has room; whether it had."""
    if not has_room(actions, c, j):
        return False
    admit(actions, c, j)
    return True
