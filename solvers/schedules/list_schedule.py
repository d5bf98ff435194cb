"""List scheduling: a good timetable in milliseconds, to start a solver from or to sequence given placements."""

from __future__ import annotations

import math
import time
from bisect import insort
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.schedules.timetable import Timetable

Array = np.ndarray[Any, Any]


def best_list_schedule(
    problem: OfflineProblem,
    objective: Objective,
    placed: tuple[Array, Array] | None = None,
    until: float = math.inf,
) -> Timetable | None:
    """The best of the list schedules by each priority rule, of those that are made in time; None where none is.

    Parameters
    ----------
    placed : two (N,) int arrays, optional
        Prefill and decode instance of each call; without them every call goes where it completes first.
    until : float
        Seconds of ``time.monotonic``.
    """
    timetables = [list_schedule(problem, priority, placed, until) for priority in _priorities(problem)]
    made = [timetable for timetable in timetables if timetable is not None]
    values = [
        objective.value(problem.arrival, timetable.workflow_completed(problem), problem.horizon) for timetable in made
    ]
    return made[int(np.argmin(values))] if made else None


def list_schedule(
    problem: OfflineProblem, priority: Array, placed: tuple[Array, Array] | None = None, until: float = math.inf
) -> Timetable | None:
    """Serial schedule generation: one call after the other, each as early as what was placed before it allows.

    None where that takes longer than ``until``, in seconds of ``time.monotonic``.

    The next call is the one of least priority among those whose parents have been placed (Kolisch 1996, the serial
    scheme, with gaps being used).
    """
    pairs = [(i, j) for i in range(problem.prefill.shape[1]) for j in range(problem.decode.shape[1])]
    hold = problem.hold
    prefills: list[list[tuple[float, float]]] = [[] for _ in range(problem.prefill.shape[1])]
    holds: list[list[tuple[float, float, int]]] = [[] for _ in range(problem.decode.shape[1])]
    chosen = np.zeros((problem.calls, 2), dtype=np.int64)
    times = np.zeros((problem.calls, 2))
    completed = np.full(problem.calls, np.nan)
    missing = [len(own) for own in problem.parents]
    eligible = [(float(priority[c]), c) for c in range(problem.calls) if not missing[c]]
    heapify(eligible)
    while eligible:
        if time.monotonic() > until:
            return None
        _, c = heappop(eligible)
        for child in problem.children[c]:
            missing[child] -= 1
            if not missing[child]:
                heappush(eligible, (float(priority[child]), child))
        before = max((completed[p] for p in problem.parents[c]), default=problem.arrival[problem.workflow[c]])
        release = float(before + problem.delay[c])
        options = []
        for i, j in pairs if placed is None else [(int(placed[0][c]), int(placed[1][c]))]:
            if not np.isfinite(hold[c, i, j]):
                continue
            start = _earliest_prefill(prefills[i], release, problem.prefill[c, i])
            room = (int(problem.capacity[j] - problem.kv[c]), int(problem.max_batch[j] - 1))
            admitted = _earliest_admission(holds[j], start + problem.prefill[c, i], hold[c, i, j], room)
            options.append((admitted + hold[c, i, j], start, admitted, i, j))
        completed[c], start, admitted, i, j = min(options)
        chosen[c], times[c] = (i, j), (start, admitted)
        insort(prefills[i], (start, start + problem.prefill[c, i]))
        insort(holds[j], (admitted, completed[c], int(problem.kv[c])))
    return Timetable(prefill=chosen[:, 0], decode=chosen[:, 1], start=times[:, 0], admitted=times[:, 1])


def _priorities(problem: OfflineProblem) -> Iterator[Array]:
    """Due date at several SLO scales (risk order), first come first served, least work of the workflow first."""
    arrival, horizon = problem.arrival[problem.workflow], problem.horizon[problem.workflow]
    for scale in (1.0, 1.5, 3.0):
        yield arrival + scale * horizon - problem.tail - problem.best
    yield problem.head
    yield horizon
    yield -(problem.tail + problem.best)


def _earliest_prefill(busy: list[tuple[float, float]], ready: float, seconds: float) -> float:
    """Start of the first gap of that length on a prefill instance."""
    for start, end in busy:
        if ready + seconds <= start:
            break
        ready = max(ready, end)
    return ready


def _earliest_admission(
    held: list[tuple[float, float, int]], ready: float, seconds: float, room: tuple[int, int]
) -> float:
    """The first time from ``ready`` on from which ``room`` (KV tokens, calls) is free for that long."""
    for now in (ready, *sorted(end for _, end, _ in held if end > ready)):
        across = [(start, end, kv) for start, end, kv in held if start < now + seconds and end > now]
        peaks = (now, *(start for start, _, _ in across if start > now))
        if all(
            sum(kv for start, end, kv in across if start <= peak < end) <= room[0]
            and sum(1 for start, end, _ in across if start <= peak < end) <= room[1]
            for peak in peaks
        ):
            return now
    raise AssertionError("after the last completion there is room")
