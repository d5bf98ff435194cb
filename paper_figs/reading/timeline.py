"""Calls and their times, from runs and schedules: what timelines and drawings of workflows are made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hexsched.model import Call, Instance, Schedule, Workflow
from hexsched.simulator import Run

Array = np.ndarray[Any, Any]


def calls_of_run(run: Run) -> pd.DataFrame:
    """``calls_of`` a run, with the ratio of each call's workflow."""
    ids = [workflow.workflow_id for workflow in run.instance.workflows]
    calls = calls_of(run.schedule, run.instance, dict(zip(ids, run.arrival.tolist(), strict=True)))
    return calls.assign(ratio=calls["workflow_id"].map(dict(zip(ids, run.ratio.tolist(), strict=True))))


def calls_of(
    schedule: Schedule, instance: Instance | None = None, arrival: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """A row a call: the columns of the schedule, when it was released, and its workflow's arrival and completion.

    Parameters
    ----------
    schedule : Schedule
    instance : Instance, optional
        Without it, releases and arrivals are NaN.
    arrival : mapping from str to float, optional
        When workflows arrived, seconds; as the instance says when absent.

    Returns
    -------
    DataFrame
        The fields of ``ScheduledCall``, released, arrival, completed (seconds).
    """
    calls = schedule.to_frame()
    completed = calls.groupby("workflow_id")["decode_end"].transform("max")
    if instance is None:
        return calls.assign(released=math.nan, arrival=math.nan, completed=completed)
    ended = dict(zip(zip(calls["workflow_id"], calls["call_id"], strict=True), calls["decode_end"], strict=True))
    came = {w.workflow_id: w.arrival for w in instance.workflows} if arrival is None else arrival
    released = {
        (w.workflow_id, c.call_id): c.delay
        + max((ended[w.workflow_id, parent] for parent in c.parents), default=came[w.workflow_id])
        for w in instance.workflows
        for c in w.calls
    }
    keys = zip(calls["workflow_id"], calls["call_id"], strict=True)
    return calls.assign(
        released=[released[key] for key in keys], arrival=calls["workflow_id"].map(came), completed=completed
    )


def standalone_seconds(instance: Instance, calls: Sequence[Call]) -> list[float]:
    """best_c of each call, seconds (model M18)."""
    prefills = {machine.prefill_coeffs: machine for machine in reversed(instance.prefill)}
    types: dict[tuple[object, ...], tuple[str, str]] = {}
    of_prefill = {machine.id: machine.prefill_coeffs for machine in instance.prefill}
    decodes = {machine.id: machine for machine in instance.decode}
    links = {}
    for link in instance.links:
        j = decodes[link.to]
        shape = (j.decode_coeffs, j.batch_curve, j.fixed_iteration_time, j.kv_capacity_tokens)
        types.setdefault((of_prefill[link.source], shape, link.latency, link.bandwidth), (link.source, link.to))
        links[link.source, link.to] = link

    def best(call: Call) -> float:
        n, m = call.prompt_tokens, call.output_tokens
        return min(
            prefills[of_prefill[i]].prefill_seconds(n, call.cached_tokens)
            + links[i, j].transfer_seconds(n, instance.kv_bytes_per_token)
            + decodes[j].alone_seconds(n, m, instance.decode_model)
            for i, j in types.values()
            if n + m <= decodes[j].kv_capacity_tokens
        )

    return [best(call) for call in calls]


def longest_path(workflow: Workflow, weight: Sequence[float], among: Sequence[bool] | None = None) -> list[int]:
    """Positions of the calls on the path of most weight, first to last; ``among`` says which calls count."""
    place = {call.call_id: k for k, call in enumerate(workflow.calls)}
    total = np.full(len(workflow.calls), -math.inf)
    before: dict[int, int] = {}
    for k in workflow.topological_order():
        if among is not None and not among[k]:
            continue
        parents = [place[name] for name in workflow.calls[k].parents]
        longest = max(parents, key=lambda p: total[p], default=None)
        if longest is not None and total[longest] > -math.inf:
            before[k] = longest
        total[k] = weight[k] + (total[longest] if k in before and longest is not None else 0.0)
    if not np.isfinite(total).any():
        return []
    path = [int(np.argmax(total))]
    while path[-1] in before:
        path.append(before[path[-1]])
    return path[::-1]


def depths(workflow: Workflow) -> list[int]:
    """The longest chain of calls before each call, in calls."""
    place = {call.call_id: k for k, call in enumerate(workflow.calls)}
    depth = [0] * len(workflow.calls)
    for k in workflow.topological_order():
        depth[k] = max((depth[place[name]] + 1 for name in workflow.calls[k].parents), default=0)
    return depth


def highest(start: Array, end: Array, weight: Array, edges: Array) -> Array:
    """The largest total weight of the intervals [start, end) under way within each bin between ``edges``, (n - 1,)."""
    times = np.concatenate((start, end))
    moments, place = np.unique(times, return_inverse=True)
    level = np.cumsum(np.bincount(place, np.concatenate((weight, -weight)), len(moments)))  # after all of a moment
    before = np.concatenate(([0.0], level))[np.searchsorted(moments, edges, side="right")]
    found = before[:-1].copy()
    bins = np.searchsorted(edges, moments, side="left") - 1
    inside = (bins >= 0) & (bins < len(found))
    np.maximum.at(found, bins[inside], level[inside])
    return np.maximum(found, 0.0)
