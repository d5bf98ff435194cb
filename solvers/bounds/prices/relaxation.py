"""An instance as the priced relaxation sees it: a forest of calls, types of machines, and what speed costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from hexsched.model import DecodeInstance
from solvers.bounds.parts.batches import least_beside
from solvers.problem.offline import OfflineProblem

Array = np.ndarray[Any, Any]

ALIKE = 1e-12  # relative: speeds closer than this are one


@dataclass(frozen=True)
class Relaxation:
    """An ``OfflineProblem`` as prices see it: a view with calls in an order of its own.

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


def relax(problem: OfflineProblem) -> Relaxation:
    """Build the arrays.

    Decode speed. In ``fluid`` all calls of a batch of B holding K tokens advance at 1 / (g(B) + d2 K). Say that a call
    that holds K_c of them *uses* g(B) / B + d2 K_c seconds of the instance for each token: together the calls of a
    batch use all the time that an iteration takes. K is at least K_c + k_B, k_B what the others in a batch of B hold
    at least (``least_beside``), and K_c at least n_c. So a token takes at least g(1) + d2 n_c and
    e_B = g(B) - g(1) + d2 k_B more, and uses at least the lower convex hull, at e, of the points (e_B, g(B) / B), for
    the batches that there can be, and d2 n_c. A price on use is a price on
    speed. A token slower than all these points uses no less than the last, its batch being no larger; none is slower
    than in a full batch with a full cache.
    """
    order = problem.topological
    n, m, delay = problem.prompt[order], problem.output[order], problem.delay[order]
    head, best, tail = problem.head[order], problem.best[order], problem.tail[order]
    first_call = np.concatenate([[0], np.cumsum(np.bincount(problem.workflow, minlength=problem.workflows))])
    prefill, transfer, alone = (
        x[order] for x in (problem.prefill_of_type, problem.transfer_of_type, problem.alone_of_type)
    )
    machines, capacity = problem.decode_machines, problem.capacity[problem.decode_types.first]
    fits = (n + m)[:, None] <= capacity
    way = np.where(fits[:, None, :], prefill[:, :, None] + transfer, np.inf)
    before = way.min(axis=1)
    with np.errstate(invalid="ignore"):
        detour = np.where(np.isfinite(way), way - before[:, None, :], np.inf)
    first_child, child, joins = _forest(problem, order, head + best)
    first_join = np.searchsorted(joins[1], first_call)
    if problem.fluid:
        own = np.array([machine.decode_coeffs[2] for machine in machines]) * n[:, None]
        token = np.array([machine.batch_seconds(1) for machine in machines]) + own
        hulls = [
            _speeds(machine, problem.batch_seconds(k), least_beside(problem, k)) for k, machine in enumerate(machines)
        ]
    else:
        token, own = np.zeros_like(alone), np.zeros_like(alone)
        hulls = [(np.zeros(1), np.zeros(1)) for _ in machines]
    return Relaxation(
        fixed=not problem.fluid,
        arrival=problem.arrival,
        horizon=problem.horizon,
        first_call=first_call,
        head=head,
        best=best,
        tail=tail,
        first_child=first_child,
        child=child,
        prefill=prefill,
        before=before,
        detour=detour,
        late=np.where(fits, before + alone - best[:, None], np.inf),
        transfer=np.where(fits, transfer.min(axis=1), np.inf),
        alone=alone,
        kv_share=(n + m)[:, None] / capacity,
        slot_share=1.0 / problem.max_batch[problem.decode_types.first],
        prefill_count=problem.prefill_types.count,
        decode_count=problem.decode_types.count,
        prefill_gpus=tuple(problem.instance.prefill[i].gpu for i in problem.prefill_types.first),
        decode_gpus=tuple(machine.gpu for machine in machines),
        tokens=m,
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


def _forest(problem: OfflineProblem, order: Array, end: Array) -> tuple[Array, Array, Array]:
    """The forest of each call under the parent of latest ``end``, and the other parents with their children.

    Parents from which another parent descends are left out: to wait for that one is to wait for them.
    """
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    under: list[list[int]] = [[] for _ in order]
    above: list[set[int]] = [set() for _ in order]
    joins: list[tuple[int, int]] = []
    for c, name in enumerate(order.tolist()):
        own = [int(place[p]) for p in problem.parents[name]]
        if not own:
            continue
        latest = max(own, key=lambda p: end[p])
        under[latest].append(c)
        above[c] = set(own).union(*(above[p] for p in own))
        joins += [(p, c) for p in sorted(own) if p != latest and not any(p in above[q] for q in own)]
    first_child = np.concatenate([[0], np.cumsum([len(x) for x in under])])
    child = np.array([x for own in under for x in own], dtype=np.int64)
    return first_child, child, np.array(joins, dtype=np.int64).reshape(-1, 2).T.copy()


def _speeds(server: DecodeInstance, seconds: Array, beside: Array) -> tuple[Array, Array]:
    """Corners of the decreasing lower convex hull of what each batch makes of a token: more seconds, less use.

    Batches of 1, 2, ..., as many as ``beside`` has.
    """
    batch = np.arange(1, len(beside) + 1)
    seconds = seconds[: len(beside)]
    points = seconds - seconds[0] + server.decode_coeffs[2] * beside
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
