"""Earliest deadline first, the deadline being a_w + s H_w(t) for a given SLO scale s."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.option import Option
from hexsched.policies.parts.order import KEY_RISES, Order


@kernel
def edf_key(seen, memory, settings, c, stage):
    """a_w + s H_w(t), seconds."""
    workflow = seen.workflows[seen.calls[c].workflow]
    return workflow.arrival + settings.slo_scale * workflow.horizon


ORDER = Order(
    name="edf",
    summary="earliest deadline a_w + s H_w(t)",
    source="Liu and Layland 1973",
    key=edf_key,
    key_changes=KEY_RISES,
    rank=5,
    options={"slo_scale": Option(4.0)},
)
