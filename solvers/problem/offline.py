"""The offline problem as arrays: everything known at time 0, every duration in seconds (model M26).

One numbering for all of ``solvers``, which is the engine's: workflows in the order of their ids, calls in that of
(workflow id, call id), instances as in the file. What else solvers look at, time windows, ticks, pools, prices, is a
view of this. So a new resource enters here once: its supply beside ``capacity``, what a call takes of it beside ``kv``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from hexsched.engine.horizon import standalone_horizons
from hexsched.engine.tables import Places, Workload, batch_seconds, workload_columns
from hexsched.errors import InputError
from hexsched.model import DecodeInstance, Instance, Schedule

Array = np.ndarray[Any, Any]

LEAST_ROUNDING = 1e-9  # seconds; that of times below 36 hours
ROUNDED_STEPS = 64  # steps between neighbouring doubles


@dataclass(frozen=True, eq=False)
class Types:
    """Instances of one pool that can be swapped without changing anything: equal numbers, and equal links to all.

    Attributes
    ----------
    of : (I,) int array
        Type of each instance, numbered by first appearance.
    first, count : (K,) int arrays
        An instance of each type, and how many there are.
    """

    of: Array
    first: Array
    count: Array

    @property
    def groups(self) -> list[list[int]]:
        """The instances of each type that has two or more."""
        return [np.flatnonzero(self.of == k).tolist() for k in np.flatnonzero(self.count > 1)]


class Decisions(NamedTuple):
    """What a schedule decides: the place of each call, and by its times the order of calls at each place.

    Attributes
    ----------
    prefill, decode : (N,) int arrays
        Instances.
    start, admitted : (N,) float arrays
        Start of the prefill, and admission, seconds.
    """

    prefill: Array
    decode: Array
    start: Array
    admitted: Array


@dataclass(frozen=True, eq=False)
class OfflineProblem:
    """An instance in either decode model. N calls, W workflows, I and J instances, K and L types of them.

    Attributes
    ----------
    instance : Instance
    workload : Workload
        Its calls and workflows as columns.
    places : Places
        Where the calls and workflows of the file stand in them.
    horizon : (W,) float array
        H_w.
    """

    instance: Instance
    workload: Workload
    places: Places
    horizon: Array

    @property
    def fluid(self) -> bool:
        """Whether batches slow each other down."""
        return self.instance.decode_model == "fluid"

    # --- calls and workflows -----------------------------------------------------------------------------------------

    @property
    def calls(self) -> int:
        """N."""
        return len(self.workload.n)

    @property
    def workflows(self) -> int:
        """W."""
        return len(self.workload.arrival)

    @property
    def workflow(self) -> Array:
        """(N,) workflow of each call."""
        return self.workload.workflow

    @property
    def arrival(self) -> Array:
        """(W,) seconds: a_w."""
        return self.workload.arrival

    @property
    def delay(self) -> Array:
        """(N,) seconds: delta_c."""
        return self.workload.delay

    @cached_property
    def prompt(self) -> Array:
        """(N,) tokens: n_c, as floats."""
        return self.workload.n.astype(float)

    @cached_property
    def output(self) -> Array:
        """(N,) tokens: m_c, as floats."""
        return self.workload.m.astype(float)

    @cached_property
    def kv(self) -> Array:
        """(N,) tokens: n_c + m_c, the reservation."""
        return np.asarray(self.workload.n + self.workload.m)

    @cached_property
    def names(self) -> list[tuple[str, str]]:
        """(workflow id, call id) of each call."""
        names = [("", "")] * self.calls
        for c, name in zip(self.places.call, self._names_in_file(), strict=True):
            names[c] = name
        return names

    @cached_property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """Parents of each call, as call numbers."""
        return self._listed(1, 0)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Children of each call."""
        return self._listed(0, 1)

    @cached_property
    def topological(self) -> Array:
        """(N,) all calls, workflow by workflow, parents before children."""
        rank = np.zeros(self.calls, np.int64)  # length of the longest chain of parents
        missing = [len(own) for own in self.parents]
        ready = [c for c in range(self.calls) if not missing[c]]
        while ready:
            c = ready.pop()
            for x in self.children[c]:
                rank[x] = max(rank[x], rank[c] + 1)
                missing[x] -= 1
                if not missing[x]:
                    ready.append(x)
        return np.lexsort((np.arange(self.calls), rank, self.workflow))

    # --- machines ----------------------------------------------------------------------------------------------------

    @cached_property
    def capacity(self) -> Array:
        """(J,) tokens: M_j."""
        return np.array([server.kv_capacity_tokens for server in self.instance.decode])

    @cached_property
    def max_batch(self) -> Array:
        """(J,) calls: Bmax_j."""
        return np.array([server.max_batch for server in self.instance.decode])

    @cached_property
    def prefill_types(self) -> Types:
        """Types of prefill instances."""
        return _types(
            [(i.prefill_coeffs, row.tobytes()) for i, row in zip(self.instance.prefill, self._links, strict=True)]
        )

    @cached_property
    def decode_types(self) -> Types:
        """Types of decode instances."""
        rows = []
        for j, server in enumerate(self.instance.decode):
            speed = (server.decode_coeffs, server.batch_curve) if self.fluid else (server.fixed_iteration_time,)
            room = (server.kv_capacity_tokens, server.max_batch)
            rows.append((*speed, *room, np.ascontiguousarray(self._links[:, j]).tobytes()))
        return _types(rows)

    @cached_property
    def decode_machines(self) -> tuple[DecodeInstance, ...]:
        """One decode instance of each type."""
        return tuple(self.instance.decode[j] for j in self.decode_types.first)

    def batch_seconds(self, kind: int) -> Array:
        """g(B) of a decode type, for B = 1 to Bmax, seconds."""
        server = self.decode_machines[kind]
        return batch_seconds(server, server.max_batch)

    # --- durations ---------------------------------------------------------------------------------------------------

    @cached_property
    def prefill_of_type(self) -> Array:
        """(N, K) seconds: P."""
        n, h = self.workload.n, self.workload.h
        p = np.array([self.instance.prefill[i].prefill_coeffs for i in self.prefill_types.first], float)
        squares = n.astype(float) * n - h.astype(float) * h
        return np.asarray(p[:, 0] + p[:, 1] * (n - h)[:, None] + p[:, 2] * squares[:, None])

    @cached_property
    def transfer_of_type(self) -> Array:
        """(N, K, L) seconds: T."""
        links = self._links[self.prefill_types.first][:, self.decode_types.first]
        size = self.workload.n * float(self.instance.kv_bytes_per_token)
        return np.asarray(links[:, :, 0] + size[:, None, None] / links[:, :, 1])

    @cached_property
    def alone_of_type(self) -> Array:
        """(N, L) seconds that each call decodes alone in its batch (``fixed``: m theta), whether or not it fits."""
        n, m = self.prompt[:, None], self.output[:, None]
        servers = self.decode_machines
        if self.fluid:
            d2 = np.array([server.decode_coeffs[2] for server in servers], float)
            single = np.array([server.batch_seconds(1) for server in servers])
            return np.asarray((single + d2 * n) * m + d2 * m * m / 2)
        return np.asarray(m * np.array([server.fixed_iteration_time for server in servers], float))

    @cached_property
    def decode_of_type(self) -> Array:
        """(N, L) seconds that each call decodes at the least: alone in its batch; inf where it can never fit.

        In ``fluid`` no call is faster than that, and a reservation is never shorter, so what bounds a problem with
        these durations bounds the instance. In ``fixed`` they are the durations.
        """
        return np.where(self.kv[:, None] <= self.capacity[self.decode_types.first], self.alone_of_type, np.inf)

    @cached_property
    def prefill(self) -> Array:
        """(N, I) seconds: P of each call on each instance."""
        return self.prefill_of_type[:, self.prefill_types.of]

    @cached_property
    def transfer(self) -> Array:
        """(N, I, J) seconds: T."""
        return self.transfer_of_type[:, self.prefill_types.of][:, :, self.decode_types.of]

    @cached_property
    def decode(self) -> Array:
        """(N, J) seconds, as ``decode_of_type``."""
        return self.decode_of_type[:, self.decode_types.of]

    @cached_property
    def hold(self) -> Array:
        """(N, I, J) seconds from admission to completion, at the least; inf where the call can never fit."""
        return np.asarray(self.transfer + self.decode[:, None, :])

    @cached_property
    def best(self) -> Array:
        """(N,) seconds: the least that prefill, transfer and decode of each call can take together."""
        whole = self.prefill_of_type[:, :, None] + self.transfer_of_type + self.decode_of_type[:, None, :]
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

    @cached_property
    def last_end(self) -> float:
        """Seconds by which some best schedule ends.

        Move everything as early as its order allows, which makes no completion later. Then a chain of prefills, stays
        and delays without gaps leads from an arrival to the last completion, and no call is in it more than once.
        """
        longest = np.where(np.isfinite(self.hold), self.hold, 0.0).max(axis=(1, 2))
        return float(self.arrival.max() + (self.delay + self.prefill.max(axis=1) + longest).sum())

    @cached_property
    def rounding(self) -> float:
        """Seconds that rounding can add to a time that is a sum of a few of these numbers, and some more.

        Windows are wider by this, so that rounding closes none. Times that lie far from 0 are coarser.
        """
        last = float(self.arrival.max() + (self.delay + self.best).sum())
        return max(LEAST_ROUNDING, ROUNDED_STEPS * float(np.spacing(last)))

    # --- schedules ---------------------------------------------------------------------------------------------------

    def completed(self, schedule: Schedule) -> Array:
        """(W,) seconds at which each workflow completes in a schedule, whatever the order of its rows."""
        number = {w.workflow_id: w_of for w, w_of in zip(self.instance.workflows, self.places.workflow, strict=True)}
        completed = np.zeros(self.workflows)
        flows = np.array([number[row.workflow_id] for row in schedule.calls])
        np.maximum.at(completed, flows, np.array([row.decode_end for row in schedule.calls]))
        return completed

    def decisions(self, schedule: Schedule) -> Decisions:
        """What a schedule of the instance decides, whatever the order of its rows."""
        rows = {(row.workflow_id, row.call_id): row for row in schedule.calls}
        calls = [rows[name] for name in self.names]
        prefill = {machine.id: i for i, machine in enumerate(self.instance.prefill)}
        decode = {machine.id: j for j, machine in enumerate(self.instance.decode)}
        return Decisions(
            prefill=np.array([prefill[row.prefill_instance] for row in calls]),
            decode=np.array([decode[row.decode_instance] for row in calls]),
            start=np.array([row.prefill_start for row in calls]),
            admitted=np.array([row.admitted for row in calls]),
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    @cached_property
    def _links(self) -> Array:
        """(I, J, 2) latency in seconds and bandwidth in bytes a second."""
        by_ends = {(link.source, link.to): (link.latency, link.bandwidth) for link in self.instance.links}
        return np.array([[by_ends[i.id, j.id] for j in self.instance.decode] for i in self.instance.prefill], float)

    def _names_in_file(self) -> list[tuple[str, str]]:
        return [(w.workflow_id, call.call_id) for w in self.instance.workflows for call in w.calls]

    def _listed(self, of: int, what: int) -> tuple[tuple[int, ...], ...]:
        lists: list[list[int]] = [[] for _ in range(self.calls)]
        for edge in self.workload.edges.tolist():
            lists[edge[of]].append(edge[what])
        return tuple(tuple(own) for own in lists)


def check_open(instance: Instance) -> None:
    """Whether arrivals are given, as all of this takes for granted.

    Raises
    ------
    InputError
        For a closed loop: there a schedule decides when workflows arrive.
    """
    if instance.closed_loop is not None:
        raise InputError(
            "bounds, solvers and gaps need arrivals that are given, in this closed loop they follow from the schedule; "
            "'hexsched simulate --open-instance FILE' writes the instance with the arrivals of a run"
        )


def offline_problem(instance: Instance) -> OfflineProblem:
    """The offline problem of an instance of either decode model; raises ``InputError`` for a closed loop."""
    check_open(instance)
    workload, places = workload_columns(instance)
    return OfflineProblem(instance, workload, places, standalone_horizons(instance, workload))


def fixed_problem(instance: Instance) -> OfflineProblem:
    """The same for what can say no more than fixed durations.

    Raises
    ------
    InputError
        For a ``fluid`` instance: its decode times depend on the batch.
    """
    if instance.decode_model != "fixed":
        raise InputError(
            f"the exact formulations need decode_model 'fixed', the instance has {instance.decode_model!r}; "
            "compile it with --decode-model fixed, or bracket it as it is with 'hexsched gap'"
        )
    return offline_problem(instance)


def _types(descriptions: list[Any]) -> Types:
    """Equal descriptions are one type."""
    numbers: dict[Any, int] = {}
    of = np.array([numbers.setdefault(one, len(numbers)) for one in descriptions])
    _, first, count = np.unique(of, return_index=True, return_counts=True)
    return Types(of, first, count)
