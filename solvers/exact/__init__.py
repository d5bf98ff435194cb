"""Formulations of the offline problem, a module each; ``parts``, ``cp`` and ``milp`` hold what they are made of.

To add one: a module here with a ``FORMULATION`` in it.
"""

from hexsched.registry import Registry
from solvers.exact.parts.formulation import Formulation

FORMULATIONS: Registry[Formulation] = Registry(
    __name__, "FORMULATION", "formulation", rank=lambda one: not one.exact, group="hexsched.formulations"
)

__all__ = ["FORMULATIONS"]
