"""A scheduler whose schedules are valid beyond doubt: one call in the whole cluster at a time."""

from __future__ import annotations

import numpy as np

from hexsched.model import Instance, Schedule, ScheduledCall
from reference.formulas import alone_time, fits, prefill_time, transfer_time


def serial_schedule(instance: Instance, rng: np.random.Generator) -> Schedule:
    """Run the calls one after the other, on random instances and now and then after a pause."""
    completion: dict[tuple[str, str], float] = {}
    rows = []
    now = 0.0
    waiting = [(workflow, call) for workflow in instance.workflows for call in workflow.calls]
    while waiting:
        workflow, call = next(
            (w, c) for w, c in waiting if all((w.workflow_id, parent) in completion for parent in c.parents)
        )
        waiting.remove((workflow, call))
        name = workflow.workflow_id
        release = max([workflow.arrival, *(completion[name, parent] for parent in call.parents)]) + call.delay
        source = instance.prefill[rng.integers(len(instance.prefill))]
        able = [machine for machine in instance.decode if fits(machine, call)]
        target = able[rng.integers(len(able))]
        start = max(now, release) + _pause(rng)
        prefilled = start + prefill_time(source, call)
        admitted = prefilled + _pause(rng)
        arrived = admitted + transfer_time(instance, source.id, target.id, call)
        now = completion[name, call.call_id] = arrived + alone_time(instance, target, call)
        rows.append(
            ScheduledCall(
                workflow_id=name,
                call_id=call.call_id,
                prefill_instance=source.id,
                prefill_start=start,
                prefill_end=prefilled,
                decode_instance=target.id,
                admitted=admitted,
                decode_start=arrived,
                decode_end=now,
            )
        )
    return Schedule(format="hexsched-schedule/1", policy="serial", calls=tuple(rows))


def _pause(rng: np.random.Generator) -> float:
    return float(rng.uniform(0, 1)) if rng.random() < 0.3 else 0.0
