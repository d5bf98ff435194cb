"""PLAS: program-level least attained service (Autellix, arXiv 2502.13965), in discretised queues.

A workflow's priority is the service that its completed calls have had, put into one of a few queues whose bounds
double from a quantum on; within a queue calls are served first come, first served. Anti-starvation: a call is served
first once its workflow's waiting exceeds ``beta`` times its service, both counted since its last such promotion.
Autellix does not publish its quantum or thresholds; ours are settings.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel

LEVEL_APART = 1e7  # seconds: above any time within a queue, and small enough to leave the sum exact to a nanosecond


@kernel
def plas_key(board, settings, c, stage):
    """The workflow's queue first, arrival in it second."""
    call = board.calls[c]
    return queue_key(board, settings, call, board.workflows[call.workflow].attained)


@kernel
def queue_key(board, settings, call, service):
    """Starved calls first, then by the queue that ``service`` seconds belong to, then by arrival in it."""
    if call.starves_at <= board.clock[0].now:
        return call.entered - LEVEL_APART
    return level(settings, service) * LEVEL_APART + call.entered


@kernel
def level(settings, service):
    """Which of the discretised queues ``service`` seconds belong to; 0 is served first."""
    bound = settings.quantum
    for k in range(settings.levels - 1):
        if service < bound:
            return k
        bound *= 2.0
    return settings.levels - 1


@kernel
def note_entry(board, settings, c):
    """Call ``c`` starts to wait now, and starves when that makes ``beta`` times the service of its workflow."""
    call = board.calls[c]
    call.entered = board.clock[0].now
    if settings.promotes == 1:
        workflow = board.workflows[call.workflow]
        service = max(workflow.starved_service, settings.quantum)
        call.starves_at = call.entered + max(settings.beta * service - workflow.starved_wait, 0.0)


@kernel
def note_service(board, settings, c):
    """Call ``c`` is served: if it had starved, its workflow starts with a clean slate."""
    call = board.calls[c]
    if settings.promotes == 1 and call.starves_at <= board.clock[0].now:
        workflow = board.workflows[call.workflow]
        workflow.starved_service = 0.0
        workflow.starved_wait = 0.0
