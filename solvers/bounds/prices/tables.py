"""What the kernels read and write."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hexsched.engine.by_address import by_address

Array = np.ndarray[Any, Any]


@by_address
class Tables(NamedTuple):
    """The arrays of a ``Relaxation`` that the kernels read."""

    first_call: Array
    head: Array
    first_child: Array
    child: Array
    prefill: Array
    before: Array
    detour: Array
    late: Array
    transfer: Array
    alone: Array
    kv_share: Array
    slot_share: Array
    tokens: Array
    token: Array
    own: Array
    first_speed: Array
    speed_extra: Array
    speed_use: Array
    first_join: Array
    join_from: Array
    join_to: Array
    join_gap: Array
    final: Array


@by_address
class Prices(NamedTuple):
    """Prices of the resources, constant in each of T intervals from time 0 on, and 0 afterwards.

    Resources are the prefill types, the decode types (use: of the batch), and the decode types again (KV cache).

    Attributes
    ----------
    rate : (K + 2 L, T) float array
        Price of one second of one instance.
    paid : (K + 2 L, T + 1) float array
        Price of one instance from time 0 to the end of each interval.
    edge : (T + 1,) float array
        Where the intervals begin, and the last one ends.
    guess : (G,) int array
        Of G equal parts of the time until then, the interval in which each begins.
    toll : (J,) float array
        Multiplier of each join, for a cell of slack.
    stretch : float
        Cells for which ``toll`` is paid once.
    slowness : (W,) float array
        Price of a second of slack at the end of each workflow.
    """

    rate: Array
    paid: Array
    edge: Array
    guess: Array
    toll: Array
    stretch: float
    slowness: Array


@by_address
class Scratch(NamedTuple):
    """Room for one workflow: values and choices by call and cell; A cells, G prices of a token."""

    value: Array  # (calls, A)
    prefill_on: Array  # (calls, A) int
    decode_on: Array  # (calls, A) int
    start: Array  # (calls, A) int
    after: Array  # (A,): cost after completion
    then: Array  # (A,): cost after the end of decode, or from its start
    price: Array  # (A,): of what is held from each cell on
    over: Array  # (A,): by how much a chord is above the function
    total: Array  # (A,): cost from the start of decode, or of prefill
    enter: Array  # (L, A)
    enter_last: Array  # (L,) int: the last cell from which decode can be in time
    enter_at: Array  # (L, calls, A) int
    decode_from: Array  # (L, calls, A) int: decode ends in this cell or later
    decode_to: Array  # (L, calls, A) int: and in this cell or earlier
    decode_price: Array  # (L, calls, A): of a token
    last: Array  # (calls,) int: last cell of completion
    change: Array  # (R,): price of a token below which the next slower speed is better
    token_price: Array  # (G,)
    all_tokens: Array  # (G,): price of all tokens of a call
    slope: Array  # (T + 1, G): what a second of decode is worth in each interval
    gained: Array  # (T + 1, G): and all seconds before
    above: Array  # (A, G): by how much a chord is above what time was worth
    ranges: Array  # (1,) int: of ends of decodes that are looked at apart
    worth: Array  # (A, G): what the time before decode starts was worth
    cost: Array  # (A, G): cost from the start of decode
    most: Array  # (A,): the largest of them
    rest: Array  # (A, G): cost after decode, less what the time up to its end was worth
    best: Array  # (G,): the least of it from a cell on
    at: Array  # (G,) int: and the cell
    best_end: Array  # (A, G) int
    dearest: Array  # (A,) int: the price at which it is largest
    pay: Array  # (calls,): tolls paid for each cell of slack at completion
    gain: Array  # (calls,): tolls received for each at the start of prefill
    ended: Array  # (calls,): slack of completion in the cheapest schedule, cells
    began: Array  # (calls,): slack of the start of prefill
