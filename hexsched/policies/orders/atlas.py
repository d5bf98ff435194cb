"""ATLAS: adaptive thread-level attained service (Autellix, arXiv 2502.13965), in discretised queues.

As PLAS, but what counts for a call is the longest service along any chain of completed calls that leads to it, so that
a branch is not held back by its siblings.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.orders.plas import queue_key


@kernel
def atlas_key(board, settings, c, stage):
    """The queue of the call's chain first, arrival in it second."""
    call = board.calls[c]
    return queue_key(board, settings, call, call.attained)
