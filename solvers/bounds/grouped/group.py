"""One group of workflows: what is proved of it, and how much more may be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from solvers.bounds import load
from solvers.bounds.grouped.late import Late
from solvers.bounds.parts.bound import Bound
from solvers.bounds.parts.destructive import ROUND_DOWN
from solvers.bounds.prices.ascent import Market
from solvers.bounds.prices.bound import market_until
from solvers.bounds.prices.relaxation import relax
from solvers.problem.idle import part_of
from solvers.problem.left import Left
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem

Array = np.ndarray[Any, Any]


@dataclass
class Asked:
    """What came of the last question about a scale."""

    scale: float
    count: int
    paid: float  # share of the supply that the workflows pay that are not counted


class Group:
    """Workflows looked at alone: the others take nothing from them.

    Parameters
    ----------
    whole : OfflineProblem
    members : (n,) int array
        The workflows of ``whole`` that are in the group.
    completed : (W,) float array
        Completion of each workflow of ``whole`` in a known schedule.
    highest : float
        No scale above it is asked about.
    seed : int

    Attributes
    ----------
    problem : OfflineProblem
        The group's own, on a clock that starts at its first arrival.
    completed : (n,) float array
        On that clock.
    late : Late
        What is proved.
    """

    def __init__(self, whole: OfflineProblem, members: Array, completed: Array, highest: float, seed: int) -> None:
        members = np.sort(members)
        self.members = members
        self.problem = part_of(whole, members)
        self.completed = completed[members] - float(whole.arrival[members].min())
        self.late = Late()
        self._highest, self._seed = highest, seed
        self._ratio = (self.completed - self.problem.arrival) / self.problem.horizon
        self._asked: Asked | None = None

    @property
    def calls(self) -> int:
        """How many calls it has: what it costs to look at it."""
        return self.problem.calls

    def possible(self, scale: float) -> int:
        """More workflows than that cannot be proved to be late: no more are in the known schedule."""
        return int(np.count_nonzero(self._ratio > scale))

    def hope(self, scale: float) -> float:
        """How many may be proved late when it is asked again, as far as one can tell."""
        most = self.possible(scale)
        if self._asked is None or scale < self._asked.scale:
            return most
        return min(most, max(self._asked.count + self._asked.paid, self.late.above(scale)))

    def look(self, scale: float, left: Left) -> None:
        """Ask what takes next to no time."""
        objective = Objective("misses", scale)
        if self.possible(scale) > self.late.above(scale):
            self.late.prove(scale, int(load.compute(self.problem, objective, left())))

    def ask(self, scale: float, passes: int, left: Left) -> None:
        """Ask the prices, after so many passes of improvement; on while every question proves more."""
        market = self._market
        latest = self.problem.arrival + scale * (1 + ROUND_DOWN) * self.problem.horizon
        known = self.late.above(scale)
        while True:
            for _ in range(passes):
                market.improve(latest, known)
                if left() <= 0:
                    break
            count, paid = market.fewest_late(latest)
            self.late.prove(scale, count)
            self._asked = Asked(scale, count, paid)
            if count <= known or left() <= 0:
                return
            known = count

    def solve(self, programs: list[Bound], scale: float, seconds: float) -> None:
        """Ask linear programs, each in an equal share of the time."""
        objective = Objective("misses", scale)
        able = [program for program in programs if program.holds_for(self.problem, objective)]
        for program in able:
            self.late.prove(scale, int(program.compute(self.problem, objective, seconds / len(able))))

    def refine(self) -> None:
        """Look closer from now on."""
        self._market.refine()
        self._asked = None

    @cached_property
    def _market(self) -> Market:
        x = relax(self.problem)
        return market_until(x, float((x.arrival + self._highest * (1 + ROUND_DOWN) * x.horizon).max()), self._seed)
