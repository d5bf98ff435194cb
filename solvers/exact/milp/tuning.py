"""How the time of a solve by MILP is spent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """How the time of a solve by MILP is spent.

    Attributes
    ----------
    search : float
        Share of the time that the clairvoyant search for a start may take, at most.
    search_a_pair : float
        Seconds of that search for each pair of calls, at most.
    shortest_search : float
        Seconds for which it is worth its start.
    half, least : float
        Of the way from bound to value: where the first target lies, and the lowest ones.
    step : float
        Relative; how far below a known value the next target is at least, less than ``OPTIMALITY_TOLERANCE``.
    little : float
        Share of the bracket; who gains less is likely to be at the optimum, and looks just below it next.
    bolder : float
        A target that cannot be met is followed by one that is so much further on the way from bound to value.
    last : float
        Relative distance of bound and value at which the next target gets all the time that is left.
    first_attempt, longer : float
        Share of the time for one target, and how much more after one that is not decided.
    pulses_a_call : int
        Of a time-indexed model, about: more make a finer grid, and a larger model.
    entries : int
        Nonzeros that a model may have; a larger one is not built. Python takes some 300 bytes for each.
    """

    search: float = 0.1
    search_a_pair: float = 0.015
    shortest_search: float = 0.05
    half: float = 1 / 2
    least: float = 1 / 16
    step: float = 2e-5
    little: float = 0.1
    bolder: float = 1.2
    last: float = 5e-4
    first_attempt: float = 0.06
    longer: float = 1.4
    pulses_a_call: int = 15
    entries: int = 3_000_000


TUNING = Tuning()
