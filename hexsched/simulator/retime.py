"""Replaying the decisions of a schedule: placements and orders are kept, times are made anew."""

from __future__ import annotations

import numpy as np

from hexsched.engine.horizon import standalone_horizons
from hexsched.engine.kernel import interpreted
from hexsched.engine.state import Array
from hexsched.engine.tables import build_state, workload_columns
from hexsched.engine.wallclock import new_histogram
from hexsched.errors import InputError
from hexsched.model import Instance, Schedule
from hexsched.policies.decide import each_time, replay_epochs
from hexsched.policies.replay import orders_of
from hexsched.simulator.run import EPOCHS_AT_A_TIME, Run, collect


def retime(instance: Instance, schedule: Schedule, *, compiled: bool = True) -> Schedule:
    """The schedule that makes the same decisions, each as early as its order allows.

    Decisions are the placement of every call, and for each instance the order of its prefills and of its admissions.
    Times do not tell the order of admissions at one instant: those go by the end of prefill, then by ids.

    Raises
    ------
    InputError
        When the schedule does not name every call once, names an unknown instance, has a time that is not finite, or
        its orders wait for each other.
    """
    return replay_run(instance, schedule, compiled=compiled).schedule


def replay_run(instance: Instance, schedule: Schedule, *, compiled: bool = True) -> Run:
    """As ``retime``, with metrics."""
    workload, places = workload_columns(instance)
    position = {
        name: places.call[k]
        for k, name in enumerate((w.workflow_id, c.call_id) for w in instance.workflows for c in w.calls)
    }
    calls = np.empty(len(schedule.calls), np.int64)
    seen = set()
    for k, row in enumerate(schedule.calls):
        name = (row.workflow_id, row.call_id)
        if name not in position:
            raise InputError(f"the schedule has call {name[0]}/{name[1]}, which the instance has not")
        if name in seen:
            raise InputError(f"the schedule has call {name[0]}/{name[1]} twice")
        seen.add(name)
        calls[k] = position[name]
    for name in position:
        if name not in seen:
            raise InputError(f"the schedule lacks call {name[0]}/{name[1]}")
    prefill_at = {machine.id: i for i, machine in enumerate(instance.prefill)}
    decode_at = {machine.id: j for j, machine in enumerate(instance.decode)}
    prefill = _places(schedule, "prefill_instance", prefill_at)
    decode = _places(schedule, "decode_instance", decode_at)
    for column in ("decode_start", "decode_end"):  # made anew, but not from nonsense
        _times(schedule, column)
    starts = _times(schedule, "prefill_start")
    ends = _times(schedule, "prefill_end")
    admissions = _times(schedule, "admitted")
    for k, row in enumerate(schedule.calls):
        room = instance.decode[decode[k]].kv_capacity_tokens
        c = calls[k]
        if workload.n[c] + workload.m[c] > room:
            raise InputError(
                f"call {row.workflow_id}/{row.call_id} does not fit on {row.decode_instance!r}: it needs "
                f"{workload.n[c] + workload.m[c]} KV tokens, the cache holds {room}"
            )
    order = np.argsort(calls)  # from the order of the schedule to that of the engine
    orders = orders_of(
        prefill[order],
        len(prefill_at),
        (starts[order],),
        decode[order],
        len(decode_at),
        (admissions[order], ends[order]),
    )
    state = build_state(instance, workload, waiting=places.workflow)
    run = replay_epochs if compiled else interpreted(replay_epochs)
    for _ in each_time(run, state, orders, EPOCHS_AT_A_TIME):
        pass  # an interrupt is heard
    left = int(state.truth.progress[0].incomplete)
    if left:
        raise InputError(f"the schedule's orders wait for each other: {left} calls never complete")
    horizon = standalone_horizons(instance, workload, compiled)
    return collect(instance, schedule.policy, state, places, horizon, new_histogram())


def _places(schedule: Schedule, column: str, known: dict[str, int]) -> Array:
    rows = np.empty(len(schedule.calls), np.int64)
    for k, call in enumerate(schedule.calls):
        name = getattr(call, column)
        if name not in known:
            raise InputError(
                f"call {call.workflow_id}/{call.call_id}: {column} {name!r} is unknown; known are {', '.join(known)}"
            )
        rows[k] = known[name]
    return rows


def _times(schedule: Schedule, column: str) -> Array:
    times: Array = getattr(schedule.columns, column)
    for k in np.flatnonzero(~np.isfinite(times)).tolist():
        call = schedule.calls[k]
        raise InputError(f"call {call.workflow_id}/{call.call_id}: {column} is {times[k]}, not a finite time")
    return times
