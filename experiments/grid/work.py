"""Computing cells, in whatever process that happens: nothing is read from or written to disk."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass

from experiments.grid.cell import Cell
from experiments.grid.code import code_version
from experiments.grid.provenance import provenance
from experiments.store.schema import ERRORS, INSTANCES, PROVENANCE, SCHEDULES, TIMINGS, encode, tables
from experiments.store.store import CellFiles
from hexsched import __version__

ERROR_LENGTH = 500  # characters of an error that are stored


@dataclass(frozen=True)
class Task:
    """Cells that one process computes one after another.

    Attributes
    ----------
    cells : tuple of Cell
        All of one group and kind.
    rate : float or None
        What the load search they need has found.
    folder : str
        What paths of their grid are relative to.
    """

    cells: tuple[Cell, ...]
    rate: float | None = None
    folder: str = ""


@dataclass(frozen=True)
class Result:
    """What came of one cell.

    Attributes
    ----------
    key : str
    files : CellFiles or None
        None when it failed.
    error : str
        One line; why it failed.
    rate : float or None
        Of a load search.
    fault : str
        As in ``Answer``.
    """

    key: str
    files: CellFiles | None
    error: str = ""
    rate: float | None = None
    fault: str = ""


class OtherCodeError(Exception):
    """This process has other code than the one that planned the cell."""


def warm_up() -> None:
    """Have the simulator compiled, or its machine code read from the cache, so that no cell pays for it."""
    from hexsched.simulator import warm_up_simulator

    warm_up_simulator()


def run_task(task: Task) -> Iterator[Result]:
    """Compute the cells of a task; one that fails does not keep the others from it.

    Raises
    ------
    OtherCodeError
        When this process would compute something else than what was planned.
    """
    for cell in task.cells:
        planned, here = cell.key.partition("-")[0], code_version(cell.kind.name)
        if here != planned:
            raise OtherCodeError(f"code version {here} here, {planned} where the grid was planned")
        yield _compute(cell, task.rate, task.folder)


def prepare(cell: Cell) -> None:
    """Load and compile what a cell needs; raises ``InputError`` for a mistake in a plug-in."""
    for plugin in cell.plugins:
        plugin.load()
    cell.kind.warm_up()


def _compute(cell: Cell, rate: float | None, folder: str) -> Result:
    try:
        prepare(cell)
        wall, cpu = time.perf_counter(), _cpu_seconds()
        answer = cell.compute(rate)
        wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
        timing = {
            **dict.fromkeys(tables()[TIMINGS].columns),
            "kind": cell.kind.name,
            "wall_seconds": wall,
            "cpu_seconds": cpu,
            "hexsched_version": __version__,
            "host": platform.node(),
            "folder": folder,
            **answer.timing,
        }
        rows_of = {
            **dict.fromkeys(cell.kind.tables, ()),
            **answer.tables,
            TIMINGS: [timing],
            PROVENANCE: [provenance(cell)],
        }
        data = {name: encode(name, [{**row, "key": cell.key} for row in rows]) for name, rows in rows_of.items()}
        if answer.schedule is not None:
            data[SCHEDULES] = answer.schedule
        if answer.instance is not None:
            data[INSTANCES] = answer.instance
        return Result(cell.key, CellFiles(cell.key, cell.kind.marker, data), "", answer.rate, answer.fault)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit too: a plugin does not end the program
        text = str(error) if type(error).__name__ == "InputError" else f"{type(error).__name__}: {error}"
        return Result(cell.key, None, " ".join(text.split())[:ERROR_LENGTH])


def error_files(cell: Cell, error: str, attempts: int) -> CellFiles:
    """The row of a cell that failed."""
    row = {
        "key": cell.key,
        "kind": cell.kind.name,
        "description": cell.description,
        "error": error,
        "attempts": attempts,
    }
    return CellFiles(cell.key, ERRORS, {ERRORS: encode(ERRORS, [row])})


def _cpu_seconds() -> float:
    """Of this process, its threads, and its children that have ended: solvers have both."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
