"""Closing the bracket of the largest ratio from both sides, for instances that one plain search does not finish.

A search that may only use ratios up to a cutoff is small where the cutoff is near the lower bound: deadlines are tight,
and it is soon refuted, which raises the bound (destructive improvement, Klein and Scholl 1999), or it ends with a
better schedule. The closer the cutoff is to the optimum the longer it takes, from below and from above, and nobody
knows where that is. So such searches take turns with ones for anything better than the best schedule, in rounds that
grow, each with what the ones before have shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from solvers.problem.bracket import OPTIMALITY_TOLERANCE, Bracket


@dataclass(frozen=True)
class Steps:
    """How far apart cutoffs are, and how long each is searched.

    Attributes
    ----------
    seconds : float
        Of the first searches.
    growth : float
        By what factor searches get longer after one from above that was not done.
    largest, smallest : float
        Of the bracket, upwards from the lower bound: where the first cutoff lies, and the lowest ones.
    """

    seconds: float = 2.0
    growth: float = 1.6
    largest: float = 0.5
    smallest: float = 0.1


# (cutoff, seconds) -> whether nothing better than what it found is within the cutoff; it reports to the bracket
Search = Callable[[float, float], bool]


def close(bracket: Bracket, search: Search, steps: Steps = Steps()) -> None:
    """Search until the bracket is over, or nothing moves it."""
    seconds, step, from_above = steps.seconds, steps.largest, False
    while not bracket.is_over:
        better = bracket.value * (1 - OPTIMALITY_TOLERANCE / 2)  # anything above this need not be told apart
        cutoff = bracket.bound + step * (bracket.value - bracket.bound)
        from_below = cutoff < better and not from_above
        before = bracket.bound, bracket.value
        done = search(cutoff if from_below else bracket.value, min(seconds, bracket.left))
        if done and before == (bracket.bound, bracket.value):
            return  # as close as ticks can tell
        if not from_below:
            from_above = False
            seconds *= 1.0 if done else steps.growth
        elif done:
            step = min(2 * step, steps.largest)
        elif bracket.value == before[1]:
            step, from_above = max(step / 2, steps.smallest), True
