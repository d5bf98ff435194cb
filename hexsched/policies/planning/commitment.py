"""Which decode instance a call is counted for before it is admitted."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.planning.paces import find_pace, forget_pace, lower_floor
from hexsched.policies.planning.projection import project
from hexsched.policies.planning.room import note_plan


@kernel
def plan_on(seen, memory, c, j):
    """Count call ``c`` for decode instance ``j``, and for no other."""
    unplan(seen, memory, c)
    call = seen.calls[c]
    outlook = memory.planner.decodes[j]
    _project_if_swept(seen, memory, j)
    memory.calls[c].planned = j
    outlook.planned += 1
    outlook.planned_tokens += call.n + call.estimate
    outlook.planned_prompt += call.n
    if outlook.epoch == seen.clock[0].epoch:
        outlook.free -= call.n + call.estimate
        outlook.slots -= 1
        outlook.batch += 1
        outlook.kv += call.n
    note_plan(seen, memory, j)
    if outlook.epoch == seen.clock[0].epoch:
        find_pace(seen, memory, j)
    else:
        forget_pace(seen, memory, j)


@kernel
def unplan(seen, memory, c):
    """Count call ``c`` for no decode instance."""
    if memory.calls[c].planned < 0:
        return
    call = seen.calls[c]
    j = memory.calls[c].planned
    outlook = memory.planner.decodes[j]
    _project_if_swept(seen, memory, j)
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
    forget_pace(seen, memory, j)


@kernel
def count_on(seen, memory, c, j):
    """Count call ``c`` for ``j`` in this epoch's projection, until ``forget_counted``."""
    row = project(seen, memory, j)
    call = seen.calls[c]
    if row.counted == 0:
        row.counted = 1
        row.floor_before = memory.planner.pace_floors[seen.decodes[j].kind, memory.planner.decode_place[j]]
        memory.planner.counted[memory.planner.lists[0].counted] = j
        memory.planner.lists[0].counted += 1
    row.free -= call.n + call.estimate
    row.slots -= 1
    row.batch += 1
    row.kv += call.n
    find_pace(seen, memory, j)


@kernel
def forget_counted(seen, memory):
    """Those were only plans."""
    lists = memory.planner.lists[0]
    for k in range(lists.counted):
        row = memory.planner.decodes[memory.planner.counted[k]]
        row.counted = 0
        row.epoch = -1
        lower_floor(seen, memory, memory.planner.counted[k], row.floor_before)
    lists.counted = 0


@kernel
def _project_if_swept(seen, memory, j):
    """Where all rows are thought to be worked out, do so for ``j`` before it changes: sums must round the same way."""
    epoch = seen.clock[0].epoch
    outlook = memory.planner.decodes[j]
    if memory.planner.lists[0].swept == epoch and 0 <= outlook.epoch < epoch:
        project(seen, memory, j)
