"""What the engine keeps, in two memories: what may be *observed*, and what is *true*.

A call's row is blank to observers until the engine reveals it at its release (model M4); its true output length stays
among what is true until the call completes. What a policy remembers besides is its own (``hexsched.policies.memory``):
the engine knows nothing of it.

Every memory says which of its arrays are constant and which are scratch (``declare``). All others change during a run.

Calls are numbered in the order of (workflow id, call id), so a smaller number wins a tie (model M25).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, NamedTuple

import numpy as np

from hexsched.engine.by_address import by_address

Array = np.ndarray[Any, Any]
Records = np.recarray[Any, Any]  # an array of records whose fields read as attributes

_CONSTANT: dict[type, frozenset[str]] = {}
_SCRATCH: dict[type, frozenset[str]] = {}


def declare(memory: type, *, constant: Collection[str] = (), scratch: Collection[str] = ()) -> None:
    """Say which fields of a memory nobody writes to once they are made, and which are filled before they are read."""
    _CONSTANT[memory], _SCRATCH[memory] = frozenset(constant), frozenset(scratch)


def arrays(memory: Any, lifetime: Literal["constant", "scratch", "changing"]) -> list[Array]:
    """The arrays of a memory, and of those inside it, that are constant, scratch, or change during a run."""
    rows: list[Array] = []
    kind = type(memory)
    for name, part in zip(memory._fields, memory, strict=True):
        is_constant, is_scratch = name in _CONSTANT.get(kind, ()), name in _SCRATCH.get(kind, ())
        own = "constant" if is_constant else "scratch" if is_scratch else "changing"
        if hasattr(part, "_fields"):
            rows += arrays(part, lifetime)
        elif own == lifetime:
            rows.append(part)
    return rows


def bare(memory: Any) -> Any:
    """The same arrays, without what lets Python reach fields as attributes: compiled code is handed them faster."""
    if isinstance(memory, tuple):
        parts = map(bare, memory)
        return type(memory)(*parts) if hasattr(memory, "_fields") else tuple(parts)
    return memory.view(np.ndarray)


HEAP_ENTRY = np.dtype([("key", "f8"), ("code", "i8")], align=True)

# --- what may be observed --------------------------------------------------------------------------------------------

CALL = np.dtype(
    [
        # revealed at release
        ("workflow", "i8"),
        ("kind", "i8"),  # what kind of call it is: the number says no more than which calls are of the same kind
        ("n", "i8"),  # prompt tokens
        ("h", "i8"),  # cached prompt tokens
        ("estimate", "f8"),  # estimated output tokens; the true number once the call is complete
        ("needs_capacity", "i8"),  # the smallest KV cache of the cluster that can ever hold the call
        ("first_parent", "i8"),  # its parents are Seen.parents[first_parent : first_parent + parents]
        ("parents", "i8"),
        ("released", "f8"),
        ("best", "f8"),  # best_c under the estimate
        ("path", "f8"),  # longest standalone path of the workflow that ends with this call
        # what happened to it
        ("prefill_instance", "i8"),  # -1 before the prefill starts
        ("prefill_start", "f8"),
        ("prefill_end", "f8"),
        ("decode_instance", "i8"),  # -1 before admission
        ("admitted", "f8"),
        ("decode_start", "f8"),
        ("decode_end", "f8"),
        ("joined", "f8"),  # iterations its decode instance had done when it joined the batch
        ("seat", "i8"),  # where it stands among the calls admitted there
    ],
    align=True,
)

WORKFLOW = np.dtype(
    [
        ("arrival", "f8"),  # a_w
        ("horizon", "f8"),  # H_w(t)
        ("prefill_told", "f8"),  # all work of it, as told (model M42), seconds; 0 where nothing is told
        ("decode_told", "f8"),
        ("ended", "i8"),  # 1 once its last call is complete
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
    ],
    align=True,
)

LINK = np.dtype([("latency", "f8"), ("per_token", "f8")], align=True)  # lambda_ij; kappa / omega_ij, seconds a token


@by_address
class Seen(NamedTuple):
    """What may be observed. I, J: prefill and decode instances; N: calls; B: largest batch there can be."""

    clock: Records  # CLOCK (1,)
    calls: Records  # CALL (N,), blank before release
    workflows: Records  # WORKFLOW (W,), blank before the first release
    prefills: Records  # PREFILL (I,)
    decodes: Records  # DECODE (J,)
    batch_seconds: Array  # g_j(B), by kind of decode instance (largest max_batch + 1)
    links: Records  # LINK, from each kind of prefill instance to each kind of decode instance
    pairs: Array  # (k, 2): one (i, j) of each kind of pair
    released: Array  # (N,) calls released since the last decision, ascending; how many, says the clock
    prefilled: Array  # (N,) calls whose prefill ended since then, ascending
    completed: Array  # (N,) calls that completed since then, in the order in which they did
    parents: Array  # parents of the released calls, see CALL; blank for the others
    seats: Array  # (J, B) calls admitted to each decode instance


declare(
    Seen,
    constant={"batch_seconds", "links", "pairs"},
    scratch={"released", "prefilled", "completed", "parents", "seats"},
)


# --- what is true ----------------------------------------------------------------------------------------------------

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
        ("first_parent", "i8"),  # parents are Truth.parents[first_parent : first_parent + parents]
        ("parents", "i8"),
        ("missing", "i8"),  # how many of them are not complete yet
        ("first_child", "i8"),  # children are Truth.children[first_child : first_child + children]
        ("children", "i8"),
        ("path", "f8"),  # longest standalone path over its completed parents
        ("rest", "f8"),  # seconds that its application says come after it (model M40); 0 where that is not told
    ],
    align=True,
)

WORKFLOW_TRUTH = np.dtype(
    [
        ("horizon", "f8"),  # H_w
        ("told", "f8"),  # what is told of H_w with the first release (model M41), seconds; 0 where nothing is
        ("prefill_told", "f8"),  # the same of all its work (model M42)
        ("decode_told", "f8"),
        ("first_root", "i8"),  # calls without parents are Truth.roots[first_root : first_root + roots]
        ("roots", "i8"),
    ],
    align=True,
)

FLOW = np.dtype(
    [
        ("arrival", "f8"),  # a_w; inf in a closed loop while nothing has made way for it
        ("left", "i8"),  # its calls that are not complete yet
    ],
    align=True,
)

PROGRESS = np.dtype(
    [
        ("events", "i8"),  # entries in the event heap
        ("prefilling", "i8"),  # prefills that run: entries in the heap of their ends
        ("begun", "i8"),  # workflows whose arrival is known: all but in a closed loop
        ("arrived", "i8"),  # workflows that have arrived
        ("incomplete", "i8"),  # calls not complete yet
        ("oracle_horizon", "i8"),  # 1: reveal H_w instead of H_w(t) (an ablation)
        ("class_mean", "i8"),  # 1: estimates are running means per kind of call
        ("prior", "f8"),  # class_mean before anything has completed, tokens
    ],
    align=True,
)

KIND = np.dtype([("tokens", "f8"), ("count", "i8")], align=True)  # output tokens of completed calls of a kind


@by_address
class Truth(NamedTuple):
    """What is true, and known to the engine alone."""

    progress: Records  # PROGRESS (1,)
    calls: Records  # CALL_TRUTH (N,)
    workflows: Records  # WORKFLOW_TRUTH (W,)
    flows: Records  # FLOW (W,)
    parents: Array
    children: Array
    roots: Array
    arrival_order: Array  # workflows by (arrival, number); in a closed loop as they wait
    events: Records  # HEAP_ENTRY: releases after a delay (2 call) and ends of transfers (2 call + 1), by time
    reserved: Array  # (J,) KV tokens reserved
    least_need: Array  # (N / LINE_BLOCK + 1,) of each block of a line of calls, see ``actions``
    prefill_ends: Records  # HEAP_ENTRY (I,): instances by the time at which their prefill ends
    next_completion: Array  # (J,) and more: seconds, inf when the batch is empty
    completion_order: Array  # a tournament of these
    targets: Records  # HEAP_ENTRY (J, B): each batch by the iteration (fixed: the time) at which a call completes
    kinds: Records  # KIND (kinds + 1,), the last one for all kinds together


declare(
    Truth,
    constant={"workflows", "parents", "children", "roots", "arrival_order"},
    scratch={"events", "prefill_ends", "targets", "least_need"},
)


@by_address
class State(NamedTuple):
    """Both memories. Policies are handed it as ``actions``: what they may do, not what they may look at."""

    truth: Truth
    seen: Seen


def records(shape: int | tuple[int, int], dtype: np.dtype[Any]) -> Records:
    """Records of zeros."""
    return np.zeros(shape, dtype).view(np.recarray)


def record(dtype: np.dtype[Any], **values: float) -> Records:
    """One record, zero but for what is given."""
    row = records(1, dtype)
    for name, value in values.items():
        row[name] = value
    return row
