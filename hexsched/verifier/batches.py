"""What a decode instance does between two changes of its batch, in the ``fluid`` model (model M15, M37).

How many iterations fit between two changes depends on the tokens that the batch holds then, and these on the
iterations before. So some changes are looked at together: tokens are guessed, iterations follow from them, tokens from
those, until nothing moves. A guess wrong by a share moves the next one by less than that share, since only a part of
an iteration is due to the tokens that have come out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hexsched.model import DecodeInstance
from hexsched.verifier.physics import batch_seconds

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TOGETHER = 4096  # changes of a batch that are looked at together
MOST_ROUNDS = 60  # which cost as much as to go through them change by change
SETTLED = 1e-12  # of the tokens held: what may still move


class Batches(NamedTuple):
    """E = 2 N changes of the batch of one instance that serves N calls, in the order of time; joins come first.

    Attributes
    ----------
    time : (E,) float array
        Seconds.
    batch : (E,) int array
        Calls in the batch from then on.
    done : (E,) float array
        Iterations until then since the first change.
    pace : (E,) float array
        Seconds of an iteration from then on, before its own tokens,
    growth : (E,) float array
        ... and by how much it grows with each further one.
    joins, leaves : (N,) int arrays
        The change at which each call joins, and leaves.
    """

    time: Floats
    batch: Integers
    done: Floats
    pace: Floats
    growth: Floats
    joins: Integers
    leaves: Integers

    def tokens(self) -> Floats:
        """What each call gets, (N,): the iterations between its start and its end."""
        return self.done[self.leaves] - self.done[self.joins]

    def first_tokens(self) -> Floats:
        """When each call has been in for one iteration, (N,) seconds."""
        goal = self.done[self.joins] + 1.0
        k = np.searchsorted(self.done, goal) - 1
        left = goal - self.done[k]
        return np.asarray(self.time[k] + left * (self.pace[k] + self.growth[k] * left / 2))


def batches_of(machine: DecodeInstance, start: Floats, end: Floats, prompt: Floats) -> Batches | None:
    """What ``machine`` does when each call is in its batch from ``start`` to ``end``; None where guesses go on moving.

    Parameters
    ----------
    start, end, prompt : (N,) arrays
        Seconds, seconds (each end after its start) and tokens.
    """
    calls = len(start)
    time = np.concatenate([start, end])
    order = np.argsort(time, kind="stable")
    time = time[order]
    place = np.empty(2 * calls, np.int64)
    place[order] = np.arange(2 * calls)
    is_join = order < calls
    calls_of = np.where(is_join, order, order - calls)
    change = np.where(is_join, 1.0, -1.0)
    size = np.cumsum(change)
    batch = size.astype(np.int64)
    d2 = float(machine.decode_coeffs[2])
    prompts = np.cumsum(change * prompt[calls_of])
    pace = batch_seconds(machine, int(batch.max(initial=0)))[batch] + d2 * prompts
    seconds = np.where(size[:-1] > 0, np.diff(time), 0.0)
    joined = np.where(is_join, -1, place[calls_of])
    changes = _Changes(seconds, size, prompts, pace, d2 * size, joined, d2)
    done, out = np.zeros(2 * calls), np.zeros(2 * calls)
    for at in range(1, 2 * calls, TOGETHER):
        to = min(at + TOGETHER, 2 * calls)
        if not _together(changes, at, to, done, out):
            return None
        if batch[to - 1] == 0:  # nothing is carried over an idle moment, rounding included
            out[to - 1] = 0.0
    return Batches(time, batch, done, pace + d2 * out, changes.growth, place[:calls], place[calls:])


class _Changes(NamedTuple):
    """E changes of a batch: E - 1 ``seconds`` between them, and what is there from each of them on.

    ``pace`` is without the tokens that are out already; ``joined`` is the change at which the call joined that leaves
    at one, -1 at those at which one joins.
    """

    seconds: Floats
    size: Floats
    prompts: Floats
    pace: Floats
    growth: Floats
    joined: Integers
    d2: float


def _together(changes: _Changes, at: int, to: int, done: Floats, out: Floats) -> bool:
    """Fill ``done`` and ``out``, the tokens out of all calls in the batch, from change ``at`` to before ``to``.

    False where guesses go on moving. Times too large settle on no number at once.
    """
    here, before = slice(at, to), slice(at - 1, to - 1)
    twice, base, size = 2 * changes.seconds[before], changes.pace[before], changes.size[before]
    grown = changes.growth[before] * twice
    leave = at + np.flatnonzero(changes.joined[here] >= 0)
    join = changes.joined[leave]
    out[here] = out[at - 1]
    for _ in range(MOST_ROUNDS):
        one = base + changes.d2 * out[before]
        iterations = twice / (one + np.sqrt(one * one + grown))
        done[here] = done[at - 1] + np.cumsum(iterations)
        more = size * iterations
        more[leave - at] -= done[leave] - done[join]
        guess = out[at - 1] + np.cumsum(more)
        moved = np.abs(guess - out[here]).max()
        out[here] = guess
        if changes.d2 == 0 or not moved > SETTLED * (changes.prompts[here] + guess).max():
            return True
    return False
