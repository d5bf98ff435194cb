"""Power of two choices (Mitzenmacher 2001): of two instances drawn at random, the one with fewer calls."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.placements.eligible import count_eligible, nth_eligible
from hexsched.policies.placements.random_choice import draw_below
from hexsched.policies.placements.shortest_queue import calls_on_decode, calls_on_prefill


@kernel
def power_of_two_prefill(board):
    """The shorter of two prefill queues; the first drawn wins a tie."""
    count = board.prefills.shape[0]
    first = draw_below(board, count)
    if count == 1:
        return first
    second = (first + 1 + draw_below(board, count - 1)) % count
    if calls_on_prefill(board, second) < calls_on_prefill(board, first):
        return second
    return first


@kernel
def power_of_two_decode(board, c):
    """The less occupied of two decode instances that can ever hold ``c``; the first drawn wins a tie."""
    count = count_eligible(board, c)
    nth = draw_below(board, count)
    first = nth_eligible(board, c, nth)
    if count == 1:
        return first
    second = nth_eligible(board, c, (nth + 1 + draw_below(board, count - 1)) % count)
    if calls_on_decode(board, second) < calls_on_decode(board, first):
        return second
    return first
