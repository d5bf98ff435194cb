"""One local search: late acceptance over the moves.

After Burke and Bykov, The late acceptance hill-climbing heuristic, EJOR 258 (2017): a guide is accepted when it is no
worse than the one accepted some steps ago. That level is known before a guide is run, so a run ends once it is beyond.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from solvers.schedules.search.merit import Merit, Outcome
from solvers.schedules.search.moves import MOVES


class Chain:
    """A current guide and what led to it.

    Parameters
    ----------
    merit : Merit
    starts : list of (Outcome, str)
        Guide with their names: it sets out from the first, and from the others once it is stuck.
    seed : SeedSequence

    Attributes
    ----------
    best : Outcome
        Of least objective.
    best_from, best_move : str
        The start that it goes back to, and the move that led to it; empty where that start is the best still.
    origin : str
        The start that the current guide goes back to.
    tried, helped : dict of str to int
        How often each move was run, and how often it lowered the energy.
    """

    def __init__(self, merit: Merit, starts: list[tuple[Outcome, str]], seed: np.random.SeedSequence) -> None:
        self.merit = merit
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self.tried = dict.fromkeys(MOVES, 0)
        self.helped = dict.fromkeys(MOVES, 0)
        self._starts, self._visits = starts, 0
        start, self.origin = starts[0]
        self.best, self.best_from, self.best_move = start, self.origin, ""
        self.current, self._levels, self._step = start, np.full(self.merit.tuning.memory, start.energy), 0
        self._last_gain = 0

    @property
    def been_stuck(self) -> bool:
        """Whether it has gone elsewhere before: then it is meant to be far from the best guide."""
        return self._visits > 0

    def adopt(self, other: Chain) -> None:
        """Go on from another chain's current guide."""
        self.current, self.origin = other.current, other.origin
        self._levels[:] = self.current.energy
        self._last_gain = self._step

    def run(self, evaluations: int, stop: Callable[[], bool], improved: Callable[[Outcome, str], None]) -> None:
        """Go on for that many evaluations, or until ``stop`` says so; tell every better guide."""
        names = list(MOVES)
        until = self.merit.evaluator.runs + evaluations
        idle = 0
        while self.merit.evaluator.runs < until and idle < 1000 and not stop():
            if self._step - self._last_gain >= self.merit.tuning.patience:
                self._go_elsewhere()
            name = names[int(self._rng.choice(len(names), p=self._shares()))]
            guide = MOVES[name][0](self.merit, self.current, self._rng)
            idle += 1
            if guide is None:
                continue
            idle = 0
            self.tried[name] += 1
            slot = self._step % self.merit.tuning.memory
            self._step += 1
            found = self.merit(guide, max(float(self._levels[slot]), self.current.energy))
            if found is not None:
                self.helped[name] += found.energy < self.current.energy
                self.current = found
                if found.value < self.best.value:
                    self.best, self.best_from, self.best_move = found, self.origin, name
                    self._last_gain = self._step
                    improved(found, name)
            self._levels[slot] = min(float(self._levels[slot]), self.current.energy)

    def _go_elsewhere(self) -> None:
        """By turns to the next start, and back to the best guide, from which it may stray at first."""
        self._last_gain = self._step
        self._visits += 1
        if self._visits % 2 and len(self._starts) > 1:
            self.current, self.origin = self._starts[(self._visits + 1) // 2 % len(self._starts)]
            self._levels[:] = self.current.energy
        else:
            self.current, self.origin = self.best, self.best_from
            self._levels[:] = self.best.energy * (1 + self._rng.uniform(0, self.merit.tuning.stray))

    def _shares(self) -> np.ndarray:
        """How often to try each move: as often as it helps, and never not at all."""
        first = np.array([share for _, share in MOVES.values()])
        tried = np.array(list(self.tried.values()), float)
        helped = np.array(list(self.helped.values()), float)
        rate = (helped + 1.0) / (tried + self.merit.tuning.trust)
        weight = first * np.maximum(rate / rate.max(), self.merit.tuning.least_share)
        return np.asarray(weight / weight.sum())
