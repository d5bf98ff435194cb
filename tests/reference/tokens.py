"""A token by token run of a schedule's decisions, as a real engine decodes.

The model's ``fluid`` decode lets a call join the batch at any moment and treats tokens as continuous. An engine does
neither: it works in iterations whose batch is fixed when they start, and every member gets one whole token. This
module advances each decode instance an iteration at a time, so that the difference can be measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hexsched.model import Call, DecodeInstance, Instance, Schedule, ScheduledCall
from reference.formulas import base_time, prefill_time, transfer_time


@dataclass
class Job:
    """A call, where it goes and what has happened to it; a time is None until it is known."""

    workflow: str
    call: Call
    source: str
    target: str
    release: float | None = None
    prefill_start: float | None = None
    prefill_end: float | None = None
    admitted: float | None = None
    arrives: float | None = None
    joined: float | None = None
    completed: float | None = None
    tokens: int = 0

    @property
    def need(self) -> int:
        """KV tokens reserved."""
        return self.call.prompt_tokens + self.call.output_tokens


@dataclass
class Prefill:
    """A prefill instance: who is next, in the order decided, and until when it is busy."""

    queue: list[Job]
    free_at: float = 0.0


@dataclass
class Decode:
    """A decode instance: the calls still to admit, in the order decided, those admitted, and those in the iteration."""

    machine: DecodeInstance
    queue: list[Job]
    admitted: list[Job] = field(default_factory=list)
    batch: list[Job] = field(default_factory=list)
    iteration_end: float | None = None


def replay_tokens(instance: Instance, schedule: Schedule) -> Schedule:
    """Run the schedule's placements and orders, each step as early as they allow, in whole iterations.

    ``decode_start`` of the result is the start of the first iteration that the call is part of.
    """
    jobs = _jobs(instance, schedule)
    rows = {(row.workflow_id, row.call_id): row for row in schedule.calls}

    def in_order(side: str, name: str, moment: str) -> list[Job]:
        mine = [job for job in jobs if getattr(job, side) == name]
        return sorted(mine, key=lambda job: getattr(rows[job.workflow, job.call.call_id], moment))

    prefills = {m.id: Prefill(in_order("source", m.id, "prefill_start")) for m in instance.prefill}
    decodes = [Decode(m, in_order("target", m.id, "admitted")) for m in instance.decode]
    coefficients = {machine.id: machine for machine in instance.prefill}

    now = 0.0
    while any(job.completed is None for job in jobs):
        for decode in decodes:
            _finish_iteration(decode, now)
        _release(instance, jobs)
        for name, prefill in prefills.items():
            while prefill.queue and prefill.free_at <= now and _reached(prefill.queue[0].release, now):
                job = prefill.queue.pop(0)
                job.prefill_start = now
                job.prefill_end = prefill.free_at = now + prefill_time(coefficients[name], job.call)
        for decode in decodes:
            _admit(instance, decode, now)
            _start_iteration(decode, now)
        if all(job.completed is not None for job in jobs):
            break
        now = _next_time(prefills, decodes, now)
    return Schedule(format=schedule.format, policy=schedule.policy, calls=tuple(_row(job) for job in jobs))


def _jobs(instance: Instance, schedule: Schedule) -> list[Job]:
    placed = {(row.workflow_id, row.call_id): row for row in schedule.calls}
    return [
        Job(
            workflow=workflow.workflow_id,
            call=call,
            source=placed[workflow.workflow_id, call.call_id].prefill_instance,
            target=placed[workflow.workflow_id, call.call_id].decode_instance,
        )
        for workflow in instance.workflows
        for call in workflow.calls
    ]


def _release(instance: Instance, jobs: list[Job]) -> None:
    """Set the release of every call whose parents are all complete."""
    arrival = {workflow.workflow_id: workflow.arrival for workflow in instance.workflows}
    completed = {(job.workflow, job.call.call_id): job.completed for job in jobs}
    for job in jobs:
        if job.release is None:
            parents = [completed[job.workflow, parent] for parent in job.call.parents]
            if None not in parents:
                job.release = max([arrival[job.workflow], *parents]) + job.call.delay


def _admit(instance: Instance, decode: Decode, now: float) -> None:
    """Admit from the head of the queue while the head is prefilled and fits."""
    while decode.queue and _reached(decode.queue[0].prefill_end, now):
        held = sum(job.need for job in decode.admitted)
        job = decode.queue[0]
        if held + job.need > decode.machine.kv_capacity_tokens or len(decode.admitted) == decode.machine.max_batch:
            break
        decode.queue.pop(0)
        decode.admitted.append(job)
        job.admitted = now
        job.arrives = now + transfer_time(instance, job.source, job.target, job.call)


def _start_iteration(decode: Decode, now: float) -> None:
    """Start an iteration with every admitted call whose KV is there, unless one is running."""
    if decode.iteration_end is not None:
        return
    decode.batch = [job for job in decode.admitted if _reached(job.arrives, now)]
    if decode.batch:
        held = sum(job.call.prompt_tokens + job.tokens for job in decode.batch)
        seconds = base_time(decode.machine, len(decode.batch)) + decode.machine.decode_coeffs[2] * held
        decode.iteration_end = now + seconds
        for job in decode.batch:
            if job.joined is None:
                job.joined = now


def _finish_iteration(decode: Decode, now: float) -> None:
    """At the end of an iteration every member has one more token; those with all of theirs leave."""
    if not _reached(decode.iteration_end, now):
        return
    decode.iteration_end = None
    for job in decode.batch:
        job.tokens += 1
        if job.tokens == job.call.output_tokens:
            job.completed = now
            decode.admitted.remove(job)


def _next_time(prefills: dict[str, Prefill], decodes: list[Decode], now: float) -> float:
    """The next moment at which anything can happen; a schedule that cannot be replayed has none."""
    moments: list[float | None] = []
    for prefill in prefills.values():
        moments.append(prefill.free_at)
        moments += [job.release for job in prefill.queue[:1]]
    for decode in decodes:
        moments.append(decode.iteration_end)
        moments += [job.prefill_end for job in decode.queue[:1]]
        moments += [job.arrives for job in decode.admitted]
    return min(moment for moment in moments if moment is not None and moment > now)


def _reached(moment: float | None, now: float) -> bool:
    return moment is not None and moment <= now


def _row(job: Job) -> ScheduledCall:
    return ScheduledCall(
        workflow_id=job.workflow,
        call_id=job.call.call_id,
        prefill_instance=job.source,
        prefill_start=job.prefill_start,
        prefill_end=job.prefill_end,
        decode_instance=job.target,
        admitted=job.admitted,
        decode_start=job.joined,
        decode_end=job.completed,
    )
