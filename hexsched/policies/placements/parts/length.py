"""How long queues are, in calls."""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def calls_on_prefill(seen, memory, i):
    """Calls running or queued on prefill instance ``i``."""
    running = 1 if seen.prefills[i].running >= 0 else 0
    return memory.queues.prefills[i].calls + running


@kernel
def calls_on_decode(seen, memory, j):
    """Calls admitted to or bound for decode instance ``j``."""
    return seen.decodes[j].admitted + memory.planner.decodes[j].planned
