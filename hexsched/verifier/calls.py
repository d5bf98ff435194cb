"""Per-call times, and what stays within thresholds (model M36 to M38), from a schedule's rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from hexsched.model import DecodeInstance
from hexsched.model.rows import Rows, Texts
from hexsched.verifier.claims import Claims, Floats, Integers
from hexsched.verifier.physics import batch_seconds

CALL_LIMITS = ("ttft", "tpot", "queueing", "admission", "transfer")
WORKFLOW_LIMITS = ("latency", "ratio")
ROUNDING = 1e-9  # of a limit, relative


class CallMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What one call waited for, seconds; ``tpot`` is None for a call of one output token."""

    workflow_id: str
    call_id: str
    queueing: float
    admission: float
    transfer: float
    ttft: float
    tpot: float | None


class CallColumns(NamedTuple):
    """The same of every call; ``workflow`` is the position of its workflow, ``tpot`` NaN where it has none."""

    workflow_ids: Texts
    call_ids: Texts
    workflow: Integers
    queueing: Floats
    admission: Floats
    transfer: Floats
    ttft: Floats
    tpot: Floats

    def rows(self) -> Rows[CallMetrics]:
        """As rows."""
        return Rows(self, len(self.ttft), _call_metrics)


def _call_metrics(columns: CallColumns) -> tuple[CallMetrics, ...]:
    names = columns.workflow_ids.tolist(), columns.call_ids.tolist()
    times = columns.queueing, columns.admission, columns.transfer, columns.ttft, columns.tpot
    return tuple(
        CallMetrics(
            workflow_id=workflow_id,
            call_id=call_id,
            queueing=queueing,
            admission=admission,
            transfer=transfer,
            ttft=ttft,
            tpot=None if math.isnan(tpot) else tpot,
        )
        for workflow_id, call_id, queueing, admission, transfer, ttft, tpot in zip(
            *names, *(column.tolist() for column in times), strict=True
        )
    )


def measure_calls(claims: Claims, skipped: int) -> CallColumns:
    """Every call's times in the instance's order, without the first workflows; the schedule is a valid one."""
    workload = claims.workload
    released = claims.arrival.copy()
    np.maximum.at(released, claims.child, claims.decode_end[claims.parent])
    released += claims.delay
    first = _first_tokens(claims)
    later = claims.output - 1
    tpot = (claims.decode_end - first) / np.maximum(later, 1)
    workflow, counted = workload.workflow, slice(int(workload.first[skipped]), None)
    return CallColumns(
        workflow_ids=Texts(workflow[counted], workload.workflow_id),
        call_ids=Texts(workload.call_id.codes[counted], workload.call_id.distinct),
        workflow=workflow[counted] - skipped,
        queueing=(claims.prefill_start - released)[counted],
        admission=(claims.admitted - claims.prefill_end)[counted],
        transfer=(claims.decode_start - claims.admitted)[counted],
        ttft=(first - released)[counted],
        tpot=np.where(later > 0, tpot, np.nan)[counted],
    )


def smallest_for(values: Floats, percentage: int) -> float:
    """The least value that ``percentage`` % of the values do not exceed; NaN where there is none."""
    needed = max(-(-percentage * len(values) // 100), 1)
    return float(np.partition(values, needed - 1)[needed - 1]) if len(values) else math.nan


def within(columns: NamedTuple, limits: Mapping[str, float], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which rows exceed none of the limits of these names; what has no value exceeds nothing."""
    columns_of = [(getattr(columns, name), limits[name]) for name in names if name in limits]
    inside = np.ones(len(columns[-1]), bool)
    for values, limit in columns_of:
        inside &= np.isnan(values) | (values <= limit + limit * ROUNDING)
    return inside


def _first_tokens(claims: Claims) -> Floats:
    """When each call has got its first token, seconds."""
    start, end = claims.decode_start, claims.decode_end
    if claims.instance.decode_model == "fixed":
        theta = np.array([machine.fixed_iteration_time for machine in claims.instance.decode])[claims.decode]
        return np.asarray(np.where(claims.output > 1, start + theta, end))
    first = end.copy()
    for machine, everyone, decoded in zip(claims.instance.decode, claims.decoded_on, claims.decoded, strict=True):
        here = everyone[claims.output[everyone] > 1]
        if decoded is not None:
            several = claims.output[decoded.calls] > 1
            first[decoded.calls[several]] = decoded.first_token[several]
        elif len(here):
            pace = _Pace(machine, start[everyone], end[everyone], claims.prompt[everyone])
            first[here] = pace.after_one_iteration(start[here])
    return first


class _Pace:
    """How a decode instance goes on: between two changes of its batch, iterations by the time that they take."""

    def __init__(self, machine: DecodeInstance, start: Floats, end: Floats, prompt: Floats) -> None:
        self.growth = float(machine.decode_coeffs[2])
        times, places = np.unique(np.concatenate([end, start]), return_inverse=True)
        count, calls = len(times), len(start)
        change = np.repeat([-1.0, 1.0], calls)
        self.time = times.tolist()
        self.batch = np.cumsum(np.bincount(places, change)).round().astype(np.int64).tolist()
        prompts = np.cumsum(np.bincount(places, change * np.concatenate([prompt, prompt]))).tolist()
        base = batch_seconds(machine, max(self.batch)).tolist()
        order = np.argsort(places, kind="stable").tolist()  # at one time, ends come first
        place_of = places.tolist()
        entered = [0.0] * calls
        out, event = 0.0, 0  # tokens already out of the calls in the batch, together; events dealt with
        self.done, self.first = [0.0] * count, [0.0] * count
        for k in range(count):
            if k:
                passed, size = 0.0, self.batch[k - 1]
                if size:  # how many iterations fit, written out, for this is what takes most of the time
                    double, one = 2 * (self.time[k] - self.time[k - 1]), self.first[k - 1]
                    passed = double / (one + math.sqrt(one**2 + self.growth * size * double))
                self.done[k] = self.done[k - 1] + passed
                out += self.batch[k - 1] * passed
            while event < 2 * calls and place_of[order[event]] == k:
                call = order[event] % calls
                if order[event] < calls:
                    out -= self.done[k] - entered[call]
                else:
                    entered[call] = self.done[k]
                event += 1
            if not self.batch[k]:
                out = 0.0
            self.first[k] = base[self.batch[k]] + self.growth * (prompts[k] + out)

    def after_one_iteration(self, begins: Floats) -> Floats:
        """The times at which one iteration is done that begins at ``begins``, times at which the batch changes."""
        time, done, first = np.array(self.time), np.array(self.done), np.array(self.first)
        goal = done[np.searchsorted(time, begins)] + 1.0
        k = np.searchsorted(done, goal) - 1
        left = goal - done[k]
        return np.asarray(time[k] + left * (first[k] + self.growth * np.array(self.batch)[k] * left / 2))
