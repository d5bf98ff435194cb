"""An instance as the priced relaxation sees it: a forest of calls, types of machines, and what speed costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from hexsched.model import DecodeInstance, Instance
from solvers.lagrangian.kernels import speed_hulls

Array = np.ndarray[Any, Any]

# Decodes are cut into chunks, each with a speed and a price of its own: the more the closer, and the slower.
CHUNKS = 8000  # in all, about
CHUNK_TOKENS = (8, 96)
MOST_CHUNKS = 4  # of a call
ALIKE = 1e-12  # relative: speeds closer than this are one


class Hulls(NamedTuple):
    """What each speed of each chunk costs; rows of (chunk q, decode type l) are ``first[q, l] : first[q, l + 1]``.

    Attributes
    ----------
    first : (Q + 1, L) int array, flattened
    extra : (R,) float array
        Seconds that the chunk takes longer than alone, ascending from 0.
    cost : (R,) float array
        Seconds of a decode instance that it then uses, descending and convex in ``extra``.
    """

    first: Array
    extra: Array
    cost: Array


@dataclass(frozen=True)
class Relaxation:
    """An instance in either decode model, everything known.

    Calls c are numbered workflow by workflow, parents before children; N calls, W workflows, K prefill types, L decode
    types, Q chunks of decodes. Identical instances are one type.

    Attributes
    ----------
    fixed : bool
        Whether decode times are fixed.
    arrival, horizon : (W,) float arrays
        a_w and H_w, seconds.
    first_call : (W + 1,) int array
    head, best, tail : (N,) float arrays
        Earliest release, best_c, and what must at least pass from completion to the end of the workflow.
    first_child, child : (N + 1,), (E,) int arrays
        The forest that is kept of the DAG: each call under the parent that determines its head.
    prefill : (N, K) float array
        P of each call.
    before : (N, L) float array
        Least seconds from release to the start of decode on type l.
    detour : (N, K, L) float array
        What prefill on type k adds to ``before``; inf where the call cannot go.
    late : (N, L) float array
        What decode on type l adds to best_c at least.
    transfer : (N, L) float array
        Least T.
    alone : (N, L) float array
        Seconds of decode with nothing else in the batch (``fixed``: m theta).
    kv_share : (N, L) float array
        (n + m) / M.
    slot_share : (L,) float array
        1 / Bmax.
    prefill_count, decode_count : (K,), (L,) int arrays
        Instances of each type.
    prefill_gpus, decode_gpus : tuple of str
        What each type is called.
    first_chunk : (N + 1,) int array
    chunk_alone, chunk_slowest : (Q, L) float arrays
        Seconds of each chunk with nothing else in the batch, and how much longer it can take at most.
    first_join : (W + 1,) int array
    join_from, join_to : (J,) int arrays
        Parents that the forest leaves out, and their children.
    join_gap : (J,) float array
        Seconds by which the earliest end of the parent is before that of the parent that is kept.
    final : (W,) int array
        The call that ends last in each workflow, all alone.
    hulls : Hulls
    """

    fixed: bool
    arrival: Array
    horizon: Array
    first_call: Array
    head: Array
    best: Array
    tail: Array
    first_child: Array
    child: Array
    prefill: Array
    before: Array
    detour: Array
    late: Array
    transfer: Array
    alone: Array
    kv_share: Array
    slot_share: Array
    prefill_count: Array
    decode_count: Array
    prefill_gpus: tuple[str, ...]
    decode_gpus: tuple[str, ...]
    first_chunk: Array
    chunk_alone: Array
    chunk_slowest: Array
    first_join: Array
    join_from: Array
    join_to: Array
    join_gap: Array
    final: Array
    hulls: Hulls

    @property
    def workflows(self) -> int:
        """W."""
        return len(self.arrival)

    @cached_property
    def workflow(self) -> Array:
        """(N,) workflow of each call."""
        return np.repeat(np.arange(self.workflows), np.diff(self.first_call))


def relax(instance: Instance) -> Relaxation:
    """Build the arrays.

    Decode speed. In ``fluid`` all calls of a batch of B holding K tokens advance at 1 / (g(B) + d2 K). Take call c at
    token number x. K is at least n_c + x + (B - 1) n_min, n_min the shortest prompt of all, so a token of c takes at
    least t_c(B, x) = g(B) + d2 (n_c + x + (B - 1) n_min) seconds while the batch has B calls. Say that c then *uses*
    1 / B of the instance: all calls of a batch use 1 together, so an instance gives at most one second of use a second.
    A chunk of tokens that takes d seconds uses at least the lower convex hull, at d, of the points (sum_x t_c(B, x),
    sum_x t_c(B, x0) / B) over B, x0 its first token; ``Hulls`` holds it. A price on use is a price on speed. B goes up
    to Bmax and to what fits in the KV cache beside c. (A chunk slower than all these points uses no less than the last:
    its batches are no larger.)
    """
    flows = [(w.arrival, w.calls, w.topological_order()) for w in instance.workflows]
    calls = [flow[k] for _, flow, order in flows for k in order]
    sizes = np.array([len(flow) for _, flow, _ in flows])
    first_call = np.concatenate([[0], np.cumsum(sizes)])
    n, m, h = (np.array([getattr(c, x) for c in calls]) for x in ("prompt_tokens", "output_tokens", "cached_tokens"))
    delay = np.array([c.delay for c in calls])
    prefills, prefill_count, decodes, decode_count = _types(instance)
    links = {(link.source, link.to): link for link in instance.links}
    p = np.array([i.prefill_coeffs for i in prefills])
    prefill = p[:, 0] + p[:, 1] * (n - h)[:, None] + p[:, 2] * (n.astype(float) ** 2 - h.astype(float) ** 2)[:, None]
    latency = np.array([[links[i.id, j.id].latency for j in decodes] for i in prefills])
    token = np.array([[instance.kv_bytes_per_token / links[i.id, j.id].bandwidth for j in decodes] for i in prefills])
    transfer = latency + n[:, None, None] * token
    capacity = np.array([j.kv_capacity_tokens for j in decodes])
    fits = (n + m)[:, None] <= capacity
    fixed = instance.decode_model == "fixed"
    if fixed:
        alone = m[:, None] * np.array([float(j.fixed_iteration_time) for j in decodes])
    else:
        d2 = np.array([j.decode_coeffs[2] for j in decodes])
        single = np.array([batch_seconds(j, 1)[0] for j in decodes])
        alone = (single + d2 * n[:, None]) * m[:, None] + d2 * m[:, None] ** 2 / 2
    way = np.where(fits[:, None, :], prefill[:, :, None] + transfer, np.inf)
    before = way.min(axis=1)
    with np.errstate(invalid="ignore"):
        detour = np.where(np.isfinite(way), way - before[:, None, :], np.inf)
    whole = before + alone
    best = whole.min(axis=1)
    head, tail, first_child, child, horizon, joins = _forest(flows, first_call, delay, best)
    first_join = np.searchsorted(joins[1], first_call)
    chunks = _chunks(m) if not fixed else np.ones(len(calls), np.int64)
    first_chunk = np.concatenate([[0], np.cumsum(chunks)])
    if fixed:
        chunk_alone, slowest = alone, np.zeros_like(alone)
        hulls = Hulls(np.zeros(1, np.int64), np.zeros(1), np.zeros(1))
    else:
        chunk_alone, slowest, hulls = _speeds(decodes, n, m, chunks)
    return Relaxation(
        fixed=fixed,
        arrival=np.array([arrival for arrival, _, _ in flows]),
        horizon=horizon,
        first_call=first_call,
        head=head,
        best=best,
        tail=tail,
        first_child=first_child,
        child=child,
        prefill=prefill,
        before=before,
        detour=detour,
        late=np.where(fits, whole - best[:, None], np.inf),
        transfer=np.where(fits, transfer.min(axis=1), np.inf),
        alone=alone,
        kv_share=(n + m)[:, None] / capacity,
        slot_share=1.0 / np.array([j.max_batch for j in decodes]),
        prefill_count=prefill_count,
        decode_count=decode_count,
        prefill_gpus=tuple(i.gpu for i in prefills),
        decode_gpus=tuple(j.gpu for j in decodes),
        first_chunk=first_chunk,
        chunk_alone=chunk_alone,
        chunk_slowest=slowest,
        first_join=first_join,
        join_from=joins[0],
        join_to=joins[1],
        join_gap=head[joins[1]] - delay[joins[1]] - head[joins[0]] - best[joins[0]],
        final=np.array([a + np.argmax((head + best)[a:b]) for a, b in pairwise(first_call)]),
        hulls=hulls,
    )


def _types(instance: Instance) -> tuple[list[Any], Array, list[DecodeInstance], Array]:
    """One instance of each type, and how many there are: equal numbers, and equal links to everything."""
    links = {(link.source, link.to): (link.latency, link.bandwidth) for link in instance.links}
    prefill: dict[Any, list[Any]] = {}
    for i in instance.prefill:
        prefill.setdefault((i.prefill_coeffs, *(links[i.id, j.id] for j in instance.decode)), []).append(i)
    decode: dict[Any, list[DecodeInstance]] = {}
    for j in instance.decode:
        own = (j.decode_coeffs, j.batch_curve, j.fixed_iteration_time, j.kv_capacity_tokens, j.max_batch)
        decode.setdefault((own, *(links[i.id, j.id] for i in instance.prefill)), []).append(j)
    return (
        [alike[0] for alike in prefill.values()],
        np.array([len(alike) for alike in prefill.values()]),
        [alike[0] for alike in decode.values()],
        np.array([len(alike) for alike in decode.values()]),
    )


def _forest(
    flows: list[Any], first_call: Array, delay: Array, best: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Heads and tails over the whole DAG; the forest of each call under its latest parent; H_w; the other parents."""
    calls = len(delay)
    head, tail = np.zeros(calls), np.zeros(calls)
    under: list[list[int]] = [[] for _ in range(calls)]
    horizon = np.zeros(len(flows))
    joins: list[tuple[int, int]] = []
    for w, (arrival, flow, order) in enumerate(flows):
        base = int(first_call[w])
        place = {flow[k].call_id: base + rank for rank, k in enumerate(order)}
        parents = [[place[name] for name in flow[k].parents] for k in order]
        above: dict[int, set[int]] = {base + rank: set() for rank in range(len(order))}
        for rank, own in enumerate(parents):
            c = base + rank
            latest = max(own, key=lambda p: head[p] + best[p], default=None)
            head[c] = (arrival if latest is None else head[latest] + best[latest]) + delay[c]
            if latest is None:
                continue
            under[latest].append(c)
            above[c] = above[latest].union(*(above[p] for p in own), own)
            joins += [(p, c) for p in sorted(own) if p != latest and not any(p in above[q] for q in own)]
        for rank in range(len(order) - 1, -1, -1):
            c = base + rank
            for x in parents[rank]:
                tail[x] = max(tail[x], delay[c] + best[c] + tail[c])
        ends = head[base : base + len(order)] + best[base : base + len(order)]
        horizon[w] = ends.max() - arrival
    first_child = np.concatenate([[0], np.cumsum([len(x) for x in under])])
    child = np.array([x for own in under for x in own], dtype=np.int64)
    return head, tail, first_child, child, horizon, np.array(joins, dtype=np.int64).reshape(-1, 2).T.copy()


def _chunks(m: Array) -> Array:
    tokens = int(np.clip(m.sum() // CHUNKS, *CHUNK_TOKENS))
    return np.clip(-(-m // tokens), 1, MOST_CHUNKS)


def _speeds(decodes: list[DecodeInstance], n: Array, m: Array, chunks: Array) -> tuple[Array, Array, Hulls]:
    owner = np.repeat(np.arange(len(n)), chunks)
    position = np.arange(len(owner)) - np.repeat(np.cumsum(chunks) - chunks, chunks)
    start, end = np.stack([position, position + 1]) * m[owner] / chunks[owner]
    tokens = end - start
    d2 = np.array([j.decode_coeffs[2] for j in decodes])
    room = np.array([j.kv_capacity_tokens for j in decodes])
    widest = max(j.max_batch for j in decodes)
    # where a batch ends early, its last value: never looked at
    seconds = np.array([np.pad(batch_seconds(j, j.max_batch), (0, widest - j.max_batch), "edge") for j in decodes])
    seconds = seconds + d2[:, None] * np.arange(widest) * n.min()
    beside = (room - (n + m)[owner][:, None]) // (n + m).min() + 1
    most = np.maximum(np.minimum(beside, [j.max_batch for j in decodes]), 1)
    least = d2 * (n[owner] + start)[:, None]
    mean = d2 * (n[owner] + (start + end) / 2)[:, None]
    alone = tokens[:, None] * (seconds[:, 0] + mean)
    last = np.array([seconds[x, j.max_batch - 1] for x, j in enumerate(decodes)])
    slowest = tokens[:, None] * (last + d2 * room - seconds[:, 0])  # at most a full batch, and a full cache
    corners = np.zeros(most.shape, np.int64)
    extra, cost = np.zeros((2, *most.shape, widest))
    speed_hulls(seconds, most, ALIKE, tokens, least, corners, extra, cost)
    kept = np.arange(widest) < corners[:, :, None]
    return alone, slowest, Hulls(np.concatenate([[0], np.cumsum(corners)]), extra[kept], cost[kept])


def batch_seconds(server: DecodeInstance, largest: int) -> Array:
    """g(B) for B = 1 to ``largest``, (largest,) seconds."""
    batches = np.arange(1, largest + 1)
    if server.batch_curve is None:
        return np.asarray(server.decode_coeffs[0] + server.decode_coeffs[1] * batches)
    points, seconds = zip(*server.batch_curve, strict=True)
    return np.interp(batches, points, seconds)
