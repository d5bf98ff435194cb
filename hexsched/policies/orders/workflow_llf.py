"""Least laxity first by workflow: slack = deadline - now - remaining standalone time, deadline = a_w + s H_w(t)."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.engine.physics import best_after_prefill
from hexsched.policies.parts.option import Option
from hexsched.policies.parts.order import KEY_RISES, PREFILL, Order


@kernel
def workflow_llf_key(seen, memory, settings, c, stage):
    """Slack without the ``- now`` that all waiting calls share, seconds."""
    call = seen.calls[c]
    workflow = seen.workflows[call.workflow]
    if stage == PREFILL:
        remaining = call.best
    else:
        remaining = best_after_prefill(seen, call.prefill_instance, call.n, call.estimate, call.needs_capacity)
    return workflow.arrival + settings.slo_scale * workflow.horizon - remaining


ORDER = Order(
    name="workflow-llf",
    summary="least laxity: deadline a_w + s H_w(t), less the call's standalone time",
    source="arXiv 2605.16637",
    key=workflow_llf_key,
    key_changes=KEY_RISES,
    rank=4,
    options={"slo_scale": Option(4.0)},
)
