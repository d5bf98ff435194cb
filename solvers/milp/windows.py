"""When things can happen at all: time windows of calls that keep at least one optimal schedule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from solvers.milp.plan import hold_seconds
from solvers.objective import Objective
from solvers.problem import Problem

Array = np.ndarray[Any, Any]

ROOM = 1e-6  # relative; deadlines are this much later, so that a known schedule is not lost to rounding


@dataclass(frozen=True)
class Windows:
    """Windows that hold in some schedule that is no worse than a known value, if there is any.

    Attributes
    ----------
    problem : Problem
    deadline : (W,) float array
        By when each workflow completes, seconds.
    """

    problem: Problem
    deadline: Array

    @cached_property
    def due(self) -> Array:
        """(N,) seconds: the latest completion of each call."""
        latest: Array = self.deadline[self.problem.workflow] - self.problem.tail
        return latest

    @cached_property
    def latest_start(self) -> Array:
        """(N,) seconds: the latest start of each prefill."""
        latest: Array = self.due - self.problem.best
        return latest

    @cached_property
    def earliest_admission(self) -> Array:
        """(N,) seconds."""
        earliest: Array = self.problem.head + self.problem.prefill.min(axis=1)
        return earliest

    @cached_property
    def latest_admission(self) -> Array:
        """(N,) seconds."""
        latest: Array = self.due - hold_seconds(self.problem).min(axis=(1, 2))
        return latest


def windows(problem: Problem, objective: Objective, value: float) -> Windows:
    """Deadlines from a value of the objective that some schedule reaches.

    The value itself says how late a workflow can be, given that no other has a ratio below 1. Workflows that
    ``req`` and ``misses`` may drop get the horizon instead: the largest completion in some best schedule.
    """
    W, arrival, horizon = problem.workflows, problem.arrival, problem.horizon
    latest = _chain_horizon(problem)
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


def _chain_horizon(problem: Problem) -> float:
    """A time by which some best schedule ends.

    Move everything as early as its order allows, which makes no completion later. Then a chain of prefills, stays and
    delays without gaps leads from an arrival to the last completion, and no call is in it more than once.
    """
    hold = hold_seconds(problem)
    longest = np.where(np.isfinite(hold), hold, 0.0).max(axis=(1, 2))
    return float(problem.arrival.max() + (problem.delay + problem.prefill.max(axis=1) + longest).sum())


def _drop_horizon(problem: Problem, deadline: Array, dropped: int) -> float:
    """A time by which some best schedule ends of which ``dropped`` workflows may miss their deadlines.

    Those can as well be run one call after the other once all the rest is done; it does not make them count more.
    """
    total = np.zeros(problem.workflows)
    np.add.at(total, problem.workflow, problem.delay + problem.best)
    return float(max(deadline.max(), problem.arrival.max()) + np.sort(total)[-dropped:].sum())
