"""The plan: every cell of a grid, what each needs, and how far a store has got."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from experiments.grid import settings
from experiments.grid.cell import Cell
from experiments.grid.expand import points
from experiments.grid.kinds.load import LoadCell
from experiments.grid.spec import Grid
from experiments.store.schema import ERRORS, PROVENANCE, SCHEDULES, TIMINGS, tables
from experiments.store.store import Store
from hexsched.errors import InputError


@dataclass(frozen=True)
class Plan:
    """The cells of a grid, each once.

    Attributes
    ----------
    cells : dict of str to Cell
        By key, in the order of the file; load searches stand before what needs them.
    folder : Path
        What paths of its grid are relative to.
    earlier : tuple of str
        Stores from which its cells may set out.
    """

    cells: dict[str, Cell]
    folder: Path = Path()
    earlier: tuple[str, ...] = ()

    @property
    def started(self) -> int:
        """How many cells set out from what an earlier store has."""
        return sum(cell.started_from is not None for cell in self.cells.values())

    def progress(self, store: Store | None, *, whole: bool = False) -> Progress:
        """What a store has of it; nothing where there is no store.

        Where ``whole`` is asked for, every file of the finished cells is read: damaged ones are to do.
        """
        if store is None:
            return Progress(set(), set(), set(self.cells))
        there = {table: store.keys(table) for table in (*tables(), SCHEDULES)}
        done = {
            key
            for key, cell in self.cells.items()
            if all(key in there[table] for table in (*cell.kind.tables, TIMINGS, PROVENANCE))  # none was removed
            and (key in there[SCHEDULES] or not cell.wants_schedule)
        }
        failed = (store.keys(ERRORS) & self.cells.keys()) - done
        damaged = store.damaged(done | failed) if whole else set()
        done, failed = done - damaged, failed - damaged
        return Progress(done, failed, self.cells.keys() - done - failed, damaged)


@dataclass(frozen=True)
class Progress:
    """Keys of the cells that are done, have failed, and are to do; of these, those with a damaged file."""

    done: set[str]
    failed: set[str]
    to_do: set[str]
    damaged: set[str] = field(default_factory=set)


def make_plan(grid: Grid, schedules: bool = False) -> Plan:
    """The plan of a grid.

    Parameters
    ----------
    grid : Grid
    schedules : bool
        Store the schedule of every run.

    Raises
    ------
    InputError
        When a filter leaves nothing, or speaks of what there is not.
    """
    cells: dict[str, Cell] = {}
    earlier: dict[str, None] = {}
    searches: dict[object, LoadCell] = {}
    for section in grid.sections:
        thinned = points(section, grid.most_cells)
        if schedules:
            thinned = [point.changed(settings.SCHEDULES, True) for point in thinned]
        if {"workloads", "workflows"} <= set(section.kind.axes):
            whole = [point for point in thinned if not dict(point.settings).get(settings.SAMPLE.name)]
            for workload, workflows in {(point["workloads"], point["workflows"]): None for point in whole}:
                workload.check_size(workflows)
        for point in thinned:
            if (stores := dict(point.settings).get(settings.EARLIER.name)) is not None:
                earlier |= dict.fromkeys(stores.paths)
        assert section.kind.cells is not None
        for cell in section.kind.cells(thinned, grid.plugins):
            needed = cell.needs
            if needed is not None:
                needed = searches.setdefault(needed.scene, needed)
                cells.setdefault(needed.key, needed)
            if cell.key not in cells or cell.wants_schedule:
                cells[cell.key] = cell
    if not cells:
        raise InputError("no cell is left: the filters drop them all", grid.name)
    return Plan(cells, grid.folder, tuple(earlier))
