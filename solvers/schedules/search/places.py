"""Local search over decisions: on which instance each call is served, and in which order.

A guide says what goes first; where a call is served follows from what is free then, so that no guide may lead to a good
assignment. Here single calls change places, and all others keep theirs. A run costs less than that of a guide, since
nothing is decided in it. Late acceptance as in ``chain``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from solvers.schedules.search.decisions import CappedDecisions
from solvers.schedules.search.guide import Array
from solvers.schedules.search.merit import Merit

Rng = np.random.Generator
Move = Callable[["Places", int], CappedDecisions | None]


class Places:
    """A search over decisions, for any objective but ``misses``.

    Parameters
    ----------
    merit : Merit
    start : CappedDecisions
        With a schedule: no order waits for another.
    ratio : (W,) float array
        Of the workflows in that schedule; inf where they are dropped.
    seed : SeedSequence

    Attributes
    ----------
    best : CappedDecisions
        Of least objective.
    value : float
        Its objective.
    tried, helped : int
        Runs of the simulator, and how many of them lowered the energy.
    """

    def __init__(self, merit: Merit, start: CappedDecisions, ratio: Array, seed: np.random.SeedSequence) -> None:
        self.merit = merit
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.now, self._ratio = start, ratio
        self.best = start
        self.value, self._energy = merit.of(ratio)
        self.tried = self.helped = 0
        e = merit.evaluator
        self._calls_from = np.searchsorted(e.workflow, np.arange(len(e.arrival) + 1))
        fits = (e.decode_bits[:, None] >> e.kind_of_decode[None, :]) & 1
        self.decodes = [np.flatnonzero(row) for row in fits]

    def run(self, runs: float, stop: Callable[[], bool], improved: Callable[[], None]) -> None:
        """Try so many changes, fewer when ``stop`` says so; tell whenever ``value`` is less."""
        levels = np.full(self.merit.tuning.memory_of_places, self._energy)
        until, moves = self.tried + runs, list(MOVES.values())
        while self.tried + 1 <= until and not stop():
            slot = self.tried % len(levels)
            self.tried += 1
            changed = moves[int(self.rng.integers(len(moves)))](self, self._call())
            if changed is not None:
                self._try(changed, max(float(levels[slot]), self._energy), improved)
            levels[slot] = min(float(levels[slot]), self._energy)

    def _try(self, changed: CappedDecisions, limit: float, improved: Callable[[], None]) -> None:
        tail = self.merit.aim.is_tail
        changed = held_back(self.merit, changed)
        ratio = self.merit.evaluator.replay(changed, limit if tail else np.inf, self.merit.may_drop, tail)
        if ratio is None or np.isinf(ratio[~changed.dropped]).any():
            return
        value, energy = self.merit.of(ratio)
        if energy > limit:
            return
        self.helped += energy < self._energy
        self.now, self._ratio, self._energy = changed, ratio, energy
        if value < self.value:
            self.best, self.value = changed, value
            improved()

    def _call(self) -> int:
        """A call of a workflow that decides the objective, or any."""
        e, tuning = self.merit.evaluator, self.merit.tuning
        if not self.merit.aim.is_tail or self.rng.random() < tuning.anywhere:
            return int(self.rng.integers(len(e.workflow)))
        worst_first = np.argsort(-np.where(self.now.dropped, -np.inf, self._ratio), kind="stable")
        rank = int(self.rng.exponential(max(tuning.spread * len(worst_first), 1.5)))
        flow = worst_first[min(rank, len(worst_first) - 1)]
        return int(self.rng.integers(self._calls_from[flow], self._calls_from[flow + 1]))


def held_back(merit: Merit, decisions: CappedDecisions) -> CappedDecisions:
    """The same, dropped workflows having their turns after all others, parents before children: nothing waits for them.

    That holds for their own calls too, whatever became of their turns while nobody ran them.
    """
    of_dropped = decisions.dropped[merit.evaluator.workflow]
    if not of_dropped.any():
        return decisions
    topological = merit.evaluator.problem.topological
    turn = np.empty(len(topological))
    turn[topological] = np.arange(len(topological))
    turn += 1 + float(max(decisions.start[~of_dropped].max(), decisions.admitted[~of_dropped].max()))
    return decisions._replace(
        start=np.where(of_dropped, turn, decisions.start), admitted=np.where(of_dropped, turn, decisions.admitted)
    )


def prefill_elsewhere(at: Places, c: int) -> CappedDecisions:
    """Another instance for its prefill."""
    return at.now._replace(prefill=_with(at.now.prefill, c, at.rng.integers(len(at.merit.evaluator.kind_of_prefill))))


def decode_elsewhere(at: Places, c: int) -> CappedDecisions:
    """Another instance for its decode."""
    return at.now._replace(decode=_with(at.now.decode, c, at.rng.choice(at.decodes[c])))


def earlier_or_later(at: Places, c: int) -> CappedDecisions:
    """Another turn at its prefill."""
    e = at.merit.evaluator
    by = at.rng.normal(0.0, 0.3) * e.horizon[e.workflow[c]]
    return at.now._replace(start=_with(at.now.start, c, at.now.start[c] + by))


def swap(at: Places, c: int) -> CappedDecisions:
    """Prefills of two calls swap instances and turns."""
    other = int(at.rng.integers(len(at.now.start)))
    both, swapped = [c, other], [other, c]
    return at.now._replace(
        prefill=_with(at.now.prefill, both, at.now.prefill[swapped]),
        start=_with(at.now.start, both, at.now.start[swapped]),
    )


def drop_another(at: Places, c: int) -> CappedDecisions | None:
    """The workflow of the call is dropped in place of another, whose turns follow from its earliest starts."""
    e, dropped = at.merit.evaluator, np.flatnonzero(at.now.dropped)
    if not len(dropped) or at.now.dropped[e.workflow[c]]:
        return None
    back = int(at.rng.choice(dropped))
    calls = np.flatnonzero(e.workflow == back)
    head, prefill = e.problem.head[calls], e.problem.prefill[calls].min(axis=1)
    return at.now._replace(
        dropped=_with(at.now.dropped, [e.workflow[c], back], [True, False]),
        start=_with(at.now.start, calls, head),
        admitted=_with(at.now.admitted, calls, head + prefill),
    )


MOVES: dict[str, Move] = {
    "prefill-elsewhere": prefill_elsewhere,
    "decode-elsewhere": decode_elsewhere,
    "earlier-or-later": earlier_or_later,
    "swap": swap,
    "drop-another": drop_another,
}


def _with(values: Array, at: Any, new: Any) -> Array:
    """A copy with other values there."""
    changed = values.copy()
    changed[at] = new
    return changed
