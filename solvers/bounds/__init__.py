"""Lower bounds on the optimum, a module each; ``parts``, ``windows`` and ``prices`` hold what they are made of.

To add one: a module here with a ``BOUND`` in it.
"""

from hexsched.registry import Registry
from solvers.bounds.parts.bound import Bound, Cost

BOUNDS: Registry[Bound] = Registry(__name__, "BOUND", "bound", rank=lambda bound: (bound.cost, bound.share))


def costing(cost: Cost) -> list[Bound]:
    """The bounds that take so much."""
    return [bound for bound in BOUNDS.values() if bound.cost == cost]


def cheap() -> list[Bound]:
    """The bounds that take no linear program and no search."""
    return costing(Cost.AT_ONCE)


__all__ = ["BOUNDS", "cheap", "costing"]
