"""Placements: which instance a call goes to, a module each.

To add one: a module here with a ``PLACEMENT`` in it.
"""

from hexsched.policies.parts.placement import Placement
from hexsched.registry import Registry

PLACEMENTS: Registry[Placement] = Registry(
    __name__, "PLACEMENT", "placement", rank=lambda placement: placement.rank, group=""
)

__all__ = ["PLACEMENTS"]
