"""Earliest deadline first, the deadline being a_w + s H_w(t) for a given SLO scale s."""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def edf_key(board, settings, c, stage):
    """a_w + s H_w(t)."""
    workflow = board.workflows[board.calls[c].workflow]
    return workflow.arrival + settings.slo_scale * workflow.horizon
