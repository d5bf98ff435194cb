"""Constraint programming over whole ticks, with CP-SAT.

Read in this order: ``ticked`` (the problem in ticks), ``variables``, ``constraints``, ``objective``,
``energy`` and ``bracket`` (for the largest ratio), ``search``.
"""

from solvers.formulations.cpsat.search import FORMULATION

__all__ = ["FORMULATION"]
