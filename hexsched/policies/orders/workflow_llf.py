"""Least laxity first by workflow: slack = deadline - now - remaining standalone time, deadline = a_w + s H_w(t)."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.engine.physics import best_after_prefill
from hexsched.policies.settings import PREFILL


@kernel
def workflow_llf_key(board, settings, c, stage):
    """Slack without the ``- now`` that all waiting calls share."""
    call = board.calls[c]
    workflow = board.workflows[call.workflow]
    if stage == PREFILL:
        remaining = call.best
    else:
        remaining = best_after_prefill(board, call.prefill_instance, call.n, call.estimate, call.needs_capacity)
    return workflow.arrival + settings.slo_scale * workflow.horizon - remaining
