"""Kinds of cells, a module each.

To add one: a module here with a ``KIND`` in it.
"""

from experiments.grid.kind import Kind
from hexsched.registry import Registry

KINDS: Registry[Kind] = Registry(__name__, "KIND", "kind", rank=lambda kind: kind.rank)


def kinds_of_files() -> dict[str, Kind]:
    """The kinds that a grid file can ask for; cells of the others are made because these need them."""
    return {name: kind for name, kind in KINDS.items() if kind.cells is not None}


__all__ = ["KINDS", "kinds_of_files"]
