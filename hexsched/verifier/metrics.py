"""Standalone horizons and the metrics of a schedule (model M18 to M21, M36 to M38), from its rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from hexsched.display import Summary, displayed
from hexsched.errors import InputError
from hexsched.model.clock import check_clock
from hexsched.model.rows import Rows
from hexsched.verifier.calls import (
    CALL_LIMITS,
    WORKFLOW_LIMITS,
    CallColumns,
    CallMetrics,
    measure_calls,
    smallest_for,
    within,
)
from hexsched.verifier.claims import Claims, Floats
from hexsched.verifier.physics import alone_seconds, fixed_seconds, prefill_seconds, transfer_seconds

if TYPE_CHECKING:
    import pandas as pd


class WorkflowMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Latency L_w and standalone horizon H_w in seconds, and ratio L_w / H_w of one workflow."""

    workflow_id: str
    latency: float
    horizon: float
    ratio: float


class WorkflowColumns(NamedTuple):
    """The same of every workflow."""

    workflow_id: tuple[str, ...]
    latency: Floats
    horizon: Floats
    ratio: Floats

    def rows(self) -> Rows[WorkflowMetrics]:
        """As rows."""
        return Rows(self, len(self.ratio), _workflow_metrics)


def _workflow_metrics(columns: WorkflowColumns) -> tuple[WorkflowMetrics, ...]:
    values = zip(*(column if isinstance(column, tuple) else column.tolist() for column in columns), strict=True)
    return tuple(
        WorkflowMetrics(workflow_id=workflow_id, latency=latency, horizon=horizon, ratio=ratio)
        for workflow_id, latency, horizon, ratio in values
    )


@displayed
class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """What a valid schedule costs.

    Attributes
    ----------
    req50, req95, req99 : float
        Smallest SLO scale that 50, 95, 99 % of the workflows meet.
    max_ratio, mean_ratio : float
    mean_latency : float
        Seconds.
    makespan : float
        Latest completion, seconds from time 0.
    ttft_p50, ttft_p95, ttft_p99 : float
        What 50, 95, 99 % of the calls need at most until their first token, seconds.
    tpot_p50, tpot_p95, tpot_p99 : float
        The same of the time per output token, over the calls that have several; NaN where none has.
    mean_queueing, mean_admission, mean_transfer : float
        Over calls, seconds.
    workflows, calls : int
        How many there are.
    span : float
        From the first arrival to the last completion, seconds.
    per_workflow : Rows of WorkflowMetrics
        In the instance's order.
    per_call : Rows of CallMetrics
        In the instance's order.
    """

    req50: float
    req95: float
    req99: float
    max_ratio: float
    mean_ratio: float
    mean_latency: float
    makespan: float
    ttft_p50: float
    ttft_p95: float
    ttft_p99: float
    tpot_p50: float
    tpot_p95: float
    tpot_p99: float
    mean_queueing: float
    mean_admission: float
    mean_transfer: float
    workflows: int
    calls: int
    span: float
    per_workflow: Rows[WorkflowMetrics]
    per_call: Rows[CallMetrics]

    def req(self, q: float) -> float:
        """Req_q: the smallest SLO scale that a share ``q`` of the workflows meets.

        Raises
        ------
        InputError
            When ``q`` is not above 0 and at most 1.
        """
        return required_scale(self._workflows.ratio, q)

    def attainment(self, scale: float) -> float:
        """A(s): share of the workflows with ratio <= ``scale``."""
        return 1 - self.misses(scale) / self.workflows

    def misses(self, scale: float) -> int:
        """Number of workflows with ratio > ``scale``."""
        return int((self._workflows.ratio > scale).sum())

    def goodput(self, limits: Mapping[str, float]) -> dict[str, float | None]:
        """What stays within limits: shares of calls and workflows, and how many of them a second of the span.

        Parameters
        ----------
        limits : dict of str to float
            The most that ``ttft``, ``tpot``, ``queueing``, ``admission`` and ``transfer`` of a call, ``latency`` and
            ``ratio`` of a workflow may be; seconds, but for the ratio. A workflow is within when its calls are too.

        Returns
        -------
        dict
            ``calls_within``, ``workflows_within``, ``call_goodput``, ``workflow_goodput``; None for calls without a
            limit of theirs.
        """
        calls: CallColumns = self.per_call.columns
        calls_in, workflows_in = within(calls, limits, CALL_LIMITS), within(self._workflows, limits, WORKFLOW_LIMITS)
        workflows_in[calls.workflow[~calls_in]] = False
        of_calls = any(name in limits for name in CALL_LIMITS)
        return {
            "calls_within": int(calls_in.sum()) / self.calls if of_calls else None,
            "workflows_within": int(workflows_in.sum()) / self.workflows,
            "call_goodput": int(calls_in.sum()) / self.span if of_calls else None,
            "workflow_goodput": int(workflows_in.sum()) / self.span,
        }

    @property
    def _workflows(self) -> WorkflowColumns:
        columns: WorkflowColumns = self.per_workflow.columns
        return columns

    def to_frame(self) -> pd.DataFrame:
        """One row a workflow: workflow_id, latency, horizon, ratio."""
        import pandas as pd

        return pd.DataFrame(self._workflows._asdict())

    def _summary(self) -> Summary:
        return Summary(
            facts={name: getattr(self, name) for name in self.__struct_fields__ if not name.startswith("per_")}
        )


def required_scale(ratios: Sequence[float] | Floats, q: float) -> float:
    """The ceil(q N)-th smallest of N ratios.

    ``q * N`` is rounded to a millionth first: 0.07 * 100 is 7.000000000000001 in doubles and means 7.
    """
    if not 0 < q <= 1:
        raise InputError(f"q must be above 0 and at most 1, got {q}")
    rank = max(1, math.ceil(round(q * len(ratios), 6)))
    return float(np.partition(ratios, rank - 1)[rank - 1])


def standalone_horizons(claims: Claims) -> Floats:
    """H_w of each workflow, seconds, in the instance's order.

    Raises
    ------
    InputError
        When the clock is too coarse for them.
    """
    workload = claims.workload
    horizons = critical_paths(claims, standalone_seconds(claims))
    check_clock(lambda: workload.workflow_id, workload.arrival, horizons)
    return horizons


def measure(claims: Claims, horizons: Floats) -> Metrics:
    """Metrics of a schedule in which every call has a finite completion, without the warm-up of a closed loop.

    Parameters
    ----------
    claims : Claims
    horizons : (W,) float array
        H_w of each workflow, as ``standalone_horizons`` has them.
    """
    workload, closed = claims.workload, claims.instance.closed_loop
    skipped = 0 if closed is None else closed.warm_up
    first = workload.first[:-1]
    latency = (np.maximum.reduceat(claims.decode_end, first) - claims.arrival[first])[skipped:]
    ratio = latency / horizons[skipped:]
    flows = WorkflowColumns(workload.workflow_id[skipped:], latency, horizons[skipped:], ratio)
    calls = measure_calls(claims, skipped)
    first_counted = int(workload.first[skipped])
    last_end = float(claims.decode_end[first_counted:].max())
    tpot = calls.tpot[~np.isnan(calls.tpot)]
    return Metrics(
        req50=required_scale(ratio, 0.50),
        req95=required_scale(ratio, 0.95),
        req99=required_scale(ratio, 0.99),
        max_ratio=float(ratio.max()),
        mean_ratio=float(np.mean(ratio)),
        mean_latency=float(np.mean(latency)),
        makespan=last_end,
        ttft_p50=smallest_for(calls.ttft, 50),
        ttft_p95=smallest_for(calls.ttft, 95),
        ttft_p99=smallest_for(calls.ttft, 99),
        tpot_p50=smallest_for(tpot, 50),
        tpot_p95=smallest_for(tpot, 95),
        tpot_p99=smallest_for(tpot, 99),
        mean_queueing=float(np.mean(calls.queueing)),
        mean_admission=float(np.mean(calls.admission)),
        mean_transfer=float(np.mean(calls.transfer)),
        workflows=len(ratio),
        calls=len(calls.ttft),
        span=last_end - float(claims.arrival[first_counted:].min()),
        per_workflow=flows.rows(),
        per_call=calls.rows(),
    )


def standalone_seconds(claims: Claims) -> Floats:
    """best_c: least prefill + transfer + decode alone over the pairs of instances that can hold the call, seconds."""
    instance = claims.instance
    links = {(link.source, link.to): link for link in instance.links}
    best = np.full(len(claims.prompt), np.inf)
    looked_at = set()
    for decode in instance.decode:
        fits = claims.prompt + claims.output <= decode.kv_capacity_tokens
        everything = slice(None) if fits.all() else fits
        prompt, output, cached = claims.prompt[everything], claims.output[everything], claims.cached[everything]
        if instance.decode_model == "fixed":
            alone = fixed_seconds(decode, output)
        else:
            alone = alone_seconds(decode, prompt, output)
        for prefill in instance.prefill:
            link = links[prefill.id, decode.id]
            numbers = (decode.decode_coeffs, decode.batch_curve, decode.fixed_iteration_time, decode.kv_capacity_tokens)
            pair = (*numbers, prefill.prefill_coeffs, link.latency, link.bandwidth)
            if pair in looked_at:  # of identical pairs one is enough
                continue
            looked_at.add(pair)
            transfer = transfer_seconds(link, prompt, instance.kv_bytes_per_token)
            seconds = prefill_seconds(prefill, prompt, cached) + transfer + alone
            best[everything] = np.minimum(best[everything], seconds)
    return best


def critical_paths(claims: Claims, best: Floats) -> Floats:
    """H_w: the longest path through each workflow with weight delay + best on each call, seconds.

    Calls are looked at in waves: first those without parents, then those whose last parent was in the wave before.
    """
    path, above = claims.delay + best, np.zeros(len(best))
    missing = np.bincount(claims.child, minlength=len(best))
    by_parent = np.argsort(claims.parent, kind="stable")
    child = claims.child[by_parent]
    begin = np.searchsorted(claims.parent[by_parent], np.arange(len(best) + 1))
    entry = np.empty(len(best), np.int64)
    wave = np.flatnonzero(missing == 0)
    while len(wave):
        path[wave] += above[wave]
        counts = begin[wave + 1] - begin[wave]
        edges = np.repeat(begin[wave] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        reached = child[edges]
        np.maximum.at(above, reached, np.repeat(path[wave], counts))
        np.subtract.at(missing, reached, 1)
        ready = reached[missing[reached] == 0]
        counts = np.arange(len(ready))
        entry[ready] = counts
        wave = ready[entry[ready] == counts]  # each once, though several of its parents were in the wave
    return np.maximum.reduceat(path, claims.workload.first[:-1])
