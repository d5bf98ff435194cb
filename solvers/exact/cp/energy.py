"""Work that must be done between two instants on each instance, where the largest ratio lies in a known bracket.

A call on an instance for d seconds, not before r and done by q, is there for at least
min(d, b - a, r + d - a, b - q + d) seconds of a window [a, b] (left-shifted or right-shifted, whichever is less). Heads
do not depend on the ratio s; deadlines and the ends of windows grow with it, q(s) = a_w + s H_w - tail. So each term is
linear in s, the minimum is concave, and its lesser value at the two ends of the bracket holds throughout. Workflows
that are dropped, as req(q) lets some be, have no deadline: all their work is taken off. All is in seconds of the
instance, so what follows is true of schedules in real time, whatever the ticks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ortools.sat.python import cp_model

from solvers.bounds.parts.destructive import destructive_bound
from solvers.exact.cp.objective import RATIO_UNIT, Largest
from solvers.exact.cp.ticked import Array, TickedProblem
from solvers.exact.cp.variables import Variables
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem

CERTAIN = 1e-6  # relative; by how much a row must be overfull before floating-point numbers are believed
UNITS = 1e5  # the coefficient of the ratio in a row before rounding: its relative error is at most the inverse
LARGEST_SUM = 2**50  # of the coefficients of a row
STEP_FUNCTIONS = (1, 2, 3)  # k of the dual feasible functions of Fekete and Schepers 2001, see ``bounds.pools``


@dataclass(frozen=True)
class Separation:
    """Which of all the windows are looked at.

    Attributes
    ----------
    rounds : int
        Linear programs, each with the windows that the one before overfilled; more make a better bound.
    batch : int
        Windows added in a round.
    spare : int
        Windows that go into the model besides, as they are nearly as full as the fullest.
    nearly : float
        How full those are, as a share of it.
    looked_at : int
        Windows times choices that are looked at for a resource; where there are more, windows between fewer instants.
    entries : int
        Windows times choices that are kept of all resources together: those that are fullest, 8 bytes each.
    """

    rounds: int = 15
    batch: int = 40
    spare: int = 200
    nearly: float = 0.9
    looked_at: int = 4_000_000
    entries: int = 10_000_000


SEPARATION = Separation()


@dataclass(frozen=True)
class Choices:
    """The literals of a model as numbers: first (call, prefill instance), then (call, mode).

    Attributes
    ----------
    total : int
    groups : list of int arrays
        Of each group exactly one is true.
    resources : list of Resource
    """

    total: int
    groups: list[Array]
    resources: list[Resource]


@dataclass(frozen=True)
class Resource:
    """An instance, or one thing that a decode instance has only so much of, and what each choice takes of it.

    Attributes
    ----------
    choice, call : (K,) int arrays
    share : (K,) float array
        Of the resource, while it is held.
    seconds, head, after : (K,) float arrays
        How long it is held, no earlier than when, and how much passes at least from then to the end of the workflow.
    """

    choice: Array
    call: Array
    share: Array
    seconds: Array
    head: Array
    after: Array


@dataclass(frozen=True)
class Rows:
    """Inequalities ``work @ choices - relief @ dropped <= slope * s + offset`` for every s of a bracket.

    Attributes
    ----------
    work : (R, choices) float array
    relief : (R, W) float array
    slope, offset : (R,) float arrays
    """

    work: Array
    relief: Array
    slope: Array
    offset: Array


def choices(data: TickedProblem) -> Choices:
    """What can be chosen, and what it takes."""
    problem = data.problem
    calls, instances = problem.prefill.shape
    reservation = problem.hold
    first = calls * instances + np.cumsum([0, *(len(modes) for modes in data.modes)])
    groups = [np.arange(c * instances, (c + 1) * instances) for c in range(calls)]
    groups += [np.arange(first[c], first[c + 1]) for c in range(calls)]
    numbers = np.arange(calls)
    resources = [
        Resource(
            choice=numbers * instances + i,
            call=numbers,
            share=np.ones(calls),
            seconds=problem.prefill[:, i],
            head=problem.head,
            after=problem.tail + reservation[:, i].min(axis=1),
        )
        for i in range(instances)
    ]
    for j in range(len(problem.capacity)):
        modes = [(c, k, mode) for c in range(calls) for k, mode in enumerate(data.modes[c]) if mode.decode == j]
        if not modes:
            continue
        call = np.array([c for c, _, _ in modes])
        least = [reservation[c, list(mode.sources), j].min() for c, _, mode in modes]
        earliest = [problem.prefill[c, list(mode.sources)].min() for c, _, mode in modes]
        for share in _shares(problem.kv[call], int(problem.capacity[j]), int(problem.max_batch[j])):
            resources.append(
                Resource(
                    choice=np.array([first[c] + k for c, k, _ in modes]),
                    call=call,
                    share=share,
                    seconds=np.array(least),
                    head=problem.head[call] + earliest,
                    after=problem.tail[call],
                )
            )
    return Choices(int(first[-1]), groups, resources)


def _shares(kv: Array, room: int, slots: int) -> list[Array]:
    """Shares of a decode instance of which calls on it at the same time never have more than 1 together."""
    shares = [np.full(len(kv), 1 / slots)]
    if kv.sum() > room:
        shares.append(kv / room)
    for k in STEP_FUNCTIONS:
        share = np.where((k + 1) * kv % room == 0, kv / room, ((k + 1) * kv // room) / k)
        if share.sum() > 1 and not any(np.all(share <= other) for other in shares):
            shares.append(share)
    return shares


def rows(data: TickedProblem, chosen: Choices, lower: float, upper: float, separation: Separation = SEPARATION) -> Rows:
    """The windows, from a head to a deadline on the same resource, that could be overfull.

    Any of them may be left out, so of very many those are looked at that are between fewer instants.

    Parameters
    ----------
    lower, upper : float
        The bracket: the rows hold for schedules whose largest ratio lies in it.
    """
    problem = data.problem
    blocks = []
    for resource in chosen.resources:
        w = problem.workflow[resource.call]
        horizon, fixed = problem.horizon[w], problem.arrival[w] - resource.after
        ends = np.unique(np.stack([horizon, fixed]), axis=1)
        begins = np.unique(resource.head)
        every = math.ceil(math.sqrt(ends.shape[1] * len(begins) * len(w) / separation.looked_at))
        ends = ends[:, ::every]
        for begin in begins[::every]:
            slope, offset = ends[:, ends[0] * lower + ends[1] > begin]
            work = np.full((len(slope), len(w)), np.inf)
            for s in (lower, upper):
                end, due = (slope * s + offset)[:, None], horizon * s + fixed
                right = np.minimum(end - due + resource.seconds, end - begin)
                left = np.minimum(resource.seconds, resource.head + resource.seconds - begin)
                work = np.minimum(work, np.minimum(left, right))
            work = np.maximum(work, 0.0) * resource.share
            room = slope * lower + offset - begin
            level = work.sum(axis=1) / room
            full = level > 1
            blocks.append(_Block(resource, work[full], slope[full], offset[full] - begin, level[full]))
    return _wide(problem, chosen, blocks, separation.entries // (chosen.total + problem.workflows))


class _Block(NamedTuple):
    """Rows of one resource, over its choices alone; ``level`` is how full they are if all choose it."""

    resource: Resource
    work: Array
    slope: Array
    offset: Array
    level: Array


def _wide(problem: OfflineProblem, chosen: Choices, blocks: list[_Block], most: int) -> Rows:
    """Rows over all choices; of more than ``most`` the fullest."""
    level = np.concatenate([np.zeros(0), *(block.level for block in blocks)])
    among = np.zeros(len(level), dtype=bool)
    among[np.argsort(-level, kind="stable")[:most]] = True
    kept = np.split(among, np.cumsum([len(block.level) for block in blocks])[:-1]) if blocks else []
    count = sum(int(keep.sum()) for keep in kept)
    work, relief = np.zeros((count, chosen.total)), np.zeros((count, problem.workflows))
    row = 0
    for block, keep in zip(blocks, kept, strict=True):
        here = slice(row, row + int(keep.sum()))
        work[here, block.resource.choice] = block.work[keep]
        of_workflow = problem.workflow[block.resource.call]
        for w in np.unique(of_workflow) if here.stop > here.start else ():
            relief[here, w] = block.work[keep][:, of_workflow == w].sum(axis=1)
        row = here.stop
    slopes = np.concatenate([np.zeros(0), *(block.slope[keep] for block, keep in zip(blocks, kept, strict=True))])
    offsets = np.concatenate([np.zeros(0), *(block.offset[keep] for block, keep in zip(blocks, kept, strict=True))])
    return Rows(work, relief, slopes, offsets)


def possible(data: TickedProblem, chosen: Choices, scale: float, dropped: int) -> Array:
    """(choices,) bool: what leaves a call time enough to meet the scale; anything, where workflows may be dropped."""
    problem = data.problem
    able = np.ones(chosen.total, dtype=bool)
    if dropped:
        return able
    for resource in chosen.resources:
        w = problem.workflow[resource.call]
        due = problem.arrival[w] + scale * problem.horizon[w]
        late = resource.head + resource.seconds + resource.after > due * (1 + CERTAIN)
        able[resource.choice[late]] = False
    return able


def fullest(
    chosen: Choices,
    inequalities: Rows,
    scale: float,
    allowed: Array,
    dropped: int,
    is_it_over: bool = False,
    separation: Separation = SEPARATION,
) -> tuple[Array, float]:
    """By how much some window is overfull at a scale, however calls are placed, fractionally.

    Parameters
    ----------
    allowed : (choices,) bool array
        The others are not taken.
    dropped : int
        Workflows that may be.
    is_it_over : bool
        Stop as soon as it is clear whether it is more than full.
    separation : Separation

    Returns
    -------
    (R',) int array
        The rows that say so, and those that are nearly as full.
    float
        A lower bound of how full the fullest window is, 1 being full: safe from the tolerances of the LP, because it
        is made anew from the multipliers.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, vstack

    if not all(allowed[g].any() for g in chosen.groups):
        return np.arange(0), math.inf
    if not len(inequalities.slope):
        return np.arange(0), 0.0
    workflows, groups = inequalities.relief.shape[1], len(chosen.groups)
    room = (inequalities.slope * scale + inequalities.offset)[:, None]
    filled = np.hstack([inequalities.work, -inequalities.relief]) / room
    columns = filled.shape[1] + 1  # the last is how full the fullest window is
    member = np.concatenate(chosen.groups)
    group = np.repeat(np.arange(groups), [len(g) for g in chosen.groups])
    one_each: Any = csr_array((np.ones(len(member)), (group, member)), shape=(groups, columns))
    at_most = np.zeros((1, columns))
    at_most[0, chosen.total : -1] = 1.0
    limit = np.concatenate([np.where(allowed, 1.0, 0.0), np.full(workflows, float(dropped > 0)), [np.inf]])
    bounds: Any = np.stack([np.zeros(columns), limit], axis=1)
    cost = np.append(np.zeros(columns - 1), 1.0)
    evenly = np.zeros(columns - 1)
    for g in chosen.groups:
        evenly[g] = allowed[g] / allowed[g].sum()
    taken: list[int] = []
    bound = 0.0
    level: Array = filled @ evenly
    for _ in range(separation.rounds):
        enough = max(bound, 1.0) if is_it_over else bound
        new = [
            k for k in np.argsort(-level)[: separation.batch].tolist() if level[k] > enough + CERTAIN and k not in taken
        ]
        if not new or (is_it_over and bound > 1 + CERTAIN):
            break
        taken += new
        windows = np.hstack([filled[taken], -np.ones((len(taken), 1))])
        matrix: Any = vstack([csr_array(windows), csr_array(at_most)])
        right = np.append(np.zeros(len(taken)), float(dropped))
        equal = np.ones(groups)
        answer: Any = linprog(cost, matrix.tocsr(), right, one_each, equal, bounds=bounds, method="highs")
        if answer.x is None:
            break
        price = np.maximum(-answer.ineqlin.marginals[:-1], 0.0)
        value = price @ filled[taken] / max(float(price.sum()), 1e-300)
        most_relief = np.sort(-value[chosen.total :])[workflows - dropped :].sum()
        proved = sum(float(value[g][allowed[g]].min()) for g in chosen.groups) - float(most_relief)
        bound = max(bound, proved)
        level = filled @ answer.x[:-1]
    near = [
        k
        for k in np.argsort(-level)[: separation.spare + len(taken)].tolist()
        if level[k] > separation.nearly * level.max()
    ]
    return np.array(sorted({*taken, *near}), dtype=int), bound


def energy_bound(
    data: TickedProblem, objective: Objective, known: float, time_limit: float, separation: Separation = SEPARATION
) -> float:
    """A lower bound of ``max_ratio`` or ``req(q)``: at its scale some window is overfull, however calls are placed."""
    chosen = choices(data)
    dropped = objective.dropped(data.problem.workflows)
    needed = data.problem.workflows - dropped

    def most_kept(scale: float, _: float) -> float:
        allowed = possible(data, chosen, scale, dropped)
        windows = rows(data, chosen, scale, scale, separation)
        full = fullest(chosen, windows, scale, allowed, dropped, is_it_over=True, separation=separation)[1]
        return needed - 1 if full > 1 + CERTAIN else math.inf

    return destructive_bound(data.problem, objective, most_kept, time_limit, known)


def add_energy(
    model: cp_model.CpModel,
    data: TickedProblem,
    variables: Variables,
    largest: Largest,
    lower: float,
    upper: float,
    separation: Separation = SEPARATION,
) -> None:
    """The windows that are fullest where the bracket begins, against the largest ratio.

    Parameters
    ----------
    largest : Largest
    lower, upper : float
        A bracket of the largest ratio.
    """
    chosen, dropped = choices(data), largest.most_dropped
    inequalities = rows(data, chosen, lower, upper, separation)
    numbers, _ = fullest(
        chosen, inequalities, lower, possible(data, chosen, upper, dropped), dropped, separation=separation
    )
    literals = [x for of_call in variables.on_prefill for x in of_call] + [x for c in variables.in_mode for x in c]
    for k in numbers.tolist():
        unit = max(inequalities.slope[k] * RATIO_UNIT / UNITS, inequalities.work[k].sum() / LARGEST_SUM)
        work = np.floor(inequalities.work[k] / unit * (1 - 1e-12)).astype(np.int64)
        relief = np.ceil(inequalities.relief[k] / unit * (1 + 1e-12)).astype(np.int64)
        slope = math.ceil(inequalities.slope[k] * RATIO_UNIT / unit * (1 + 1e-12))
        offset = math.ceil(inequalities.offset[k] / unit + 1e-9 * abs(inequalities.offset[k] / unit))
        used = np.flatnonzero(work)
        taken = cp_model.LinearExpr.weighted_sum([literals[x] for x in used], work[used].tolist())
        freed = cp_model.LinearExpr.weighted_sum(largest.dropped, relief.tolist()) if largest.dropped else 0
        model.add(taken - freed <= slope * largest.ratio + offset)
