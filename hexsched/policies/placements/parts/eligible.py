"""Decode instances that can ever hold a call: the others are no choice at all."""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def can_hold(seen, c, j):
    """Whether call ``c`` fits on an empty ``j``."""
    return seen.decodes[j].kv_capacity >= seen.calls[c].needs_capacity


@kernel
def count_eligible(seen, c):
    """How many decode instances can ever hold ``c``."""
    count = 0
    for j in range(seen.decodes.shape[0]):
        if can_hold(seen, c, j):
            count += 1
    return count


@kernel
def nth_eligible(seen, c, nth):
    """The ``nth`` (from 0) decode instance that can ever hold ``c``."""
    for j in range(seen.decodes.shape[0]):
        if can_hold(seen, c, j):
            if nth == 0:
                return j
            nth -= 1
    return -1
