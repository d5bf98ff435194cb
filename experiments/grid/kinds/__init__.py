"""Kinds of cells. To add one: a module here with its cells, its axes in ``spec``, its table in the store's schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from experiments.grid.cell import Cell
from experiments.grid.expand import Point
from experiments.grid.kinds import gap, simulate, solve
from experiments.grid.sources import Plugin

# kind -> from points and the plugins by policy to cells
KINDS: dict[str, Callable[[Sequence[Point], dict[str, Plugin]], list[Cell]]] = {
    "simulate": simulate.cells,
    "gap": gap.cells,
    "solve": solve.cells,
}
