"""What a subproblem, or arithmetic, tells the master: placements that together cost at least so much.

A cut says: where calls are placed like this and these workflows count, the objective of the master is ``value`` at the
least. It holds of the image of every schedule in ticks (``solvers.problem.ticks``):

- *From a subproblem.* Its model is the master's with the rules of the instances for the calls of the placements alone;
  the image of a schedule that has these placements solves it, and ``value`` is no more than its optimum.
- *Strengthened.* Without one of the placements the model is a relaxation of the one with it. If it still has no
  solution below ``value``, the cut holds without that placement (greedy deletion; J. N. Hooker, Planning and scheduling
  by logic-based Benders decomposition, Operations Research 55, 2007).
- *Images.* Identical instances can be swapped, so that the cut holds on each of them; on others it is proved anew, by
  the same subproblem.
- *Analytical.* Of two calls on one prefill instance, or on one decode instance that cannot hold both, one goes first;
  the other completes no earlier than after both. That is arithmetic in real time, whatever the ticks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, permutations, product

import numpy as np

from solvers.exact.cp.objective import RATIO_UNIT
from solvers.exact.cp.ticked import Array, TickedProblem
from solvers.problem.objective import SLACK, Objective
from solvers.problem.offline import OfflineProblem

IMAGES = 12  # of a cut that are looked at
CERTAIN = 1e-9  # relative; by how much arithmetic must miss a limit before it is believed


@dataclass(frozen=True, order=True)
class Placement:
    """A call on a prefill or decode instance.

    Attributes
    ----------
    call : int
    is_decode : bool
    place : int
        The instance.
    """

    call: int
    is_decode: bool
    place: int


@dataclass(frozen=True)
class Cut:
    """Where all placements are made and all these workflows count, the objective is at least ``value``.

    Attributes
    ----------
    placements : frozenset of Placement
    workflows : frozenset of int
        Those that must not be dropped (``req``), of which one is missed (``misses``), whose latencies add up to
        ``value`` (means).
    value : int
        Of the master's objective; for ``misses`` it is not looked at.
    """

    placements: frozenset[Placement]
    workflows: frozenset[int]
    value: int = 0


def strengthened(
    cut: Cut, workflow_of: Array, holds: Callable[[Cut], bool], keeps_workflows: bool, is_over: Callable[[], bool]
) -> Cut:
    """The cut with as few placements as still make it hold: whole workflows first, then one placement after another.

    Parameters
    ----------
    workflow_of : (N,) int array
    holds : callable
        Whether a cut is proved to hold.
    keeps_workflows : bool
        False where a workflow without placements need not count any more.
    is_over : callable
        Whether there is no more time; what is left then stays in the cut.
    """

    groups: dict[int, list[Placement]] = {}
    for one in sorted(cut.placements):
        groups.setdefault(int(workflow_of[one.call]), []).append(one)
    for group in (*groups.values(), *([one] for one in sorted(cut.placements))):
        if is_over():
            break
        taken = [one for one in group if one in cut.placements]
        smaller = without(cut, taken, workflow_of, keeps_workflows)
        if taken and smaller.placements and holds(smaller):
            cut = smaller
    return cut


def without(cut: Cut, taken: list[Placement], workflow_of: Array, keeps_workflows: bool) -> Cut:
    """The cut without these placements, whether it holds or not; parameters as of ``strengthened``."""
    left = cut.placements.difference(taken)
    workflows = cut.workflows if keeps_workflows else frozenset(int(workflow_of[one.call]) for one in left)
    return Cut(left, workflows, cut.value)


def images(data: TickedProblem, cut: Cut, holds: Callable[[Cut], bool]) -> Iterator[Cut]:
    """The cut, and the same on other instances: identical ones, and those on which it is proved as well.

    Parameters
    ----------
    holds : callable
        Whether a cut is proved to hold.
    """
    problem = data.problem
    prefill, decode = ({one.place for one in cut.placements if one.is_decode is stage} for stage in (False, True))
    maps = product(_maps(prefill, problem.prefill.shape[1]), _maps(decode, len(problem.capacity)))
    for to_prefill, to_decode in islice(maps, IMAGES):
        moved = Cut(
            frozenset(
                Placement(one.call, one.is_decode, (to_decode if one.is_decode else to_prefill)[one.place])
                for one in cut.placements
            ),
            cut.workflows,
            cut.value,
        )
        fits = all(not one.is_decode or np.isfinite(problem.decode[one.call, one.place]) for one in moved.placements)
        swapped = _are_twins(to_prefill, problem.prefill_types.of) and _are_twins(to_decode, problem.decode_types.of)
        if fits and (swapped or holds(moved)):
            yield moved


def _maps(used: set[int], count: int) -> Iterator[dict[int, int]]:
    """All ways to put other instances in the place of those used, these themselves first."""
    own = sorted(used)
    order = own + [place for place in range(count) if place not in used]
    return (dict(zip(own, others, strict=True)) for others in permutations(order, len(own)))


def _are_twins(chosen: dict[int, int], kind: Array) -> bool:
    return all(kind[a] == kind[b] for a, b in chosen.items())


def analytical(data: TickedProblem, objective: Objective, lower: float) -> Iterator[Cut]:
    """Pairs of calls that cannot be on one instance at once, for tails and ``misses``.

    Parameters
    ----------
    lower : float
        What is proved of the largest ratio; pairs that say no more are left out.
    """
    problem = data.problem
    limit = objective.parameter * (1 + 4 * SLACK) if objective.kind == "misses" else lower
    for i in range(problem.prefill.shape[1]):
        ratio = _one_after_the_other(
            problem, problem.head, problem.prefill[:, i], problem.hold[:, i].min(axis=1) + problem.tail
        )
        yield from _pairs(problem, ratio, limit, i, is_decode=False)
    ready = problem.head + problem.prefill.min(axis=1)
    for j, (room, slots) in enumerate(zip(problem.capacity, problem.max_batch, strict=True)):
        ratio = _one_after_the_other(problem, ready, problem.hold[:, :, j].min(axis=1), problem.tail)
        together = problem.kv[:, None] + problem.kv[None, :] <= room
        ratio[together & (slots > 1)] = 0.0
        yield from _pairs(problem, ratio, limit, j, is_decode=True)


def _one_after_the_other(problem: OfflineProblem, ready: Array, seconds: Array, after: Array) -> Array:
    """(N, N) the least that the larger ratio of two calls can be that are on one instance, one after the other.

    Parameters
    ----------
    ready, seconds, after : (N,) float arrays
        A call is there no earlier than ``ready``, for so many seconds; ``after`` passes until its workflow completes.
        Infinite seconds are those of a call that cannot be there.
    """
    arrival, horizon = problem.arrival[problem.workflow], problem.horizon[problem.workflow]
    rest = np.where(np.isfinite(seconds), seconds, 0.0) + after
    alone = (ready + rest - arrival) / horizon
    first_gone = np.where(np.isfinite(seconds), ready + seconds, 0.0)
    waited = (first_gone[:, None] + (rest - arrival)[None, :]) / horizon[None, :]
    in_that_order = np.maximum(np.maximum(alone[:, None], alone[None, :]), waited)
    ratio = np.minimum(in_that_order, in_that_order.T) * (1 - CERTAIN)
    ratio[~(np.isfinite(seconds)[:, None] & np.isfinite(seconds)[None, :])] = 0.0
    return ratio


def _pairs(problem: OfflineProblem, ratio: Array, limit: float, place: int, *, is_decode: bool) -> Iterator[Cut]:
    """A cut for each pair on the instance that is above the limit."""
    for c, d in zip(*np.nonzero(np.triu(ratio > limit, 1)), strict=True):
        pair = frozenset(Placement(int(x), is_decode, place) for x in (c, d))
        workflows = frozenset(int(problem.workflow[x]) for x in (c, d))
        yield Cut(pair, workflows, math.floor(ratio[c, d] / RATIO_UNIT))
