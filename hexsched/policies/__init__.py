"""Online policies: ``orders`` say which call goes first, ``placements`` where it goes, ``registry`` what there is.

``planning`` and ``queueing`` are the two ways to combine an order with a placement: planned anew at every decision
epoch, or bound when a call becomes ready. What they remember is in ``memory``; in ``decide`` they meet the engine.
"""

from hexsched.policies.lists import read_policies
from hexsched.policies.placements import PLACEMENTS
from hexsched.policies.registry import (
    Policy,
    as_policy,
    list_placements,
    order,
    placement,
    policies,
    policy,
    read_policy,
    register,
    registered,
    registered_since,
    unregister,
)

__all__ = [
    "PLACEMENTS",
    "Policy",
    "as_policy",
    "list_placements",
    "order",
    "placement",
    "policies",
    "policy",
    "read_policies",
    "read_policy",
    "register",
    "registered",
    "registered_since",
    "unregister",
]
