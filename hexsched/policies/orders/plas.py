"""PLAS: program-level attained service (Autellix, arXiv 2502.13965): the workflow that was served least goes first."""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.orders.parts.attained_service import ATTAINED_SERVICE, OPTIONS, SOURCE, queue_key
from hexsched.policies.parts.order import Order


@kernel
def plas_key(seen, memory, settings, c, stage):
    """The queue of the workflow's service first, arrival in it second."""
    return queue_key(seen, memory, settings, c, memory.workflows[seen.calls[c].workflow].attained)


ORDER = Order(
    name="plas",
    summary="least attained service of the workflow, in discretised queues",
    source=SOURCE,
    key=plas_key,
    rank=7,
    placement="earliest-finish",
    options=OPTIONS,
    promotes=True,
    books=ATTAINED_SERVICE,
)
