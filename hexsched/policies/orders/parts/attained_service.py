"""Attained service: what calls and workflows have been served, in discretised queues (Autellix, arXiv 2502.13965).

Service is put into one of a few queues whose bounds double from a quantum on; within a queue calls are served first
come, first served. Anti-starvation: a call is served first once its workflow's waiting exceeds ``beta`` times its
service, both counted since its last such promotion. Autellix does not publish its quantum or thresholds; ours are
options.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.option import Option
from hexsched.policies.parts.order import Books

SOURCE = "Autellix, arXiv 2502.13965"
OPTIONS = {"quantum": Option(1.0), "levels": Option(8), "beta": Option(4.0)}  # seconds; queues; a ratio
LEVEL_APART = 1e7  # seconds: above any time within a queue, and small enough to leave the sum exact to a nanosecond


@kernel
def queue_key(seen, memory, settings, c, service):
    """Starved calls first, then by the queue that ``service`` seconds belong to, then by arrival in it."""
    call = memory.calls[c]
    if call.starves_at <= seen.clock[0].now:
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
def note_epoch(seen, memory, settings):
    """Completed calls add to their workflow's service; released ones go on where the longest chain before them ends."""
    clock = seen.clock[0]
    for k in range(clock.completed):
        call = seen.calls[seen.completed[k]]
        workflow = memory.workflows[call.workflow]
        served = service_seconds(call)
        workflow.attained += served
        workflow.starved_service += served
        workflow.starved_wait += (call.decode_end - call.released) - served
    for k in range(clock.released):
        c = seen.released[k]
        first = seen.calls[c].first_parent
        for p in range(first, first + seen.calls[c].parents):
            parent = seen.parents[p]
            through = memory.calls[parent].attained + service_seconds(seen.calls[parent])
            memory.calls[c].attained = max(memory.calls[c].attained, through)


@kernel
def service_seconds(call):
    """Service that a completed call has had: prefill, transfer and decode, without waiting."""
    return (call.prefill_end - call.prefill_start) + (call.decode_end - call.admitted)


@kernel
def note_entry(seen, memory, settings, c):
    """Call ``c`` starts to wait now, and starves when that makes ``beta`` times the service of its workflow."""
    if settings.promotes == 1:
        workflow = memory.workflows[seen.calls[c].workflow]
        service = max(workflow.starved_service, settings.quantum)
        wait = max(settings.beta * service - workflow.starved_wait, 0.0)
        memory.calls[c].starves_at = memory.calls[c].entered + wait


@kernel
def note_service(seen, memory, settings, c):
    """Call ``c`` is served: if it had starved, its workflow starts with a clean slate."""
    if settings.promotes == 1 and memory.calls[c].starves_at <= seen.clock[0].now:
        workflow = memory.workflows[seen.calls[c].workflow]
        workflow.starved_service = 0.0
        workflow.starved_wait = 0.0


ATTAINED_SERVICE = Books(
    calls=(
        ("attained", "f8"),  # seconds of service along the longest chain of calls that leads here
        ("starves_at", "f8"),  # when it counts as starved where it waits
    ),
    workflows=(
        ("attained", "f8"),  # seconds of service of completed calls
        ("starved_service", "f8"),  # seconds of service and of waiting since the last promotion
        ("starved_wait", "f8"),
    ),
    note_epoch=note_epoch,
    note_entry=note_entry,
    note_service=note_service,
)
