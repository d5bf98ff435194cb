"""Schedules that break no rule, for breaking: one call at a time with long pauses, crowds, and a closed loop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from instances import corner_instance
from msgspec.structs import replace
from reference import random_instance
from reference.formulas import alone_time, fits, prefill_time, transfer_time

from campaigns.breaches.way import SECONDS, Valid
from hexsched.model import Instance, Schedule, ScheduledCall
from hexsched.model.instance import ClosedLoop
from hexsched.simulator import simulate
from hexsched.verifier import verify

PAUSE = 2.5 * max(SECONDS)
CROWD = ("fcfs", "hexagent", "sjf@jsq")


def every(seed: int, compiled: bool = True) -> Iterator[Valid]:
    """Schedules of both decode models."""
    for model in ("fluid", "fixed"):
        rng = np.random.default_rng([seed, len(model)])
        drawn = random_instance(rng, decode_model=model, workflows=(3, 4), calls=(3, 4))
        yield checked(f"roomy {model}", drawn, paused(drawn, rng), roomy=True)
        for width, kv in ((64, 1.2), (3, 50.0)):
            crowd = crowded(rng, model, width, kv)
            policy = CROWD[seed % len(CROWD)]
            schedule = simulate(crowd, policy, compiled=compiled).schedule
            yield checked(f"crowd of {width} {model}", crowd, schedule, roomy=False)
    rng = np.random.default_rng([seed, 9])
    drawn = corner_instance(rng, workflows=(9, 9), calls=(1, 3), arrivals="together", room="loose")
    closed = replace(drawn, closed_loop=ClosedLoop(sessions=3))
    yield checked("closed loop", closed, simulate(closed, "fcfs", compiled=compiled).schedule, roomy=False)


def checked(name: str, instance: Instance, schedule: Schedule, roomy: bool) -> Valid:
    """With the verifier's word that it is valid, whatever is broken later."""
    assert verify(instance, schedule).ok
    return Valid(name, instance, schedule, roomy)


def crowded(rng: np.random.Generator, model: str, width: int, kv: float) -> Instance:
    """Twelve calls at once for two decode instances, that hold so many calls, or ``kv`` times the largest."""
    drawn = random_instance(rng, decode_model=model, workflows=(12, 12), calls=(1, 2), prompt=(400, 1500))
    needs = [call.prompt_tokens + call.output_tokens for flow in drawn.workflows for call in flow.calls]
    one = replace(drawn.decode[0], batch_curve=None, max_batch=width, kv_capacity_tokens=int(2.5 * kv * max(needs)))
    decode = (one, replace(one, id="d9", decode_coeffs=tuple(2 * number for number in one.decode_coeffs)))
    source = drawn.prefill[0].id
    links = tuple(
        replace(drawn.links[0], source=p.id, to=d.id, latency=0.3) for p in drawn.prefill for d in decode if source
    )
    flows = tuple(replace(flow, arrival=0.0) for flow in drawn.workflows)
    return replace(drawn, decode=decode, links=links, workflows=flows)


def paused(instance: Instance, rng: np.random.Generator) -> Schedule:
    """One call at a time in the whole cluster, with a long pause before each prefill and each admission."""
    done: dict[tuple[str, str], float] = {}
    rows, now = [], 0.0
    left = [(flow, call) for flow in instance.workflows for call in flow.calls]
    while left:
        flow, call = next((w, c) for w, c in left if all((w.workflow_id, p) in done for p in c.parents))
        left.remove((flow, call))
        source = instance.prefill[rng.integers(len(instance.prefill))]
        able = [machine for machine in instance.decode if fits(machine, call)]
        target = able[rng.integers(len(able))]
        before = max([now, flow.arrival, *(done[flow.workflow_id, parent] for parent in call.parents)])
        start = before + call.delay + PAUSE
        end = start + prefill_time(source, call)
        admitted = end + PAUSE
        joined = admitted + transfer_time(instance, source.id, target.id, call)
        now = done[flow.workflow_id, call.call_id] = joined + alone_time(instance, target, call)
        rows.append(
            ScheduledCall(
                workflow_id=flow.workflow_id,
                call_id=call.call_id,
                prefill_instance=source.id,
                prefill_start=start,
                prefill_end=end,
                decode_instance=target.id,
                admitted=admitted,
                decode_start=joined,
                decode_end=now,
            )
        )
    return Schedule(format="hexsched-schedule/1", policy="paused", calls=tuple(rows))
