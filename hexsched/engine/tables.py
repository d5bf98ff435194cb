"""From an instance to the flat arrays that the engine runs on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hexsched.engine import state as st
from hexsched.engine.actions import LINE_BLOCK
from hexsched.engine.state import Array, Records, Seen, State, Truth
from hexsched.engine.tournament import leaves_for, new_tournament
from hexsched.model import DecodeInstance, Instance
from hexsched.model.rows import Texts


class Workload(NamedTuple):
    """A workload as columns. Calls are in the order of (workflow id, call id), workflows in the order of their ids.

    Attributes
    ----------
    arrival : (W,) float array
    workflow, n, m, h : (N,) int arrays
        The workflow of each call and its prompt, output and cached tokens.
    delay : (N,) float array
    kind : (N,) int array
        Kinds of calls, numbered from 0.
    edges : (E, 2) int array
        (parent, child) pairs, sorted by parent, then child.
    """

    arrival: Array
    workflow: Array
    n: Array
    m: Array
    h: Array
    delay: Array
    kind: Array
    edges: Array


class Places(NamedTuple):
    """Where the calls and workflows of an instance file stand in the engine's numbering."""

    workflow: Array  # (W,) engine number of each workflow, in file order
    call: Array  # (N,) engine number of each call, in file order


def workload_columns(instance: Instance) -> tuple[Workload, Places]:
    """The workload of an instance as columns, and how the file's order maps to them."""
    columns = instance.columns
    ids = columns.workflow_id
    workflow_order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)
    workflow_place = _inverse(workflow_order)
    of_call = workflow_place[columns.workflow]
    order = np.lexsort((_ranks(columns.call_id), of_call))
    call_place = _inverse(order)
    parent, child = call_place[columns.parent], call_place[columns.child]
    by_parent = np.lexsort((child, parent))
    workload = Workload(
        arrival=columns.arrival[workflow_order],
        workflow=of_call[order],
        n=columns.prompt[order],
        m=columns.output[order],
        h=columns.cached[order],
        delay=columns.delay[order],
        kind=_numbered(columns.kind.codes[order]),
        edges=np.stack([parent[by_parent], child[by_parent]], axis=1),
    )
    return workload, Places(workflow_place, call_place)


def _inverse(order: Array) -> Array:
    """The place of each in an order."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place


def _ranks(texts: Texts) -> Array:
    """Numbers that are ordered as the texts are."""
    distinct = texts.distinct
    return _inverse(np.array(sorted(range(len(distinct)), key=distinct.__getitem__), np.int64))[texts.codes]


def _numbered(codes: Array) -> Array:
    """The same numbers for the same codes, from 0 in the order in which they first appear."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return _inverse(np.argsort(first))[inverse]


def build_state(
    instance: Instance,
    workload: Workload,
    *,
    estimates: Array | None = None,
    waiting: Array | None = None,
    rows_later: bool = False,
) -> State:
    """A fresh state at time 0.

    Parameters
    ----------
    instance : Instance
        Its cluster is used, and how many sessions a closed loop has; its workflows are not looked at.
    workload : Workload
    estimates : (N,) float array, optional
        Estimated output tokens; the true ones when absent.
    waiting : (W,) int array, optional
        Of a closed loop: its workflows in the order in which they wait for their turn.
    rows_later : bool
        Leave rows of calls as they are, not even written to; a ``Window`` fills them.
    """
    calls, workflows = len(workload.n), len(workload.arrival)
    seen = build_seen(instance, calls, workflows, len(workload.edges), rows_later=rows_later)
    if rows_later:
        truth = st.records(calls, st.CALL_TRUTH)
    else:
        truth = call_truth(workload, np.unique(seen.decodes.kv_capacity), estimates)
    parent, child = workload.edges.T.astype(np.int64)
    is_root = np.ones(calls, bool)
    is_root[child] = False
    roots = np.flatnonzero(is_root)
    roots_of = st.records(workflows, st.WORKFLOW_TRUTH)
    roots_of.roots = np.bincount(workload.workflow[roots], minlength=workflows)
    roots_of.first_root = np.cumsum(roots_of.roots) - roots_of.roots
    flows = st.records(workflows, st.FLOW)
    flows.arrival, begun = workload.arrival, workflows
    flows.left = np.bincount(workload.workflow, minlength=workflows)
    order = np.argsort(workload.arrival, kind="stable")
    if instance.closed_loop is not None:
        assert waiting is not None
        order, begun = waiting, min(instance.closed_loop.sessions, workflows)
        flows.arrival[order[begun:]] = np.inf
    decodes, batch = seen.seats.shape
    return State(
        truth=Truth(
            progress=st.record(st.PROGRESS, begun=begun, incomplete=calls, prior=256.0),
            calls=truth,
            workflows=roots_of,
            flows=flows,
            parents=_constant(parent[np.argsort(child, kind="stable")]),
            children=_constant(child),
            roots=_constant(roots),
            arrival_order=_constant(order),
            events=st.records(calls + 1, st.HEAP_ENTRY),
            reserved=np.zeros(decodes, np.int64),
            least_need=np.zeros(calls // LINE_BLOCK + 1, np.int64),
            prefill_ends=st.records(len(instance.prefill), st.HEAP_ENTRY),
            next_completion=np.full(leaves_for(decodes), np.inf),
            completion_order=new_tournament(decodes),
            targets=st.records((decodes, batch), st.HEAP_ENTRY),
            kinds=st.records(int(workload.kind.max()) + 2, st.KIND),
        ),
        seen=seen,
    )


def call_truth(workload: Workload, capacities: Array, estimates: Array | None = None) -> Records:
    """What is true of each call, (N,) rows of ``CALL_TRUTH``.

    Parameters
    ----------
    workload : Workload
    capacities : (K,) int array
        The sizes of KV caches that there are, ascending.
    estimates : (N,) float array, optional
        Estimated output tokens; the true ones when absent.
    """
    calls = len(workload.n)
    truth = st.records(calls, st.CALL_TRUTH)
    truth.workflow, truth.n, truth.m, truth.h = workload.workflow, workload.n, workload.m, workload.h
    truth.kind, truth.delay = workload.kind, workload.delay
    truth.estimate = workload.m if estimates is None else estimates
    truth.needs_capacity = capacities[np.searchsorted(capacities, truth.n + truth.m)]
    parent, child = workload.edges[:, 0], workload.edges[:, 1]
    truth.parents = truth.missing = np.bincount(child, minlength=calls)
    truth.first_parent = np.cumsum(truth.parents) - truth.parents
    truth.children = np.bincount(parent, minlength=calls)
    truth.first_child = np.cumsum(truth.children) - truth.children
    return truth


def narrow(workload: Workload) -> Workload:
    """The same in half the room: whole numbers of 32 bits."""
    short = {name: getattr(workload, name).astype(np.int32) for name in ("workflow", "n", "m", "h", "kind", "edges")}
    return workload._replace(**short)


def build_seen(instance: Instance, calls: int, workflows: int, edges: int = 0, *, rows_later: bool = False) -> Seen:
    """What may be observed of the instance's cluster at first, with room for that many calls and workflows.

    With ``rows_later`` nothing is written to rows of calls yet.
    """
    prefill_count, decode_count = len(instance.prefill), len(instance.decode)
    links = st.records((prefill_count, decode_count), st.LINK)
    prefill_at = {machine.id: i for i, machine in enumerate(instance.prefill)}
    decode_at = {machine.id: j for j, machine in enumerate(instance.decode)}
    for link in instance.links:
        i, j = prefill_at[link.source], decode_at[link.to]
        links[i, j].latency = link.latency
        links[i, j].per_token = instance.kv_bytes_per_token / link.bandwidth
    prefills = st.records(prefill_count, st.PREFILL)
    for i, machine in enumerate(instance.prefill):
        prefills[i].p0, prefills[i].p1, prefills[i].p2 = machine.prefill_coeffs
    prefills.running = -1
    prefills.kind = _kinds([(m.prefill_coeffs, links[i].tobytes()) for i, m in enumerate(instance.prefill)])
    decodes = st.records(decode_count, st.DECODE)
    largest = max(m.max_batch for m in instance.decode)
    for j, server in enumerate(instance.decode):
        decodes[j].d2 = server.decode_coeffs[2]
        decodes[j].theta = server.fixed_iteration_time
        decodes[j].kv_capacity = server.kv_capacity_tokens
        decodes[j].max_batch = server.max_batch
    decodes.kind = _kinds(
        [
            (m.decode_coeffs, m.batch_curve, m.fixed_iteration_time, m.kv_capacity_tokens, links[:, j].tobytes())
            for j, m in enumerate(instance.decode)
        ]
    )
    first_prefill = np.unique(prefills.kind, return_index=True)[1]
    first_decode = np.unique(decodes.kind, return_index=True)[1]
    batch_seconds_of = np.zeros((len(first_decode), largest + 1))
    for kind, j in enumerate(first_decode):
        batch_seconds_of[kind, 1:] = batch_seconds(instance.decode[j], largest)
    table = st.records(calls, st.CALL)
    if not rows_later:
        table.prefill_instance = table.decode_instance = -1
    return Seen(
        clock=st.record(st.CLOCK, fixed=int(instance.decode_model == "fixed")),
        calls=table,
        workflows=st.records(workflows, st.WORKFLOW),
        prefills=prefills,
        decodes=decodes,
        batch_seconds=_constant(batch_seconds_of),
        links=links[first_prefill][:, first_decode].copy().view(np.recarray),
        pairs=_constant(np.array([(i, j) for i in first_prefill for j in first_decode], np.int64)),
        released=np.zeros(calls, np.int64),
        prefilled=np.zeros(calls, np.int64),
        completed=np.zeros(calls, np.int64),
        parents=np.full(edges, -1, np.int64),
        seats=np.zeros((decode_count, min(largest, calls)), np.int64),
    )


def batch_seconds(server: DecodeInstance, largest: int) -> Array:
    """g_j(B) for B = 1 to ``largest``, seconds; past the end of a curve its last value."""
    batches = np.arange(1, largest + 1)
    if server.batch_curve is None:
        return np.asarray(server.decode_coeffs[0] + server.decode_coeffs[1] * batches)
    points, seconds = zip(*server.batch_curve, strict=True)
    return np.interp(batches, points, seconds)


def _kinds(descriptions: list[Any]) -> list[int]:
    """The same number for equal descriptions, numbered by first appearance."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(d, len(numbers)) for d in descriptions]


def _constant(array: Array) -> Array:
    """A copy that nobody can write to."""
    copy = np.array(array)
    copy.flags.writeable = False
    return copy
