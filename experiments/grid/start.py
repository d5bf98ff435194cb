"""Running a grid as a whole: read, planned, computed into a store."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.grid.display import display
from experiments.grid.local import LocalBackend
from experiments.grid.plan import Plan, make_plan
from experiments.grid.run import Outcome, run_plan
from experiments.grid.spec import MOST_CELLS, check_allowed, read_grid
from experiments.store import Store, read_table
from hexsched.display import Summary, displayed
from hexsched.errors import InputError, warn
from hexsched.progress import Progress, Wanted

if TYPE_CHECKING:
    import pandas as pd

    from experiments.grid.backend import Backend

DEFAULT_STORE = "runs"


@displayed
@dataclass(frozen=True, repr=False)
class GridRun:
    """How running a grid went.

    Attributes
    ----------
    name : str
        The grid's.
    store : Path
    plan : Plan
    done_before : int
        Cells that the store had.
    outcome : Outcome
        What was computed, what failed and why.
    """

    name: str
    store: Path
    plan: Plan
    done_before: int
    outcome: Outcome

    @property
    def ok(self) -> bool:
        """Whether every cell is done and right."""
        return not (self.outcome.failed or self.outcome.skipped or self.outcome.faults)

    def to_frame(self, table: str | None = None) -> pd.DataFrame:
        """The rows of this grid in a table of the store, by default the one that the grid is about."""
        name = next(iter(self.plan.cells.values())).kind.marker if table is None else table
        frame = read_table(self.store, name)
        return frame[frame["key"].isin(self.plan.cells)].reset_index(drop=True)

    def _summary(self) -> Summary:
        outcome = self.outcome
        facts = {
            "store": self.store,
            "cells": len(self.plan.cells),
            "computed": outcome.done,
            "done before": self.done_before,
            "failed": outcome.failed + outcome.skipped or None,
        }
        rows = [{"cell": cell, "error": error} for cell, error in (*outcome.errors, *outcome.faults)]
        return Summary(self.name, facts, rows[:10], len(rows), text=True)


def run_grid(
    grid: str | Path | Mapping[str, Any],
    store: str | Path = DEFAULT_STORE,
    *,
    only: str | None = None,
    workers: int = 2,
    schedules: bool = False,
    retry_failed: bool = False,
    progress: Wanted = None,
    most_cells: int = MOST_CELLS,
    allow_plugins: bool = False,
    workloads: Sequence[str] = (),
    earlier: str | Path | Sequence[str | Path] = (),
) -> GridRun:
    """Compute the cells of a grid that a store does not have yet; may be interrupted at any moment and run again.

    Workers are processes of their own: in a script, call it below ``if __name__ == "__main__":``. Policies of your own
    stand in a file that the grid names under ``plugins``, which is run only where ``allow_plugins`` says so.

    Parameters
    ----------
    grid : str, Path or mapping
        A grid that comes with hexsched, a YAML file, or a mapping with the keys of such a file (paths in it are
        relative to the working directory).
    store : str or Path
        The folder of results; made where there is none.
    only : str, optional
        The one named grid to run.
    workers : int
        Processes; results do not depend on it.
    schedules : bool
        Store the schedule of every run.
    retry_failed : bool
        Try cells again that have failed.
    progress : bool or callable, optional
        False for nothing that says how far it is; a function is called in its place with (cells done, cells).
    most_cells : int
        How many cells the grid may have.
    allow_plugins : bool
        Run the Python files that the grid names under ``plugins``.
    workloads : sequence of str
        Families, files, or patterns of files, in place of the grid's; relative to the working directory.
    earlier : str, Path or sequence of these
        Other stores, finished ones: gaps set out from the best of what they have of the same instance and objective.

    Returns
    -------
    GridRun

    Raises
    ------
    InputError
        Naming file, line and key of the grid; when the folder is no store, or in use.

    Examples
    --------
    >>> import experiments
    >>> grid = {"clusters": "demo", "workloads": "bfcl", "workflows": 5, "policies": ["hexagent", "fcfs"]}
    >>> experiments.run_grid(grid, "runs").to_frame()["req95"]  # doctest: +SKIP
    """
    before = [str(path) for path in ([earlier] if isinstance(earlier, str | Path) else earlier)]
    read = read_grid(grid, only, most_cells, load_plugins=allow_plugins, workloads=workloads, earlier=before)
    check_allowed(read, allow_plugins)
    plan = make_plan(read, schedules)
    return run_planned(read.name, plan, Path(store), lambda: LocalBackend(workers), retry_failed, progress)


def run_planned(
    name: str,
    plan: Plan,
    store: Path,
    backend: Any,
    retry_failed: bool = False,
    progress: Wanted = None,
) -> GridRun:
    """Run a plan into a store; ``backend`` is a function that opens what computes, and is called only if needed."""
    for path in plan.earlier:
        if os.path.realpath(path) == os.path.realpath(store):
            raise InputError("cells cannot set out from the store that they go to; choose another --store", store)
    with Store.writing(store) as opened:
        before = plan.progress(opened, whole=True)
        if before.damaged:
            warn(f"{len(before.damaged):,} cells have a file that was changed or damaged; they are computed again")
        outcome = Outcome(skipped=len(before.failed))
        if before.to_do or (retry_failed and before.failed):
            outcome = _run(name, plan, opened, backend(), retry_failed, progress)
    return GridRun(name, store, plan, len(before.done), outcome)


def _run(name: str, plan: Plan, store: Store, backend: Backend, retry_failed: bool, progress: Wanted) -> Outcome:
    if progress is None:  # on a terminal with the pace and what has failed
        with display(name) as show:
            return run_plan(plan, store, backend, retry_failed=retry_failed, on_progress=show)
    with Progress(f"grid {name}", "cells", progress) as report:
        return run_plan(
            plan,
            store,
            backend,
            retry_failed=retry_failed,
            on_progress=lambda outcome, total: report(outcome.done + outcome.failed, total),
        )
