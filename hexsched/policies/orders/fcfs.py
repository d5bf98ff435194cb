"""Per-call first come, first served, as SGLang's default."""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def fcfs_key(board, settings, c, stage):
    """When the call entered the queue."""
    return board.calls[c].entered
