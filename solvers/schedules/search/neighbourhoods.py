"""Large-neighbourhood search: neighbourhoods of a schedule are solved anew with CP-SAT, then re-timed by the engine.

After Shaw, Using constraint programming and local search methods to solve vehicle routing problems, CP 1998; stretches
of time for scheduling as in Carchrae and Beck, Principles for the design of large neighborhood search, JMMA 8 (2009).

CP-SAT sees a part of the schedule in a model of its own (``neighbourhood_model``); what it says of times is thrown
away. Its decisions are carried out in the decode model that the instance has, and taken over where that is no worse.
Unlike where a guide changes, all that is outside a neighbourhood stays much as it is, so small gains add up. They are
small: a second of chains of local search gains more as long as these make headway.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from solvers.schedules.search.decisions import CappedDecisions
from solvers.schedules.search.guide import Array
from solvers.schedules.search.merit import Merit
from solvers.schedules.search.neighbourhood_model import Seen, Shop, solve_neighbourhood


@dataclass(frozen=True, eq=False)
class Carried:
    """CappedDecisions that were carried out: value and energy as in ``Outcome``."""

    seen: Seen
    value: float
    energy: float


def carry_out(merit: Merit, shop: Shop, decisions: CappedDecisions, limit: float = math.inf) -> Carried | None:
    """None where the energy is above ``limit``, or orders wait for each other."""
    tail = merit.aim.is_tail
    ratio = merit.evaluator.replay(decisions, limit if tail else math.inf, merit.may_drop, tail)
    if ratio is None or np.isinf(ratio[~decisions.dropped]).any():
        return None
    value, energy = merit.of(ratio)
    if energy > limit:
        return None
    return Carried(Seen(shop, merit.aim, decisions, merit.evaluator.times(), ratio, value), value, energy)


class Neighbourhoods:
    """A search by neighbourhoods, for any objective but ``misses``.

    Attributes
    ----------
    now : Carried
        The best so far.
    tried, helped : int
        Neighbourhoods, and how many of them lowered the energy.
    runs : int
        Of the simulator, for them.
    """

    def __init__(self, merit: Merit, shop: Shop, start: Carried, seed: np.random.SeedSequence) -> None:
        self.merit, self.now = merit, start
        self._shop = shop
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._size, self._idle = self.merit.tuning.free, 0
        self.tried = self.helped = self.runs = 0

    def run(
        self, neighbourhoods: float, seconds_left: Callable[[], float], improved: Callable[[Carried], None]
    ) -> None:
        """Solve so many, fewer where time is out or nothing is gained any more; tell every better value."""
        until = self.tried + neighbourhoods
        while (
            self.tried + 1 <= until
            and self._idle < self.merit.tuning.neighbourhood_patience
            and (left := seconds_left()) > 0
        ):
            value = self.now.value
            self._step(left)
            if self.now.value < value:
                improved(self.now)

    def _step(self, seconds: float) -> None:
        self.tried += 1
        self._idle += 1
        seen = self.now.seen
        calls = self._around(seen)
        if calls is None:
            return
        size = round(self._size)
        seed = int(self._rng.integers(2**31))
        solved = solve_neighbourhood(
            self._shop, seen, self.merit.aim, calls[:size], calls[size:], seconds, seed, self.merit.tuning
        )
        tuning = self.merit.tuning
        self._size *= tuning.growth if solved.done else tuning.shrinkage
        self._size = min(max(self._size, tuning.fewest), tuning.most)
        if solved.decisions is None:
            return
        self.runs += 1
        found = carry_out(self.merit, self._shop, solved.decisions, self.now.energy)
        if found is None:
            return
        if found.energy < self.now.energy:
            self.helped += 1
            self._idle = 0
        self.now = found

    def _around(self, seen: Seen) -> Array | None:
        """Calls that started one after another, about when some call waited that may decide the objective."""
        e, t = self.merit.evaluator, seen.times
        flow = self._flow(seen)
        if flow is None:
            return None
        calls = np.flatnonzero((e.workflow == flow) & seen.ran)
        waited = (t.start - seen.released + t.admitted - t.prefilled)[calls] + 1e-9 * e.horizon[flow]
        c = int(self._rng.choice(calls, p=waited / waited.sum()))
        when = float(self._rng.uniform(seen.released[c], t.start[c]))
        size = round(self._size)
        middle = int(np.searchsorted(t.start[seen.by_start], when))
        first = max(middle - int(self._rng.integers(size)), 0)
        return np.asarray(seen.by_start[first : first + size + round(self.merit.tuning.followers * size)])

    def _flow(self, seen: Seen) -> int | None:
        flows = np.flatnonzero(seen.counts)
        if not len(flows):
            return None
        if not self.merit.aim.is_tail:
            return int(self._rng.choice(flows))
        worst_first = flows[np.argsort(-seen.ratio[flows], kind="stable")]
        rank = int(self._rng.exponential(max(self.merit.tuning.near * len(flows), 1.0)))
        return int(worst_first[min(rank, len(flows) - 1)])
