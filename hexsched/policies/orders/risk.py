"""HexAGenT's risk of missing the horizon (arXiv 2605.16637): R(c, t) = ((t - a_w) + Delta) / H_w(t), highest first."""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def risk_key(board, settings, c, stage):
    """-R(c, t), with Delta as last projected by the placement."""
    call = board.calls[c]
    workflow = board.workflows[call.workflow]
    return -((board.clock[0].now - workflow.arrival) + call.delta) / workflow.horizon
