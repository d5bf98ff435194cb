"""What a kind of cell says of itself. Grid files, the store's tables, estimates and the commands follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from experiments.grid.axes import Value
from experiments.grid.settings import Setting

if TYPE_CHECKING:
    from experiments.grid.cell import Cell
    from experiments.grid.expand import Point
    from experiments.grid.sources import Plugin

Columns = Mapping[str, str]  # name -> type, one of those of ``experiments.store.schema``


@dataclass(frozen=True)
class Kind:
    """A kind of cell.

    Attributes
    ----------
    name : str
        What a grid file calls it.
    summary : str
        One line on what a cell computes.
    tables : dict of str to columns
        What its cells add to the store, without the key. A row of the first table means that a cell is done.
    cells : callable or None
        From points and the plugins by policy to cells. None: cells of other kinds need them, no grid file asks for
        them.
    axes : dict of str to tuple or None
        The names of its axes (of ``AXES``), each with the values it has where a file gives none; with None a file
        must give some.
    settings : tuple of Setting
    example : str
        A grid file of this kind, but for its name, whose cells take seconds; the contract test runs it.
    timing : columns
        What its cells add to the table ``timings``.
    sources : tuple of str
        Files and folders that its results depend on, besides what all kinds share: absolute, or from the root of the
        source tree. The kind's own file is one of them.
    alike : tuple of str
        Columns of its first table that are known before a cell is computed (``Cell.case``): cells with the same values
        there take about as long.
    amount : str
        The one of these columns that the time of cells that are not alike is in proportion to.
    seconds : float
        Wall-clock seconds a unit of ``amount``, where the store has no cell of this kind to go by.
    timed : dict of str to tuple
        By table, the columns that depend on how far a cell got in its time limit, and so on the machine.
    bracket : (str, str) or None
        The columns of a lower bound and of a value in its first table: the bound of one run is never above the value
        of another.
    warm_up : callable
        Compiles what its cells run besides the simulator; called before the clock of a cell starts.
    rank : int
        Kinds are listed by rank, then by name.
    """

    name: str
    summary: str
    tables: Mapping[str, Columns]
    alike: tuple[str, ...]
    amount: str
    seconds: float
    sources: tuple[str, ...]
    cells: Callable[[Sequence[Point], Sequence[Plugin]], list[Cell]] | None = None
    axes: Mapping[str, tuple[Value, ...] | None] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()
    example: str = ""
    timing: Columns = field(default_factory=dict)
    timed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bracket: tuple[str, str] | None = None
    warm_up: Callable[[], None] = lambda: None
    rank: int = 100

    @property
    def marker(self) -> str:
        """The table whose rows mean that a cell is done."""
        return next(iter(self.tables))
