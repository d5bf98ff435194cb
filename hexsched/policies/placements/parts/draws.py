"""Random numbers of a run, drawn before it from its seed."""

from __future__ import annotations

from hexsched.engine.kernel import kernel

COUNTERS = (("draws", "i8"),)  # random numbers used up


@kernel
def draw_below(memory, bound):
    """A random whole number from 0 to ``bound`` - 1."""
    counters = memory.counters[0]
    uniform = memory.draws[counters.draws % memory.draws.shape[0]]
    counters.draws += 1
    return min(int(uniform * bound), bound - 1)
