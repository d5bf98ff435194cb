"""An instance as the priced relaxation sees it: a forest of calls, types of machines, and what speed costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from hexsched.model import DecodeInstance, Instance

Array = np.ndarray[Any, Any]

ALIKE = 1e-12  # relative: speeds closer than this are one


@dataclass(frozen=True)
class Relaxation:
    """An instance in either decode model, everything known.

    Calls c are numbered workflow by workflow, parents before children; N calls, W workflows, K prefill types, L decode
    types, R speeds. Identical instances are one type.

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
    tokens : (N,) float array
        m.
    token : (N, L) float array
        Least seconds of its first token, which is the fastest.
    own : (N, L) float array
        Seconds of a token that are due to its own KV cache: d2 n.
    first_speed : (L + 1,) int array
    speed_extra, speed_use : (R,) float arrays
        Speeds of type l are rows ``first_speed[l] : first_speed[l + 1]``: seconds that a token takes longer than
        ``token``, ascending from 0, and seconds of the instance that it uses beside ``own``, not ascending, and convex.
    first_join : (W + 1,) int array
    join_from, join_to : (J,) int arrays
        Parents that the forest leaves out, and their children.
    join_gap : (J,) float array
        Seconds by which the earliest end of the parent is before that of the parent that is kept.
    final : (W,) int array
        The call that ends last in each workflow, all alone.
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
    tokens: Array
    token: Array
    own: Array
    first_speed: Array
    speed_extra: Array
    speed_use: Array
    first_join: Array
    join_from: Array
    join_to: Array
    join_gap: Array
    final: Array

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

    Decode speed. In ``fluid`` all calls of a batch of B holding K tokens advance at 1 / (g(B) + d2 K). Say that a call
    that holds K_c of them *uses* g(B) / B + d2 K_c seconds of the instance for each token: together the calls of a
    batch use all the time that an iteration takes. K is at least K_c + (B - 1) n_min, n_min the shortest prompt of all,
    and K_c at least n_c. So a token takes at least g(1) + d2 n_c and e_B = g(B) - g(1) + d2 (B - 1) n_min more, and
    uses at least the lower convex hull, at e, of the points (e_B, g(B) / B), and d2 n_c. A price on use is a price on
    speed. A token slower than all these points uses no less than the last, its batch being no larger; none is slower
    than in a full batch with a full cache.
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
    if fixed:
        token, own = np.zeros_like(alone), np.zeros_like(alone)
        hulls = [(np.zeros(1), np.zeros(1)) for _ in decodes]
    else:
        own = d2 * n[:, None]
        token = single + own
        hulls = [_speeds(j, int(n.min())) for j in decodes]
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
        tokens=m.astype(float),
        token=token,
        own=own,
        first_speed=np.concatenate([[0], np.cumsum([len(extra) for extra, _ in hulls])]),
        speed_extra=np.concatenate([extra for extra, _ in hulls]),
        speed_use=np.concatenate([use for _, use in hulls]),
        first_join=first_join,
        join_from=joins[0],
        join_to=joins[1],
        join_gap=head[joins[1]] - delay[joins[1]] - head[joins[0]] - best[joins[0]],
        final=np.array([a + np.argmax((head + best)[a:b]) for a, b in pairwise(first_call)]),
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


def _speeds(server: DecodeInstance, shortest: int) -> tuple[Array, Array]:
    """Corners of the decreasing lower convex hull of what each batch makes of a token: more seconds, less use."""
    seconds = batch_seconds(server, server.max_batch)
    batch = np.arange(1, server.max_batch + 1)
    points = seconds - seconds[0] + server.decode_coeffs[2] * (batch - 1) * shortest
    use = seconds / batch
    extra, cost = [float(points[0])], [float(use[0])]
    for at, y in zip(points[1:].tolist(), use[1:].tolist(), strict=True):
        if y >= cost[-1]:
            continue
        if at <= extra[-1] + ALIKE * seconds[0]:
            at = extra.pop()
            cost.pop()
        while len(extra) > 1 and (cost[-1] - cost[-2]) * (at - extra[-2]) >= (y - cost[-2]) * (extra[-1] - extra[-2]):
            extra.pop()
            cost.pop()
        extra.append(at)
        cost.append(y)
    slowest = float(seconds[-1] - seconds[0]) + server.decode_coeffs[2] * server.kv_capacity_tokens
    if slowest > extra[-1] + ALIKE * seconds[0]:  # a full batch, and a full cache
        extra.append(slowest)
        cost.append(cost[-1])
    return np.array(extra), np.array(cost)


def batch_seconds(server: DecodeInstance, largest: int) -> Array:
    """g(B) for B = 1 to ``largest``, (largest,) seconds."""
    batches = np.arange(1, largest + 1)
    if server.batch_curve is None:
        return np.asarray(server.decode_coeffs[0] + server.decode_coeffs[1] * batches)
    points, seconds = zip(*server.batch_curve, strict=True)
    return np.interp(batches, points, seconds)
