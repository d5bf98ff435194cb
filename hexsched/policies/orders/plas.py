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
def plas_key(board, settings, c, stage):  # type: ignore[no-untyped-def]
    """The workflow's queue first, arrival in it second."""
    call = board.calls[c]
    return level(settings, board.workflows[call.workflow].attained) * LEVEL_APART + call.entered


@kernel
def level(settings, service):  # type: ignore[no-untyped-def]
    """Which of the discretised queues ``service`` seconds belong to; 0 is served first."""
    bound = settings.quantum
    for k in range(settings.levels - 1):
        if service < bound:
            return k
        bound *= 2.0
    return settings.levels - 1


@kernel
def starvation_time(board, settings, c):  # type: ignore[no-untyped-def]
    """When the waiting of a call queued now reaches ``beta`` times the service of its workflow."""
    call = board.calls[c]
    workflow = board.workflows[call.workflow]
    waited = workflow.starved_wait
    return call.entered + max(settings.beta * max(workflow.starved_service, settings.quantum) - waited, 0.0)
