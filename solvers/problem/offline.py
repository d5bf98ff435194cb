"""The offline problem as arrays: everything known at time 0, every duration in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hexsched.engine.horizon import horizons
from hexsched.errors import InputError
from hexsched.model import Instance

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Problem:
    """An instance in the ``fixed`` decode model as a multi-mode hybrid flow shop.

    Calls c are numbered as in the instance file, I prefill and J decode instances likewise.

    Attributes
    ----------
    instance : Instance
    workflow : (N,) int array
        Workflow of each call.
    parents : tuple of tuples of int
        Parents of each call, as call numbers.
    topological : (N,) int array
        All calls, parents before children.
    delay : (N,) float array
        delta_c.
    kv : (N,) int array
        n_c + m_c, the reservation.
    prefill : (N, I) float array
        P_i(c).
    transfer : (N, I, J) float array
        T_ij(c).
    decode : (N, J) float array
        m_c theta_j; inf where c can never fit.
    arrival, horizon : (W,) float arrays
        a_w and H_w.
    capacity, max_batch : (J,) int arrays
        M_j and Bmax_j.
    """

    instance: Instance
    workflow: Array
    parents: tuple[tuple[int, ...], ...]
    topological: Array
    delay: Array
    kv: Array
    prefill: Array
    transfer: Array
    decode: Array
    arrival: Array
    horizon: Array
    capacity: Array
    max_batch: Array

    @property
    def calls(self) -> int:
        """N."""
        return len(self.workflow)

    @property
    def workflows(self) -> int:
        """W."""
        return len(self.arrival)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Children of each call."""
        found: list[list[int]] = [[] for _ in range(self.calls)]
        for c, parents in enumerate(self.parents):
            for p in parents:
                found[p].append(c)
        return tuple(tuple(x) for x in found)

    @cached_property
    def best(self) -> Array:
        """(N,) seconds: the least that prefill, transfer and decode of each call can take together."""
        whole = self.prefill[:, :, None] + self.transfer + self.decode[:, None, :]
        return np.min(whole, axis=(1, 2))

    @cached_property
    def head(self) -> Array:
        """(N,) seconds: no call can be released earlier than this."""
        head = np.zeros(self.calls)
        for c in self.topological:
            before = max((head[p] + self.best[p] for p in self.parents[c]), default=self.arrival[self.workflow[c]])
            head[c] = before + self.delay[c]
        return head

    @cached_property
    def tail(self) -> Array:
        """(N,) seconds: from the completion of a call to that of its workflow no less than this can pass."""
        tail = np.zeros(self.calls)
        for c in self.topological[::-1]:
            tail[c] = max((self.delay[x] + self.best[x] + tail[x] for x in self.children[c]), default=0.0)
        return tail


def fixed_problem(instance: Instance) -> Problem:
    """The offline problem of a ``fixed`` instance.

    Raises
    ------
    InputError
        For a ``fluid`` instance: its decode times depend on the batch, which these formulations cannot say.
    """
    if instance.decode_model != "fixed":
        raise InputError(
            f"the exact formulations need decode_model 'fixed', the instance has {instance.decode_model!r}; "
            "compile it with --decode-model fixed"
        )
    calls = [(w, call) for w, workflow in enumerate(instance.workflows) for call in workflow.calls]
    number = {(w, call.call_id): c for c, (w, call) in enumerate(calls)}
    first = np.cumsum([0, *(len(w.calls) for w in instance.workflows)])
    links = {(link.source, link.to): link for link in instance.links}
    kv = np.array([call.prompt_tokens + call.output_tokens for _, call in calls])
    capacity = np.array([server.kv_capacity_tokens for server in instance.decode])
    theta = np.array([float(server.fixed_iteration_time) for server in instance.decode])
    m = np.array([call.output_tokens for _, call in calls], dtype=float)
    known = horizons(instance)
    return Problem(
        instance=instance,
        workflow=np.array([w for w, _ in calls]),
        parents=tuple(tuple(number[w, parent] for parent in call.parents) for w, call in calls),
        topological=np.concatenate(
            [first[w] + np.array(workflow.topological_order()) for w, workflow in enumerate(instance.workflows)]
        ),
        delay=np.array([call.delay for _, call in calls]),
        kv=kv,
        prefill=np.array(
            [[i.prefill_seconds(call.prompt_tokens, call.cached_tokens) for i in instance.prefill] for _, call in calls]
        ),
        transfer=np.array(
            [
                [
                    [
                        links[i.id, j.id].transfer_seconds(call.prompt_tokens, instance.kv_bytes_per_token)
                        for j in instance.decode
                    ]
                    for i in instance.prefill
                ]
                for _, call in calls
            ]
        ),
        decode=np.where(kv[:, None] <= capacity[None, :], m[:, None] * theta[None, :], np.inf),
        arrival=np.array([w.arrival for w in instance.workflows]),
        horizon=np.array([known[w.workflow_id] for w in instance.workflows]),
        capacity=capacity,
        max_batch=np.array([server.max_batch for server in instance.decode]),
    )
