"""Placements: which instance a call goes to. One file a placement; numbers and the two choices are gathered here.

``plan`` is not among them: it does not bind a call when it becomes ready (see ``hexsched.policies.planner``).
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.placements.earliest_finish import earliest_finish_decode, earliest_finish_prefill
from hexsched.policies.placements.least_kv import least_kv_decode, least_kv_prefill
from hexsched.policies.placements.power_of_two import power_of_two_decode, power_of_two_prefill
from hexsched.policies.placements.random_choice import random_decode, random_prefill
from hexsched.policies.placements.round_robin import round_robin_decode, round_robin_prefill
from hexsched.policies.placements.shortest_queue import shortest_queue_decode, shortest_queue_prefill

ROUND_ROBIN, RANDOM, POWER_OF_TWO, SHORTEST_QUEUE, LEAST_KV, EARLIEST_FINISH = range(6)


@kernel
def place_prefill(board, settings, c):
    """The prefill instance for released call ``c``."""
    placement = settings.place_prefill
    if placement == ROUND_ROBIN:
        return round_robin_prefill(board)
    if placement == RANDOM:
        return random_prefill(board)
    if placement == POWER_OF_TWO:
        return power_of_two_prefill(board)
    if placement == SHORTEST_QUEUE:
        return shortest_queue_prefill(board)
    if placement == LEAST_KV:
        return least_kv_prefill(board)
    return earliest_finish_prefill(board, settings, c)


@kernel
def place_decode(board, settings, c):
    """The decode instance for prefilled call ``c``, one that can ever hold it."""
    placement = settings.place_decode
    if placement == ROUND_ROBIN:
        return round_robin_decode(board, c)
    if placement == RANDOM:
        return random_decode(board, c)
    if placement == POWER_OF_TWO:
        return power_of_two_decode(board, c)
    if placement == SHORTEST_QUEUE:
        return shortest_queue_decode(board, c)
    if placement == LEAST_KV:
        return least_kv_decode(board, c)
    return earliest_finish_decode(board, settings, c)
