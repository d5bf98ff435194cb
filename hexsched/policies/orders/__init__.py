"""Orders: which waiting call goes first. A key is in the field's own unit; the least key is served first.

One file an order. To add one: write ``key`` in a file of its own, give it a number in ``ORDERS`` and a line in
``order_key``; or, without compiling anything, register a plain Python function (``hexsched.policies.registry``).
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.orders.atlas import atlas_key
from hexsched.policies.orders.critical_path import critical_path_key
from hexsched.policies.orders.edf import edf_key
from hexsched.policies.orders.fcfs import fcfs_key
from hexsched.policies.orders.plas import plas_key
from hexsched.policies.orders.risk import risk_key
from hexsched.policies.orders.sjf import sjf_key
from hexsched.policies.orders.workflow_fcfs import workflow_fcfs_key
from hexsched.policies.orders.workflow_llf import workflow_llf_key

FCFS, WORKFLOW_FCFS, WORKFLOW_LLF, EDF, SJF, PLAS, ATLAS, CRITICAL_PATH, RISK, PYTHON = range(10)


@kernel
def order_key(board, settings, c, stage):
    """Priority of call ``c`` in the prefill (``stage`` 0) or decode (1) queue."""
    order = settings.order
    if order == FCFS:
        return fcfs_key(board, settings, c, stage)
    if order == WORKFLOW_FCFS:
        return workflow_fcfs_key(board, settings, c, stage)
    if order == WORKFLOW_LLF:
        return workflow_llf_key(board, settings, c, stage)
    if order == EDF:
        return edf_key(board, settings, c, stage)
    if order == SJF:
        return sjf_key(board, settings, c, stage)
    if order == PLAS:
        return plas_key(board, settings, c, stage)
    if order == ATLAS:
        return atlas_key(board, settings, c, stage)
    if order == CRITICAL_PATH:
        return critical_path_key(board, settings, c, stage)
    if order == RISK:
        return risk_key(board, settings, c, stage)
    return board.calls[c].python_key  # PYTHON: set by a plain Python order before the decision
