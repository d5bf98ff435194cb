"""Which decode instance a call is counted for before it is admitted."""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def plan_on(board, c, j):
    """Count call ``c`` for decode instance ``j``, and for no other."""
    unplan(board, c)
    call = board.calls[c]
    decode = board.decodes[j]
    call.planned = j
    decode.planned += 1
    decode.planned_tokens += call.n + call.estimate
    decode.planned_prompt += call.n
    row = board.projections[j]
    if row.epoch == board.clock[0].epoch:
        row.free -= call.n + call.estimate
        row.slots -= 1
        row.batch += 1
        row.kv += call.n


@kernel
def unplan(board, c):
    """Count call ``c`` for no decode instance."""
    call = board.calls[c]
    if call.planned < 0:
        return
    decode = board.decodes[call.planned]
    decode.planned -= 1
    decode.planned_tokens -= call.n + call.estimate
    decode.planned_prompt -= call.n
    if decode.planned == 0:
        decode.planned_tokens = 0.0
    row = board.projections[call.planned]
    if row.epoch == board.clock[0].epoch:
        row.free += call.n + call.estimate
        row.slots += 1
        row.batch -= 1
        row.kv -= call.n
    call.planned = -1
