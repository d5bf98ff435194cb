"""Every formulation by name. To add one: a module with a ``Formulation`` in it, and its name here."""

from __future__ import annotations

from hexsched.errors import InputError
from hexsched.policies.registry import suggest
from solvers.formulations import cpsat, milp_disjunctive, milp_event, milp_placement, milp_time_indexed
from solvers.formulations.formulation import Formulation

MODULES = (cpsat, milp_disjunctive, milp_time_indexed, milp_event, milp_placement)
FORMULATIONS: dict[str, Formulation] = {module.FORMULATION.name: module.FORMULATION for module in MODULES}


def formulation(name: str) -> Formulation:
    """The formulation of that name; ``InputError`` when there is none."""
    if name not in FORMULATIONS:
        raise InputError(f"unknown formulation {name!r}{suggest(name, FORMULATIONS)}")
    return FORMULATIONS[name]
