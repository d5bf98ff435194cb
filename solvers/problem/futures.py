"""Several futures of one past, drawn from an instance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from msgspec.structs import replace

from hexsched.errors import InputError
from hexsched.model import Call, Instance, Workflow
from hexsched.model.instance import as_instance
from solvers.problem.offline import check_open

MOST_FUTURES = 100


def futures(
    instance: Instance | str | Path,
    count: int = 2,
    *,
    workflows: int = 4,
    shared: int = 2,
    calls: int | None = None,
    seed: int = 0,
) -> list[Instance]:
    """Draw equally likely instances that begin alike.

    All have the same first workflows: the past. What no policy knows before it happens is drawn for each future by
    itself: how long the outputs of the past are (those of calls of the same kind in the instance, that its largest KV
    cache holds), which workflows come after it, and how long after each other (gaps between arrivals of the instance).

    Parameters
    ----------
    instance : Instance, str or Path
        What is drawn from, or the path of its file.
    count : int
        Futures, at least 2.
    workflows, shared : int
        In each of them, and how many of these are the past, at least 1.
    calls : int, optional
        Of a workflow at most: those beyond its first are left out, none without those that need it.
    seed : int

    Returns
    -------
    list of Instance
        On the cluster, and in the decode model, of the instance.

    Raises
    ------
    InputError
        For a closed loop, and for numbers that the instance does not have.

    Examples
    --------
    >>> import hexsched as hx
    >>> import solvers
    >>> one, other = solvers.futures(hx.instance("demo", "bfcl", workflows=20, arrivals="fixed:3"))
    >>> one.workflows[0].arrival == other.workflows[0].arrival
    True
    """
    instance = as_instance(instance)
    check_open(instance)
    if calls is not None and calls < 1:
        raise InputError(f"a workflow keeps at least 1 call, got {calls}")
    pool = [_first(flow, calls) for flow in instance.workflows]
    if not 2 <= count <= MOST_FUTURES:
        raise InputError(f"futures must be from 2 to {MOST_FUTURES}, got {count}")
    if not 1 <= workflows <= len(pool):
        raise InputError(
            f"the instance has {len(pool)} workflows, so a future has from 1 to {len(pool)}, got {workflows}"
        )
    if not 1 <= shared <= workflows:
        raise InputError(f"of {workflows} workflows from 1 to {workflows} can be shared, got {shared}")
    gaps = np.diff(np.sort([flow.arrival for flow in pool])) if len(pool) > 1 else np.zeros(1)
    lengths: dict[str, list[int]] = {}
    for flow in pool:
        for call in flow.calls:
            lengths.setdefault(call.kind, []).append(call.output_tokens)
    room = max(machine.kv_capacity_tokens for machine in instance.decode)
    rng = np.random.default_rng([seed, count, workflows, shared])
    past = [pool[k] for k in rng.choice(len(pool), shared, replace=False)]
    began = np.cumsum(rng.choice(gaps, shared)) if shared > 1 else np.zeros(1)
    began -= began[0]
    made = []
    for k in range(count):
        own = np.random.default_rng([seed, count, workflows, shared, k])
        flows = [
            replace(
                flow,
                workflow_id=f"past-{i}",
                arrival=float(began[i]),
                calls=tuple(_with_length(call, lengths[call.kind], room, own) for call in flow.calls),
            )
            for i, flow in enumerate(past)
        ]
        times = began[-1] + np.cumsum(own.choice(gaps, workflows - shared))
        drawn = [pool[int(i)] for i in own.choice(len(pool), workflows - shared, replace=False)]
        flows += [
            replace(flow, workflow_id=f"future-{k}-{i}", arrival=float(at))
            for i, (flow, at) in enumerate(zip(drawn, times, strict=True))
        ]
        made.append(replace(instance, workflows=tuple(flows)))
    return made


def _with_length(call: Call, lengths: list[int], room: int, rng: np.random.Generator) -> Call:
    fits = [length for length in lengths if call.prompt_tokens + length <= room]  # its own does
    return replace(call, output_tokens=int(rng.choice(fits)))


def _first(flow: Workflow, count: int | None) -> Workflow:
    """The workflow with so many of its calls, none without its parents."""
    if count is None:
        return flow
    kept: dict[str, Call] = {}
    for _ in range(count):
        ready = (c for c in flow.calls if c.call_id not in kept and all(parent in kept for parent in c.parents))
        call = next(ready, None)
        if call is not None:
            kept[call.call_id] = call
    return replace(flow, calls=tuple(call for call in flow.calls if call.call_id in kept))
