"""First come, first served by workflow: the calls of the workflow that arrived first go first."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.order import KEY_STAYS, Order


@kernel
def workflow_fcfs_key(seen, memory, settings, c, stage):
    """a_w, seconds."""
    return seen.workflows[seen.calls[c].workflow].arrival


ORDER = Order(
    name="workflow-fcfs",
    summary="calls of the workflow that arrived first",
    source="arXiv 2605.16637",
    key=workflow_fcfs_key,
    key_changes=KEY_STAYS,
    rank=3,
)
