"""How good a guide is: the objective, and something smoother to climb on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from solvers.problem.objective import Objective
from solvers.schedules.search.evaluator import Evaluator, Times
from solvers.schedules.search.features import call_features
from solvers.schedules.search.guide import Array, Guide
from solvers.schedules.search.tuning import TUNING, Tuning


@dataclass(frozen=True, eq=False)
class Outcome:
    """Guide that was run.

    Attributes
    ----------
    guide : Guide
    ratio : (W,) float array
        inf for dropped workflows where the objective is a largest ratio: they were not run.
    times : Times
    value : float
        The objective.
    energy : float
        What the search accepts by: never less than the objective where that is a largest ratio.
    """

    guide: Guide
    ratio: Array
    times: Times
    value: float
    energy: float


class Merit:
    """The objective on one instance."""

    def __init__(self, aim: Objective, evaluator: Evaluator, tuning: Tuning = TUNING) -> None:
        self.aim, self.tuning = aim, tuning
        self.evaluator = evaluator
        self.features = call_features(evaluator)
        self.may_drop = aim.dropped(len(evaluator.arrival))

    def __call__(self, guide: Guide, limit: float = math.inf) -> Outcome | None:
        """Run the guide; None when it turned out on the way that its energy is above ``limit``."""
        tail = self.aim.is_tail
        ratio = self.evaluator(guide, limit if tail else math.inf, self.may_drop, tail)
        if ratio is None:
            return None
        value, energy = self.of(ratio)
        return Outcome(guide, ratio, self.evaluator.times(), value, energy) if energy <= limit else None

    def of(self, ratio: Array) -> tuple[float, float]:
        """Objective and energy of ratios in the engine's order."""
        horizon = self.evaluator.horizon
        value = self.aim.value(np.zeros(len(ratio)), ratio * horizon, horizon)
        if not math.isfinite(value):  # workflows that do not count ran before some that do
            return value, math.inf
        if self.aim.is_tail:
            kept = np.sort(ratio)[: len(ratio) - self.may_drop]
            softness = self.tuning.softness * value
            return value, value + softness * math.log(np.exp((kept - kept[-1]) / softness).sum())
        if self.aim.kind == "misses":
            beyond = (ratio / self.aim.parameter - 1) / self.tuning.miss_softness
            return value, value + float((1 / (1 + np.exp(-np.clip(beyond, -40, 40)))).sum()) / 2
        return value, value
