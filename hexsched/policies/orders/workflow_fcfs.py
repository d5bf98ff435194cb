"""First come, first served by workflow: the calls of the workflow that arrived first go first."""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def workflow_fcfs_key(board, settings, c, stage):
    """a_w."""
    return board.workflows[board.calls[c].workflow].arrival
