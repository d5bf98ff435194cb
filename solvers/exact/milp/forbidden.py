"""Calls that cannot all be on one instance at once, learned from timetables in which they were.

Alvarez-Valdes and Tamarit, The project scheduling polyhedron, European Journal of Operational Research 67 (1993).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from solvers.problem.offline import OfflineProblem
from solvers.schedules.timetable import Timetable

OVERLAP = 1e-6  # seconds; less is rounding, which re-timing takes away

Members = tuple[int, ...]


class ForbiddenSets:
    """Pairs that overlapped on a prefill instance, and minimal sets that were too much for a decode instance.

    What is learned on one instance is noted for all those that it holds for.

    Attributes
    ----------
    prefill : dict of (instance, pair)
    decode : dict of (instance, set)
        In the order in which they were learned.
    """

    def __init__(self, problem: OfflineProblem) -> None:
        self.problem = problem
        self.prefill: dict[tuple[int, Members], None] = {}
        self.decode: dict[tuple[int, Members], None] = {}

    def learn(self, timetable: Timetable) -> bool:
        """Add what the timetable does and an instance cannot; whether there was anything new."""
        known = len(self.prefill) + len(self.decode)
        self._overlapping_prefills(timetable)
        self._overfull_decodes(timetable)
        return len(self.prefill) + len(self.decode) > known

    def _overlapping_prefills(self, timetable: Timetable) -> None:
        ends = timetable.prefilled(self.problem)
        for c, d in combinations(range(self.problem.calls), 2):
            overlap = min(ends[c], ends[d]) - max(timetable.start[c], timetable.start[d])
            if timetable.prefill[c] == timetable.prefill[d] and overlap > OVERLAP:
                self.prefill.update({(i, (c, d)): None for i in range(self.problem.prefill.shape[1])})

    def _overfull_decodes(self, timetable: Timetable) -> None:
        ends = timetable.completed(self.problem)
        for d in range(self.problem.calls):
            j, now = int(timetable.decode[d]), timetable.admitted[d]
            held = [
                int(c)
                for c in np.flatnonzero((timetable.decode == j) & (timetable.admitted <= now) & (ends > now + OVERLAP))
            ]
            for order in (held, held[::-1]):
                if self._too_many(j, order):
                    members = self._minimal(j, order)
                    others = [k for k in range(len(self.problem.capacity)) if self._too_many(k, list(members))]
                    self.decode.update({(k, members): None for k in others})

    def _too_many(self, j: int, members: list[int]) -> bool:
        problem = self.problem
        return bool(len(members) > problem.max_batch[j] or problem.kv[members].sum() > problem.capacity[j])

    def _minimal(self, j: int, members: list[int]) -> Members:
        smallest = list(members)
        for c in members:
            without = [x for x in smallest if x != c]
            if self._too_many(j, without):
                smallest = without
        return tuple(sorted(smallest))
