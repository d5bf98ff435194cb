"""ATLAS: adaptive thread-level attained service (Autellix, arXiv 2502.13965).

As PLAS, but what counts for a call is the longest service along any chain of completed calls that leads to it, so that
a branch is not held back by its siblings.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.orders.parts.attained_service import ATTAINED_SERVICE, OPTIONS, SOURCE, queue_key
from hexsched.policies.parts.order import Order


@kernel
def atlas_key(seen, memory, settings, c, stage):
    """The queue of the call's chain first, arrival in it second."""
    return queue_key(seen, memory, settings, c, memory.calls[c].attained)


ORDER = Order(
    name="atlas",
    summary="least attained service of the call's longest chain, in discretised queues",
    source=SOURCE,
    key=atlas_key,
    rank=8,
    placement="earliest-finish",
    options=OPTIONS,
    promotes=True,
    books=ATTAINED_SERVICE,
)
