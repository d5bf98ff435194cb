"""Which decode instance a call is counted for before it is admitted."""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def plan_on(seen, memory, c, j):
    """Count call ``c`` for decode instance ``j``, and for no other."""
    unplan(seen, memory, c)
    call = seen.calls[c]
    outlook = memory.planner.decodes[j]
    memory.calls[c].planned = j
    outlook.planned += 1
    outlook.planned_tokens += call.n + call.estimate
    outlook.planned_prompt += call.n
    if outlook.epoch == seen.clock[0].epoch:
        outlook.free -= call.n + call.estimate
        outlook.slots -= 1
        outlook.batch += 1
        outlook.kv += call.n


@kernel
def unplan(seen, memory, c):
    """Count call ``c`` for no decode instance."""
    if memory.calls[c].planned < 0:
        return
    call = seen.calls[c]
    outlook = memory.planner.decodes[memory.calls[c].planned]
    outlook.planned -= 1
    outlook.planned_tokens -= call.n + call.estimate
    outlook.planned_prompt -= call.n
    if outlook.planned == 0:
        outlook.planned_tokens = 0.0
    if outlook.epoch == seen.clock[0].epoch:
        outlook.free += call.n + call.estimate
        outlook.slots += 1
        outlook.batch -= 1
        outlook.kv -= call.n
    memory.calls[c].planned = -1
