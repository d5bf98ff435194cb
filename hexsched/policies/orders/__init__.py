"""Orders: which waiting call goes first, a module each.

To add one: a module here with an ``ORDER`` in it; or, without compiling anything, a plain Python function
(``hexsched.order``).
"""

from hexsched.policies.parts.order import Order
from hexsched.registry import Registry

ORDERS: Registry[Order] = Registry(__name__, "ORDER", "policy", rank=lambda order: order.rank, group="")

__all__ = ["ORDERS"]
