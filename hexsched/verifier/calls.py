"""Per-call times, and what stays within thresholds (model M36 to M38), from a schedule's rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from hexsched.model.rows import Rows, Texts
from hexsched.verifier.claims import Claims, Floats, Integers

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
    return claims.decoded.first_token
