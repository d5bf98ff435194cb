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

FIRST_ROUND = 2.0  # seconds of a search
GROWTH = 1.6
LARGEST_STEP = 0.5  # of the bracket, upwards from the lower bound
SMALLEST_STEP = 0.1


@dataclass
class Bracket:
    """What is known: ``lower <= optimum <= upper``."""

    lower: float
    upper: float


# (bracket, cutoff, seconds) -> whether nothing better than what it found is within the cutoff; it narrows the bracket
Search = Callable[[Bracket, float, float], bool]


def close(bracket: Bracket, tolerance: float, left: Callable[[], float], search: Search) -> None:
    """Search until the bracket is closed to a relative tolerance, or no time is left.

    Parameters
    ----------
    bracket : Bracket
    tolerance : float
    left : callable
        Seconds.
    search : callable
    """
    seconds, step, from_above = FIRST_ROUND, LARGEST_STEP, False
    while (remaining := left()) > 0 and bracket.upper - bracket.lower > tolerance * bracket.upper:
        better = bracket.upper * (1 - tolerance / 2)  # anything above this need not be told apart
        cutoff = bracket.lower + step * (bracket.upper - bracket.lower)
        from_below = cutoff < better and not from_above
        before = bracket.lower, bracket.upper
        done = search(bracket, cutoff if from_below else bracket.upper, min(seconds, remaining))
        if done and before == (bracket.lower, bracket.upper):
            return  # as close as ticks can tell
        if not from_below:
            from_above = False
            seconds *= 1.0 if done else GROWTH
        elif done:
            step = min(2 * step, LARGEST_STEP)
        elif bracket.upper == before[1]:
            step, from_above = max(step / 2, SMALLEST_STEP), True
