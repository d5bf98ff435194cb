"""What the engine stores, split in two: the *board*, which policies see, and the *truth*, which they never get.

A call's row on the board is blank until the engine reveals it at its release date; its true output length stays in
the truth until the call completes. A compiled policy is handed the board alone.

Calls are numbered in the order of (workflow id, call id), so a smaller number wins a tie.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Records = np.recarray[Any, Any]  # an array of records whose fields read as attributes

# --- the board -------------------------------------------------------------------------------------------------------

CALL = np.dtype(
    [
        # revealed at release
        ("workflow", "i8"),
        ("n", "i8"),  # prompt tokens
        ("h", "i8"),  # cached prompt tokens
        ("estimate", "f8"),  # estimated output tokens; the true number once the call is complete
        ("needs_capacity", "i8"),  # the smallest KV cache of the cluster that can ever hold the call
        ("released", "f8"),
        ("best", "f8"),  # best_c under the estimate
        ("path", "f8"),  # longest standalone path of the workflow that ends with this call
        ("attained", "f8"),  # ATLAS: longest service of any chain of calls that leads here
        # while it waits
        ("entered", "f8"),  # when it entered the queue it is in
        ("starves_at", "f8"),  # when it counts as starved there (orders with anti-starvation)
        ("slot", "i8"),  # its place in the list that holds it
        ("delta", "f8"),  # projected seconds from now to its completion, set by the last placement
        ("python_key", "f8"),  # priority set by an order in plain Python
        ("planned", "i8"),  # decode instance it is counted for before admission, -1 when none
        # what happened to it
        ("prefill_instance", "i8"),  # -1 before the prefill starts
        ("prefill_start", "f8"),
        ("prefill_end", "f8"),
        ("decode_instance", "i8"),  # -1 before admission
        ("admitted", "f8"),
        ("decode_start", "f8"),
        ("decode_end", "f8"),
        ("joined", "f8"),  # iterations its decode instance had done when it joined the batch
    ],
    align=True,
)

WORKFLOW = np.dtype(
    [
        ("arrival", "f8"),
        ("horizon", "f8"),  # H_w(t)
        ("attained", "f8"),  # PLAS: service of its completed calls
        ("starved_service", "f8"),  # service and waiting since the last anti-starvation promotion
        ("starved_wait", "f8"),
    ],
    align=True,
)

PREFILL = np.dtype(
    [
        ("p0", "f8"),
        ("p1", "f8"),
        ("p2", "f8"),
        ("kind", "i8"),  # identical instances, links included, share a kind
        ("running", "i8"),  # call being prefilled, -1 when idle
        ("busy_until", "f8"),
        ("wait", "f8"),  # of a projection: seconds until it is free
        ("queued", "i8"),  # local queue: calls, prompt tokens, seconds of prefill
        ("queued_tokens", "i8"),
        ("queued_seconds", "f8"),
    ],
    align=True,
)

DECODE = np.dtype(
    [
        ("d2", "f8"),
        ("theta", "f8"),
        ("kind", "i8"),  # identical instances, links included, share a kind
        ("kv_capacity", "i8"),
        ("max_batch", "i8"),
        ("admitted", "i8"),  # calls with a reservation, in transfer or in the batch
        ("reserved", "f8"),  # KV tokens that they are thought to reserve: prompts and estimated outputs
        ("batch", "i8"),  # B
        ("kv", "f8"),  # K when last settled
        ("iterations", "f8"),  # iterations done when last settled; starts anew with an empty batch
        ("settled_at", "f8"),
        ("in_transfer", "i8"),  # prompt tokens of admitted calls that have not joined yet
        ("planned", "i8"),  # calls bound for here and not admitted: count, KV tokens, prompt tokens
        ("planned_tokens", "f8"),
        ("planned_prompt", "i8"),
    ],
    align=True,
)

CLOCK = np.dtype(
    [
        ("now", "f8"),
        ("fixed", "i8"),  # 1 in the fixed decode model
        ("epoch", "i8"),
        ("released", "i8"),  # since the last decision: how many calls were released,
        ("prefilled", "i8"),  # ... how many prefills ended,
        ("completed", "i8"),  # ... and how many calls completed
        ("ready", "i8"),  # calls on the central list of those ready for prefill
        ("waiting", "i8"),  # calls on the central list of those ready for admission
        ("turn_prefill", "i8"),  # round-robin counters
        ("turn_decode", "i8"),
        ("draws", "i8"),  # random numbers used up
        ("python_turn", "i8"),  # 1 while a decision waits for what plain Python has to say
        ("python_nanoseconds", "i8"),  # how long that took
    ],
    align=True,
)

PROJECTION = np.dtype(
    [
        ("epoch", "i8"),  # the decision epoch that the row describes
        ("free", "f8"),  # KV tokens neither reserved nor planned
        ("slots", "i8"),  # places in the batch neither taken nor planned
        ("batch", "i8"),  # calls admitted or planned
        ("kv", "f8"),  # KV tokens that they hold now or bring
        ("held", "f8"),  # KV tokens in the batch now
        ("pace", "f8"),  # seconds an iteration with one more call, before its own tokens
        ("iterations", "f8"),  # iterations done by now
        ("sorted", "i8"),  # how many of its members stand in finishing order so far
    ],
    align=True,
)


LINK = np.dtype([("latency", "f8"), ("per_token", "f8")], align=True)  # lambda_ij; kappa / omega_ij, seconds a token

LISTS = np.dtype(
    [
        ("released", "i8"),  # calls released since the last decision, ascending
        ("prefilled", "i8"),  # calls whose prefill ended since the last decision, ascending
        ("ready", "i8"),  # central list of calls ready for prefill
        ("waiting", "i8"),  # central list of calls ready for admission
    ],
    align=True,
)

SEAT = np.dtype(
    [
        ("member", "i8"),  # a call admitted here
        ("finish_at", "f8"),  # of a projection: seconds until a member completes, in that order as far as sorted,
        ("finish_tokens", "f8"),  # ... and the KV tokens that it frees
    ],
    align=True,
)

HEAP_ENTRY = np.dtype([("key", "f8"), ("code", "i8")], align=True)

QUEUE_ENTRY = np.dtype([("key", "f8"), ("child", "i8"), ("next", "i8")], align=True)

QUEUE_ROOT = np.dtype([("queue", "i8"), ("starved", "i8")], align=True)  # first entries of a local queue's two heaps


class Board(NamedTuple):
    """What a policy may see. I, J: prefill and decode instances; N: calls; B: largest batch there can be."""

    clock: Records  # CLOCK (1,)
    calls: Records  # CALL (N,), blank before release
    workflows: Records  # WORKFLOW (W,), blank before the first release
    prefills: Records  # PREFILL (I,)
    decodes: Records  # DECODE (J,)
    batch_seconds: Array  # g_j(B) (J, largest max_batch + 1)
    links: Records  # LINK (I, J)
    pairs: Array  # (k, 2): one (i, j) of each kind of pair
    prefill_first: Array  # for each kind of prefill instance the one that is free first
    decode_first: Array  # for each kind of decode instance the one that would decode one more call fastest
    lists: Records  # LISTS (N,): each field is a list; how long it is stands in the clock
    seats: Records  # SEAT (J, B)
    roots: Records  # QUEUE_ROOT (I + J,), prefill instances first
    queue: Records  # QUEUE_ENTRY (2 N,): priority heaps of the local queues; entry c + N is c's wait for admission
    starved: Records  # QUEUE_ENTRY (2 N,): the same by the time at which an entry counts as starved
    plan: Records  # HEAP_ENTRY (N,): scratch of the planner
    draws: Array  # uniform random numbers for randomised placements
    projections: Records  # PROJECTION (J,)


# --- the truth -------------------------------------------------------------------------------------------------------

CALL_TRUTH = np.dtype(
    [
        ("workflow", "i8"),
        ("n", "i8"),
        ("m", "i8"),
        ("h", "i8"),
        ("kind", "i8"),
        ("estimate", "f8"),
        ("needs_capacity", "i8"),
        ("delay", "f8"),
        ("parents", "i8"),  # how many are not complete yet
        ("first_child", "i8"),  # children are child_list[first_child : first_child + children]
        ("children", "i8"),
        ("path", "f8"),  # longest standalone path over its completed parents
        ("attained", "f8"),
    ],
    align=True,
)

WORKFLOW_TRUTH = np.dtype(
    [
        ("arrival", "f8"),
        ("horizon", "f8"),  # H_w
        ("first_root", "i8"),  # calls without parents are root_list[first_root : first_root + roots]
        ("roots", "i8"),
    ],
    align=True,
)

PROGRESS = np.dtype(
    [
        ("events", "i8"),  # entries in the event heap
        ("arrived", "i8"),  # workflows that have arrived
        ("incomplete", "i8"),  # calls not complete yet
        ("oracle_horizon", "i8"),  # 1: reveal H_w instead of H_w(t) (an ablation)
        ("class_mean", "i8"),  # 1: estimates are running means per kind of call
        ("prior", "f8"),  # class_mean before anything has completed
    ],
    align=True,
)


KIND = np.dtype([("tokens", "f8"), ("count", "i8")], align=True)  # output tokens of completed calls of a kind


class State(NamedTuple):
    """The board and the truth behind it."""

    board: Board
    progress: Records  # PROGRESS (1,)
    calls: Records  # CALL_TRUTH (N,)
    workflows: Records  # WORKFLOW_TRUTH (W,)
    child_list: Array
    root_list: Array
    arrival_order: Array  # workflows by (arrival, number)
    events: Records  # HEAP_ENTRY: releases after a delay (2 call) and ends of transfers (2 call + 1), by time
    reserved: Array  # (J,) KV tokens truly reserved
    next_completion: Array  # (J,) seconds, inf when the batch is empty
    targets: Records  # HEAP_ENTRY (J, B): each batch by the iteration (fixed: the time) at which a call completes
    kinds: Records  # KIND (kinds + 1,), the last one for all kinds together
