"""Online policies: ``orders`` say which call goes first, ``placements`` where it goes, ``registry`` what there is.

``planning`` and ``queueing`` are the two ways to combine an order with a placement: planned anew at every decision
epoch, or bound when a call becomes ready. What they remember is in ``memory``; in ``decide`` they meet the engine.
"""

from hexsched.policies.placements import PLACEMENTS
from hexsched.policies.registry import (
    Policy,
    policies,
    read_policy,
    register,
    register_order,
    register_policy,
    unregister,
)

__all__ = [
    "PLACEMENTS",
    "Policy",
    "policies",
    "read_policy",
    "register",
    "register_order",
    "register_policy",
    "unregister",
]
