"""The schedule's rows matched with the instance's calls, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hexsched.model import Instance, Schedule, ScheduledCall

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TIMES = ("prefill_start", "prefill_end", "admitted", "decode_start", "decode_end")


@dataclass(frozen=True)
class Claims:
    """What a schedule claims about each call of an instance.

    Arrays have one entry a call, in the instance's order. A call without a row has NaN times and placement -1, as has
    a placement that names no instance of the right pool; so a rule looks at the calls for which all it needs is known.

    Attributes
    ----------
    names : list of (workflow_id, call_id)
    prompt, output, cached : tokens
    arrival, delay : seconds
        In a closed loop a workflow's arrival follows from the completions that the schedule claims.
    child, parent : arrays over the precedence edges
        Positions of calls.
    row : list of ScheduledCall or None
        The first row of each call; a later one is only reported.
    prefill_start, prefill_end, admitted, decode_start, decode_end : seconds
    prefill, decode : positions in the instance's pools
    unknown, duplicate : lists of ScheduledCall
        Rows that match no call, and second rows of a call.
    """

    instance: Instance
    names: list[tuple[str, str]]
    prompt: Floats
    output: Floats
    cached: Floats
    arrival: Floats
    delay: Floats
    child: Integers
    parent: Integers
    row: list[ScheduledCall | None]
    prefill_start: Floats
    prefill_end: Floats
    admitted: Floats
    decode_start: Floats
    decode_end: Floats
    prefill: Integers
    decode: Integers
    unknown: list[ScheduledCall]
    duplicate: list[ScheduledCall]


def match(instance: Instance, schedule: Schedule) -> Claims:
    """Match rows with calls; nothing is judged yet."""
    calls = [(workflow, call) for workflow in instance.workflows for call in workflow.calls]
    names = [(workflow.workflow_id, call.call_id) for workflow, call in calls]
    position = {name: k for k, name in enumerate(names)}
    edges = [
        (k, position[workflow.workflow_id, parent])
        for k, (workflow, call) in enumerate(calls)
        for parent in call.parents
    ]
    child, parent = np.array(edges, dtype=np.int64).reshape(-1, 2).T

    row: list[ScheduledCall | None] = [None] * len(calls)
    unknown, duplicate = [], []
    for claim in schedule.calls:
        k = position.get((claim.workflow_id, claim.call_id))
        if k is None:
            unknown.append(claim)
        elif row[k] is not None:
            duplicate.append(claim)
        else:
            row[k] = claim

    prefill_position = {machine.id: i for i, machine in enumerate(instance.prefill)}
    decode_position = {machine.id: j for j, machine in enumerate(instance.decode)}
    prefill = [-1 if claim is None else prefill_position.get(claim.prefill_instance, -1) for claim in row]
    decode = [-1 if claim is None else decode_position.get(claim.decode_instance, -1) for claim in row]
    arrivals = _arrivals(instance, _times(row, "decode_end"))
    return Claims(
        instance=instance,
        names=names,
        prompt=np.array([call.prompt_tokens for _, call in calls], dtype=np.float64),
        output=np.array([call.output_tokens for _, call in calls], dtype=np.float64),
        cached=np.array([call.cached_tokens for _, call in calls], dtype=np.float64),
        arrival=np.repeat(arrivals, [len(workflow.calls) for workflow in instance.workflows]),
        delay=np.array([call.delay for _, call in calls], dtype=np.float64),
        child=child,
        parent=parent,
        row=row,
        prefill=np.array(prefill, dtype=np.int64),
        decode=np.array(decode, dtype=np.int64),
        unknown=unknown,
        duplicate=duplicate,
        **{name: _times(row, name) for name in TIMES},
    )


def _arrivals(instance: Instance, completed: Floats) -> Floats:
    """a_w of each workflow, seconds; in a closed loop of N sessions the (N + i)-th arrives at the i-th completion.

    A call whose completion is not known counts as complete from the start: what is left is still a lower bound.
    """
    given = np.array([workflow.arrival for workflow in instance.workflows], dtype=np.float64)
    if instance.closed_loop is None:
        return given
    known = np.where(np.isfinite(completed), completed, 0.0)
    first = np.cumsum([0, *(len(workflow.calls) for workflow in instance.workflows)])[:-1]
    order = np.sort(np.maximum.reduceat(known, first))
    later = len(given) - instance.closed_loop.sessions
    if later > 0:
        given[-later:] = order[:later]
    return given


def _times(row: list[ScheduledCall | None], name: str) -> Floats:
    return np.array([np.nan if claim is None else getattr(claim, name) for claim in row], dtype=np.float64)
