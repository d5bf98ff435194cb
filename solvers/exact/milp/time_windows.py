"""When and where things can happen at all: time windows and modes of calls that keep at least one optimal schedule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from solvers.problem.objective import SLACK, Objective
from solvers.problem.offline import OfflineProblem

Array = np.ndarray[Any, Any]

ROOM = 1e-6  # relative; deadlines are this much later, so that a known schedule is not lost to rounding


@dataclass(frozen=True)
class Windows:
    """Windows that hold in some schedule that is no worse than a known value, if there is any.

    Attributes
    ----------
    problem : OfflineProblem
    deadline : (W,) float array
        By when each workflow completes, seconds.
    spare : int or None
        The windows are those of a target that all but so many workflows meet; the others can be left out, since they
        may as well run after everything else. None where every call is to be scheduled.
    """

    problem: OfflineProblem
    deadline: Array
    spare: int | None = None

    @cached_property
    def allowed(self) -> Array:
        """(N, I, J) bool: pairs of instances on which a call can complete in time, if nothing else is in its way."""
        return self._tight[0]

    @cached_property
    def head(self) -> Array:
        """(N,) seconds: the earliest release of each call."""
        return self._tight[1]

    @cached_property
    def due(self) -> Array:
        """(N,) seconds: the latest completion of each call."""
        return self._tight[2]

    @cached_property
    def hold(self) -> Array:
        """(N, I, J) seconds from admission to completion; inf where the pair is not allowed."""
        held: Array = np.where(self.allowed, self.problem.hold, np.inf)
        return held

    @cached_property
    def latest_start(self) -> Array:
        """(N,) seconds: the latest start of each prefill."""
        latest: Array = self.latest_start_on.max(axis=1)
        return latest

    @cached_property
    def latest_start_on(self) -> Array:
        """(N, I) seconds: the same on each prefill instance; -inf where it is not allowed."""
        latest: Array = self.due[:, None] - self.problem.prefill - self.hold.min(axis=2)
        return latest

    @cached_property
    def latest_prefilled(self) -> Array:
        """(N,) seconds: the latest end of each prefill."""
        return self.latest_admission

    @cached_property
    def earliest_admission(self) -> Array:
        """(N,) seconds."""
        usable = np.where(self.allowed.any(axis=2), self.problem.prefill, np.inf)
        earliest: Array = self.head + usable.min(axis=1)
        return earliest

    @cached_property
    def latest_admission(self) -> Array:
        """(N,) seconds."""
        latest: Array = self.due - self.hold.min(axis=(1, 2))
        return latest

    @cached_property
    def _tight(self) -> tuple[Array, Array, Array]:
        """Modes, heads and due dates, each drawn from the others until nothing changes."""
        problem = self.problem
        hold = problem.hold
        whole = problem.prefill[:, :, None] + hold
        allowed = np.isfinite(hold)
        head, tail = problem.head.copy(), problem.tail.copy()
        while True:
            best = np.where(allowed, whole, np.inf).min(axis=(1, 2))
            for c in problem.topological:
                before = [head[p] + best[p] for p in problem.parents[c]]
                head[c] = max(before, default=problem.arrival[problem.workflow[c]]) + problem.delay[c]
            for c in problem.topological[::-1]:
                tail[c] = max((problem.delay[x] + best[x] + tail[x] for x in problem.children[c]), default=0.0)
            due = self.deadline[problem.workflow] - tail
            in_time = allowed & (head[:, None, None] + whole <= due[:, None, None])
            # a call without any mode makes the model infeasible by its due date; here it keeps what it had
            hopeless = ~in_time.any(axis=(1, 2))
            in_time[hopeless] = allowed[hopeless]
            if np.array_equal(in_time, allowed):
                return allowed, head, due
            allowed = in_time


def windows(problem: OfflineProblem, objective: Objective, value: float) -> Windows:
    """Deadlines from a value of the objective that some schedule reaches.

    The value itself says how late a workflow can be, given that no other has a ratio below 1. Workflows that
    ``req`` and ``misses`` may drop get the horizon instead: the largest completion in some best schedule.
    """
    W, arrival, horizon = problem.workflows, problem.arrival, problem.horizon
    latest = problem.last_end
    dropped = int(value) if objective.kind == "misses" else objective.dropped(W)
    if objective.kind == "mean_ratio":
        deadline = arrival + horizon * (W * value - (W - 1))
    elif objective.kind == "mean_latency":
        deadline = arrival + W * value - (horizon.sum() - horizon)
    else:
        scale = objective.parameter if objective.kind == "misses" else value
        deadline = arrival + horizon * scale
        if dropped:
            deadline = np.full(W, _drop_horizon(problem, deadline, dropped))
    return Windows(problem=problem, deadline=np.minimum(deadline, latest) * (1 + ROOM))


def target_windows(problem: OfflineProblem, scale: float, spare: int) -> Windows:
    """Windows of the schedules in which all but ``spare`` workflows have a ratio of at most ``scale`` >= 1."""
    deadline = problem.arrival + problem.horizon * scale * (1 + SLACK)
    return Windows(problem=problem, deadline=deadline * (1 + ROOM), spare=spare)


def _drop_horizon(problem: OfflineProblem, deadline: Array, dropped: int) -> float:
    """A time by which some best schedule ends of which ``dropped`` workflows may miss their deadlines.

    Those can as well be run one call after the other once all the rest is done; it does not make them count more.
    """
    total = np.zeros(problem.workflows)
    np.add.at(total, problem.workflow, problem.delay + problem.best)
    return float(max(deadline.max(), problem.arrival.max()) + np.sort(total)[-dropped:].sum())
