"""The problem in whole ticks, every duration rounded down: a relaxation (``solvers.problem.ticks`` says why)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.problem.offline import OfflineProblem
from solvers.problem.ticks import Ticks

Array = np.ndarray[Any, Any]

MOST_TICKS = 2**40  # of the horizon: products with KV tokens and objective coefficients must stay within 64 bits


@dataclass(frozen=True)
class DecodeMode:
    """One way to decode a call.

    Attributes
    ----------
    decode : int
        Decode instance.
    sources : tuple of int
        Prefill instances from which the transfer takes equally long.
    ticks : int
        Of the reservation: transfer and decode.
    """

    decode: int
    sources: tuple[int, ...]
    ticks: int


@dataclass(frozen=True)
class TickedProblem:
    """What the model is built from.

    Attributes
    ----------
    problem : OfflineProblem
    ticks : Ticks
    prefill : (N, I) int array
    delay, head : (N,) int arrays
    arrival : (W,) int array
        Rounded down, as every event.
    arrived : (W,) int array
        Rounded up: a completion in ticks less this is no more than the latency.
    modes : tuple of tuples of DecodeMode
        Of each call; calls that fit on no more than some instances have none on the others.
    horizon : int
        Some optimal schedule of any of the objectives ends by then.
    """

    problem: OfflineProblem
    ticks: Ticks
    prefill: Array
    delay: Array
    head: Array
    arrival: Array
    arrived: Array
    modes: tuple[tuple[DecodeMode, ...], ...]
    horizon: int

    def modes_on(self, c: int) -> dict[int, list[int]]:
        """The modes of a call on each decode instance on which it fits, as numbers in ``modes[c]``."""
        numbers: dict[int, list[int]] = {}
        for k, mode in enumerate(self.modes[c]):
            numbers.setdefault(mode.decode, []).append(k)
        return numbers


def in_ticks(problem: OfflineProblem, precision: float, ticks: Ticks | None = None) -> TickedProblem:
    """The problem in ticks of ``precision`` times the shortest H_w, or in those given."""
    reservation = problem.hold
    ticks = ticks or Ticks(max(precision * problem.horizon.min(), problem.last_end / MOST_TICKS))
    return TickedProblem(
        problem=problem,
        ticks=ticks,
        prefill=ticks.down(problem.prefill),
        delay=ticks.down(problem.delay),
        head=ticks.down(problem.head),
        arrival=ticks.down(problem.arrival),
        arrived=np.where(problem.arrival > 0, ticks.down(problem.arrival) + 1, 0),
        modes=tuple(_modes(reservation[c], ticks) for c in range(problem.calls)),
        horizon=int(ticks.down(problem.last_end)) + 1,
    )


def _modes(reservation: Array, ticks: Ticks) -> tuple[DecodeMode, ...]:
    modes = []
    for j in range(reservation.shape[1]):
        if not np.isfinite(reservation[0, j]):
            continue
        lengths = ticks.down(reservation[:, j])
        for length in np.unique(lengths):
            modes.append(DecodeMode(j, tuple(np.flatnonzero(lengths == length).tolist()), int(length)))
    return tuple(modes)
