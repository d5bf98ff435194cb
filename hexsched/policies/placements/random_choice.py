"""Random: any instance, all equally likely, from the run's seed."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.placements.eligible import count_eligible, nth_eligible


@kernel
def draw_below(board, bound):
    """A random whole number from 0 to ``bound`` - 1."""
    clock = board.clock[0]
    uniform = board.draws[clock.draws % board.draws.shape[0]]
    clock.draws += 1
    return min(int(uniform * bound), bound - 1)


@kernel
def random_prefill(board):
    """Any prefill instance."""
    return draw_below(board, board.prefills.shape[0])


@kernel
def random_decode(board, c):
    """Any decode instance that can ever hold ``c``."""
    return nth_eligible(board, c, draw_below(board, count_eligible(board, c)))
