"""Standalone horizons and the metrics of a schedule (model M18 to M21, M36 to M38), from its rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hexsched.display import Summary, displayed
from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.model.clock import check_clock
from hexsched.verifier.calls import (
    CALL_LIMITS,
    ROUNDING,
    WORKFLOW_LIMITS,
    CallMetrics,
    call_is_within,
    measure_calls,
    smallest_for,
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
    per_workflow : tuple of WorkflowMetrics
        In the instance's order.
    per_call : tuple of CallMetrics
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
    per_workflow: tuple[WorkflowMetrics, ...]
    per_call: tuple[CallMetrics, ...]

    def req(self, q: float) -> float:
        """Req_q: the smallest SLO scale that a share ``q`` of the workflows meets.

        Raises
        ------
        InputError
            When ``q`` is not above 0 and at most 1.
        """
        return required_scale([workflow.ratio for workflow in self.per_workflow], q)

    def attainment(self, scale: float) -> float:
        """A(s): share of the workflows with ratio <= ``scale``."""
        return 1 - self.misses(scale) / self.workflows

    def misses(self, scale: float) -> int:
        """Number of workflows with ratio > ``scale``."""
        return sum(workflow.ratio > scale for workflow in self.per_workflow)

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
        late = {call.workflow_id for call in self.per_call if not call_is_within(call, limits)}
        calls = sum(call_is_within(call, limits) for call in self.per_call)
        workflows = sum(
            workflow.workflow_id not in late
            and all(
                getattr(workflow, name) <= limits[name] + limits[name] * ROUNDING
                for name in WORKFLOW_LIMITS
                if name in limits
            )
            for workflow in self.per_workflow
        )
        of_calls = any(name in limits for name in CALL_LIMITS)
        return {
            "calls_within": calls / self.calls if of_calls else None,
            "workflows_within": workflows / self.workflows,
            "call_goodput": calls / self.span if of_calls else None,
            "workflow_goodput": workflows / self.span,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row a workflow: workflow_id, latency, horizon, ratio."""
        import pandas as pd

        rows = [msgspec.structs.astuple(workflow) for workflow in self.per_workflow]
        return pd.DataFrame(rows, columns=list(WorkflowMetrics.__struct_fields__))

    def _summary(self) -> Summary:
        return Summary(
            facts={name: getattr(self, name) for name in self.__struct_fields__ if not name.startswith("per_")}
        )


def required_scale(ratios: Sequence[float], q: float) -> float:
    """The ceil(q N)-th smallest of N ratios.

    ``q * N`` is rounded to a millionth first: 0.07 * 100 is 7.000000000000001 in doubles and means 7.
    """
    if not 0 < q <= 1:
        raise InputError(f"q must be above 0 and at most 1, got {q}")
    rank = max(1, math.ceil(round(q * len(ratios), 6)))
    return sorted(ratios)[rank - 1]


def standalone_horizons(claims: Claims) -> list[float]:
    """H_w of each workflow, seconds, in the instance's order.

    Raises
    ------
    InputError
        When the clock is too coarse for them.
    """
    workflows, best = claims.instance.workflows, standalone_seconds(claims)
    first = np.cumsum([0] + [len(workflow.calls) for workflow in workflows])
    horizons = [critical_path(w, best[a:b]) for w, a, b in zip(workflows, first, first[1:], strict=False)]
    check_clock(
        [workflow.workflow_id for workflow in workflows],
        np.array([workflow.arrival for workflow in workflows]),
        np.array(horizons),
    )
    return horizons


def measure(claims: Claims, horizons: Sequence[float]) -> Metrics:
    """Metrics of a schedule in which every call has a finite completion, without the warm-up of a closed loop.

    Parameters
    ----------
    claims : Claims
    horizons : sequence of float
        H_w of each workflow, as ``standalone_horizons`` has them.
    """
    instance = claims.instance
    per_workflow = []
    first = 0
    for workflow, horizon in zip(instance.workflows, horizons, strict=True):
        last = first + len(workflow.calls)
        latency = float(claims.decode_end[first:last].max() - claims.arrival[first])
        per_workflow.append(
            WorkflowMetrics(workflow_id=workflow.workflow_id, latency=latency, horizon=horizon, ratio=latency / horizon)
        )
        first = last
    skipped = 0 if instance.closed_loop is None else instance.closed_loop.warm_up
    first_counted = sum(len(workflow.calls) for workflow in instance.workflows[:skipped])
    per_workflow = per_workflow[skipped:]
    ratios = [workflow.ratio for workflow in per_workflow]
    per_call = measure_calls(claims)[first_counted:]
    last_end = float(claims.decode_end[first_counted:].max())
    ttft = [call.ttft for call in per_call]
    tpot = [call.tpot for call in per_call if call.tpot is not None]
    return Metrics(
        req50=required_scale(ratios, 0.50),
        req95=required_scale(ratios, 0.95),
        req99=required_scale(ratios, 0.99),
        max_ratio=max(ratios),
        mean_ratio=float(np.mean(ratios)),
        mean_latency=float(np.mean([workflow.latency for workflow in per_workflow])),
        makespan=last_end,
        ttft_p50=smallest_for(ttft, 50),
        ttft_p95=smallest_for(ttft, 95),
        ttft_p99=smallest_for(ttft, 99),
        tpot_p50=smallest_for(tpot, 50),
        tpot_p95=smallest_for(tpot, 95),
        tpot_p99=smallest_for(tpot, 99),
        mean_queueing=float(np.mean([call.queueing for call in per_call])),
        mean_admission=float(np.mean([call.admission for call in per_call])),
        mean_transfer=float(np.mean([call.transfer for call in per_call])),
        workflows=len(per_workflow),
        calls=len(per_call),
        span=last_end - float(claims.arrival[first_counted:].min()),
        per_workflow=tuple(per_workflow),
        per_call=per_call,
    )


def standalone_seconds(claims: Claims) -> Floats:
    """best_c: least prefill + transfer + decode alone over the pairs of instances that can hold the call, seconds."""
    instance = claims.instance
    links = {(link.source, link.to): link for link in instance.links}
    best = np.full(len(claims.names), np.inf)
    for decode in instance.decode:
        fits = claims.prompt + claims.output <= decode.kv_capacity_tokens
        prompt, output, cached = claims.prompt[fits], claims.output[fits], claims.cached[fits]
        if instance.decode_model == "fixed":
            alone = fixed_seconds(decode, output)
        else:
            alone = alone_seconds(decode, prompt, output)
        for prefill in instance.prefill:
            transfer = transfer_seconds(links[prefill.id, decode.id], prompt, instance.kv_bytes_per_token)
            best[fits] = np.minimum(best[fits], prefill_seconds(prefill, prompt, cached) + transfer + alone)
    return best


def critical_path(workflow: Workflow, best: Floats) -> float:
    """H_w: the longest path through the workflow with weight delay + best on each call, seconds."""
    weight = {call.call_id: call.delay + float(b) for call, b in zip(workflow.calls, best, strict=True)}
    parents = {call.call_id: call.parents for call in workflow.calls}
    finish: dict[str, float] = {}
    for call_id in TopologicalSorter(parents).static_order():
        finish[call_id] = max((finish[parent] for parent in parents[call_id]), default=0.0) + weight[call_id]
    return max(finish.values())
