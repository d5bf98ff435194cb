"""Online policies: ``orders`` say which call goes first, ``placements`` where it goes, ``registry`` what there is.

``dispatch`` and ``planner`` are the two ways to combine an order with a placement: bound when a call becomes ready, or
planned anew at every decision epoch.
"""

from hexsched.policies import catalogue as _catalogue  # fills the registry
from hexsched.policies.registry import (
    PLACEMENTS,
    Policy,
    policies,
    policy,
    register,
    register_order,
    register_policy,
    unregister,
)

del _catalogue

__all__ = [
    "PLACEMENTS",
    "Policy",
    "policies",
    "policy",
    "register",
    "register_order",
    "register_policy",
    "unregister",
]
