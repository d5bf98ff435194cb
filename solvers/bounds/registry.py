"""Every lower bound by name. To add one: a module with a ``Bound`` in it, and its name here."""

from __future__ import annotations

from hexsched.errors import InputError
from hexsched.policies.registry import suggest
from solvers.bounds import capacity_prices, critical_path, load, preemptive_lp, single_machine, time_indexed_lp
from solvers.bounds.bound import Bound

MODULES = (critical_path, load, single_machine, preemptive_lp, time_indexed_lp, capacity_prices)  # cheap ones first
CHEAP = tuple(module.BOUND for module in (critical_path, load, single_machine))  # no linear program, no search
BOUNDS: dict[str, Bound] = {module.BOUND.name: module.BOUND for module in MODULES}


def bound(name: str) -> Bound:
    """The bound of that name; ``InputError`` when there is none."""
    if name not in BOUNDS:
        raise InputError(f"unknown bound {name!r}{suggest(name, BOUNDS)}")
    return BOUNDS[name]
