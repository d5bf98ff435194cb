"""What a lower bound is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from hexsched.model.instance import DECODE_MODELS
from solvers.problem.bracket import Bracket
from solvers.problem.idle import Parts
from solvers.problem.objective import KINDS, Objective
from solvers.problem.offline import OfflineProblem

SPLIT = ("max_ratio", "mean_ratio", "mean_latency", "misses")  # objectives of which the parts' values give the whole's
SHARE_AT_ONCE = 0.1  # of the time that is left, at most, for arithmetic: there may be many parts
LEAST_SECONDS = 1e-3  # of any bound: at the end of the time, what is quick is computed all the same
NO_TIME = "no time left"  # what people read of a bound whose turn came too late
FRUITLESS = "proved nothing in its time"  # and of one that had to stop before it said more than what takes no time


def fair_share(bounds: Sequence[Bound]) -> float:
    """Share of the time for the first of these bounds, when the others are to come."""
    return bounds[0].share / sum(bound.share for bound in bounds)


class Cost(IntEnum):
    """What a bound takes."""

    AT_ONCE = 0  # arithmetic
    LINEAR_PROGRAM = 1  # grows steeply with the instance
    ANY_TIME = 2  # the longer the better, at any size


@dataclass(frozen=True)
class Bound:
    """A value that no schedule can beat.

    Attributes
    ----------
    name, summary, citation : str
    compute : callable
        ``(problem, objective, time_limit) -> float``; a valid bound however early the time runs out.
    cost : Cost
    objectives : tuple of str
        Kinds of objectives it bounds.
    decode_models : tuple of str
        Decode models whose instances it bounds.
    close_in : callable, optional
        ``(problem, bracket, seed) -> None``, for a bound that gets better the longer it takes: proves to the bracket
        what it can while there is time, and may look at the best schedule.
    share : float
        Of the time that bounds of its cost have, to that of the others, which is 1 where they say nothing else. The
        least comes first, and what it leaves is for the others.
    warm_up : callable, optional
        Compiles what it runs; called before the clock of whoever asks for the bound starts.
    why_no_more : callable, optional
        Where it is no better than what takes no time: why, in words, if that is known.
    """

    name: str
    summary: str
    citation: str
    compute: Callable[[OfflineProblem, Objective, float], float]
    cost: Cost
    objectives: tuple[str, ...] = KINDS
    decode_models: tuple[str, ...] = DECODE_MODELS
    close_in: Callable[[OfflineProblem, Bracket, int], None] | None = None
    share: float = 1.0
    warm_up: Callable[[], None] = lambda: None
    why_no_more: Callable[[OfflineProblem], str] = lambda problem: ""

    def holds_for(self, problem: OfflineProblem, objective: Objective) -> bool:
        """Whether it says anything of that objective on that instance."""
        return not self.why_not(problem, objective)

    def why_not(self, problem: OfflineProblem, objective: Objective) -> str:
        """What it does not hold for, in words; empty where it holds."""
        if problem.instance.decode_model not in self.decode_models:
            return f"holds in the decode model {' or '.join(self.decode_models)} only"
        if objective.kind not in self.objectives:
            return f"holds for {', '.join(self.objectives)} only"
        return ""

    def value(self, problem: OfflineProblem, objective: Objective, time_limit: float) -> float:
        """Compute it, part by part where long idle stretches split the problem (``Parts``).

        Parts take time in proportion to their calls; those that the time does not reach count with what each workflow
        takes alone.
        """
        parts = Parts(problem)
        if len(parts) == 1 or objective.kind not in SPLIT:
            return self.compute(problem, objective, time_limit)
        stop = time.monotonic() + time_limit
        arrival, horizon = problem.arrival, problem.horizon
        values = [objective.value(arrival[m], arrival[m] + horizon[m], horizon[m]) for m in parts.members]
        calls = np.bincount(problem.workflow, minlength=problem.workflows)
        size = {k: int(calls[parts.members[k]].sum()) for k in parts.open}
        waiting = sum(size.values())
        for k in sorted(size, key=lambda k: -size[k]):
            left = stop - time.monotonic()
            if left <= 0:
                break
            values[k] = max(values[k], self.compute(parts[k], objective, left * size[k] / waiting))
            waiting -= size[k]
        if objective.kind == "max_ratio":
            return max(values)
        if objective.kind == "misses":
            return sum(values)
        return float(np.average(values, weights=[len(m) for m in parts.members]))

    def said_nothing(self, value: float, floor: float, seconds: float, limit: float) -> bool:
        """Whether the time limit is why it is no better than ``floor``, which takes no time."""
        return self.cost is not Cost.AT_ONCE and seconds >= limit and value <= floor

    def is_too_late(self, limit: float) -> bool:
        """Whether it cannot even begin in so many seconds."""
        return self.cost is not Cost.AT_ONCE and limit < LEAST_SECONDS

    def prove(self, problem: OfflineProblem, bracket: Bracket, seed: int = 0) -> None:
        """Prove to the bracket what it can in the time that is left; at least what takes next to none."""
        if self.close_in is not None:
            self.close_in(problem, bracket, seed)
        else:
            share = SHARE_AT_ONCE if self.cost is Cost.AT_ONCE else 1.0
            seconds = max(share * bracket.left, LEAST_SECONDS)
            bracket.prove(self.value(problem, bracket.objective, seconds), self.name)
