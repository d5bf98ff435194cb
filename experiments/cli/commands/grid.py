"""``hexsched grid``: many experiments from one file, kept in a store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import CHECK_FAILED
from experiments.cli.destination import STDOUT, check_destination, check_directory, deliver
from experiments.cli.options import Force, Json
from experiments.cli.output import Table, emit, facts, note
from hexsched.errors import InputError
from hexsched.printable import csv_bytes
from hexsched.registry import choices

if TYPE_CHECKING:
    import pandas as pd

    from experiments.grid.plan import Plan, Progress
    from experiments.grid.spec import Grid
    from experiments.store import Store

ANY_FAMILY = "bfcl"  # to count the cells of a grid that leaves workloads to the user
MOST_ERRORS = 10  # told one by one; the table ``errors`` has them all

GridFile = Annotated[str, typer.Argument(metavar="GRID", help="Grid file, or a name of 'hexsched grid list'.")]
StoreFolder = Annotated[Path, typer.Option("--store", metavar="DIR", help="Folder of the store.")]
DEFAULT_STORE = Path("out")  # where the figures look, too
Only = Annotated[str | None, typer.Option("--only", metavar="NAME", help="Of a file with named grids, this one.")]
MostCells = Annotated[
    int | None,
    typer.Option("--most-cells", min=1, metavar="N", help="How many cells a grid may have, 100,000 by default."),
]
Workloads = Annotated[
    list[str] | None,
    typer.Option(
        "--workloads",
        metavar="FILES",
        help="In place of the grid's: a family, a file, or all that match 'tables/*.jsonl'; may be repeated.",
    ),
]
Earlier = Annotated[
    list[str] | None,
    typer.Option(
        "--earlier",
        metavar="DIR",
        help="Another store, a finished one: gaps set out from the best it has of the same instance; may be repeated.",
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=1, max=1024, metavar="N", help="Processes.")]
Schedules = Annotated[bool, typer.Option("--schedules", help="Store the schedule of every run.")]


def add(app: typer.Typer) -> None:
    """Register the group."""
    group = typer.Typer(rich_markup_mode=None)
    group.callback(invoke_without_command=True)(grid)
    example = "Example: hexsched grid "
    group.command("list", epilog=f"{example}list")(list_command)
    group.command("show", epilog=f"{example}show real > mine.yaml")(show_command)
    group.command("kinds", epilog=f"{example}kinds")(kinds_command)
    group.command("plan", epilog=f"{example}plan paper --store results")(plan_command)
    group.command("run", epilog=f"{example}run smoke --store results --workers 2")(run_command)
    group.command("status", epilog=f"{example}status paper --store results")(status_command)
    group.command("export", epilog=f"{example}export paper --store results -o runs.csv")(export_command)
    group.command("prune", epilog=f"{example}prune paper ablation --store results --yes")(prune_command)
    app.add_typer(group, name="grid")


def grid(context: typer.Context) -> None:
    """Run grids of experiments, and keep every finished cell of them in a store."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def list_command(
    cells: Annotated[
        bool, typer.Option("--cells", help="Count the cells of each as well; all are planned for that: some seconds.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the grids that come with hexsched."""
    from experiments.grid.shipped import list_grids, outline

    rows, records = [], []
    for name, description, grids in map(outline, list_grids()):
        named = ", ".join(grids)
        counted = _cells(name) if cells else {}
        record = {"name": name, **counted, "grids": named, "description": description}
        records.append(record)
        number = [f"{counted['cells']:,}{' a workload' if 'per_workload' in counted else ''}"] if cells else []
        rows.append((name, *number, named, description))
    columns = ("name", *(["cells"] if cells else []), "named grids", "what it shows")
    emit({"grids": records}, [Table(columns, rows)], as_json)


def _cells(name: str) -> dict[str, object]:
    """How many cells a grid has, and whether that is for each workload."""
    from experiments.grid.plan import make_plan
    from experiments.grid.spec import NoWorkloadsError, read_grid

    try:
        return {"cells": len(make_plan(read_grid(name)).cells)}
    except NoWorkloadsError:
        return {"cells": len(make_plan(read_grid(name, workloads=[ANY_FAMILY])).cells), "per_workload": True}


def show_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of 'hexsched grid list'.")], as_json: Json = False
) -> None:
    """Print the file of a grid that comes with hexsched, to make one of your own of it."""
    from experiments.grid.shipped import shipped_grid

    text = shipped_grid(name).read_text(encoding="utf-8")
    if as_json:
        emit({"name": name, "file": text}, [], as_json)
    else:
        typer.echo(text, nl=False)


def kinds_command(as_json: Json = False) -> None:
    """List the kinds of cells, and what may stand in a grid file of each."""
    from experiments.grid.axes import AXES
    from experiments.grid.kinds import kinds_of_files
    from experiments.grid.spec import all_settings

    kinds, settings = kinds_of_files().values(), all_settings().values()
    record = {
        "kinds": [
            {
                "name": kind.name,
                "summary": kind.summary,
                "axes": list(kind.axes),
                "settings": [setting.name for setting in kind.settings],
                "tables": list(kind.tables),
                "example": f"kind: {kind.name}\n{kind.example}",
            }
            for kind in kinds
        ],
        "axes": [{"name": a.name, "singular": a.singular, "meaning": a.meaning} for a in AXES.values()],
        "settings": [{"name": s.name, "default": s.default, "meaning": s.meaning} for s in settings],
    }
    tables = [
        Table(
            ("kind", "what a cell computes", "axes and settings"),
            [(kind.name, kind.summary, ", ".join((*kind.axes, *(s.name for s in kind.settings)))) for kind in kinds],
        ),
        Table(("axis", "in filters", "an entry"), [(a.name, a.singular, a.meaning) for a in AXES.values()]),
        Table(("setting", "default", "what it is"), [(s.name, str(s.default), s.meaning) for s in settings]),
    ]
    emit(record, tables, as_json)


def plan_command(
    grid: GridFile,
    store: StoreFolder = DEFAULT_STORE,
    only: Only = None,
    workers: Workers = 2,
    schedules: Schedules = False,
    most_cells: MostCells = None,
    workloads: Workloads = None,
    earlier: Earlier = None,
    as_json: Json = False,
) -> None:
    """Say how many cells a grid has, how many are done, and how long the others should take."""
    from experiments.grid.display import duration
    from experiments.grid.estimate import estimate_seconds
    from experiments.store import Store
    from experiments.store.store import STORE_JSON

    plan = _plan(grid, only, schedules, most_cells, workloads, earlier)
    # what is there instead of a store, if anything, is for 'run' to complain of
    opened = Store.open(store) if os.path.exists(store / STORE_JSON) else None
    progress = plan.progress(opened)
    seconds, basis = estimate_seconds((plan.cells[key] for key in progress.to_do), opened, workers)
    record = {
        "grid": grid,
        "kinds": _by_kind(plan, progress),
        **_counts(progress),
        "started": plan.started,
        "workers": workers,
        "estimated_seconds": seconds,
        "basis": basis,
    }
    time_left = facts(
        *_started(plan.started),
        ("time left", f"about {duration(seconds)} with {workers} workers" if progress.to_do else "none"),
        ("from", basis or "nothing to do"),
    )
    emit(record, [_kinds_table(plan, progress), time_left], as_json)


def run_command(
    grid: GridFile,
    store: StoreFolder = DEFAULT_STORE,
    workers: Workers = 2,
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="ADDRESS", help="Run on this Dask scheduler (address or scheduler file)."),
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try cells again that have failed.")] = False,
    allow_plugins: Annotated[
        bool,
        typer.Option("--allow-plugins", help="Run the Python files that the grid names under 'plugins': look first."),
    ] = False,
    only: Only = None,
    schedules: Schedules = False,
    most_cells: MostCells = None,
    workloads: Workloads = None,
    earlier: Earlier = None,
    as_json: Json = False,
) -> None:
    """Compute what the store does not have yet; may be interrupted at any moment and run again.

    Results do not depend on the number of processes. The exit code is 1 when a cell failed: it is a row of the table
    errors, the others are not affected.
    """
    from experiments.grid.backend import Backend
    from experiments.grid.dask import DaskBackend
    from experiments.grid.local import LocalBackend
    from experiments.grid.plan import make_plan
    from experiments.grid.spec import check_allowed
    from experiments.grid.start import run_planned
    from experiments.store import Store
    from experiments.store.store import STORE_JSON

    def open_backend() -> Backend:
        if dask is None:
            return LocalBackend(workers)
        backend = DaskBackend(dask)
        if backend.threads() == 0:
            note("the Dask cluster has no workers yet; the grid waits for them")
        return backend

    read = _read(grid, only, most_cells, allow_plugins, workloads, earlier)
    check_allowed(read, allow_plugins)
    plan = make_plan(read, schedules)
    if os.path.exists(store / STORE_JSON) and (others := _other_versions(Store.open(store))):
        note(f"{others:,} cells here are of another version of the code; 'hexsched grid prune' removes them")
    try:
        done = run_planned(grid, plan, store, open_backend, retry_failed)
    except KeyboardInterrupt:
        note(f"finished cells are kept in {store}; the same command goes on from there")
        raise
    outcome = done.outcome
    record = {
        "grid": grid,
        "store": str(store),
        "cells": len(plan.cells),
        "started": plan.started,
        "computed": outcome.done,
        "already_done": done.done_before,
        "failed": outcome.failed,
        "failed_before": outcome.skipped,
        "errors": [{"cell": cell, "error": error} for cell, error in outcome.errors],
        "faults": [{"cell": cell, "fault": fault} for cell, fault in outcome.faults],
    }
    table = facts(
        ("cells", len(plan.cells)),
        *_started(plan.started),
        ("computed", outcome.done),
        ("done before", done.done_before),
        ("failed", outcome.failed),
        ("failed before", outcome.skipped),
    )
    emit(record, [table], as_json)
    _tell(outcome.errors, "failed")
    _tell(outcome.faults, "is stored, but")
    if outcome.failed or outcome.skipped:
        note("check failed: not every cell is done; --retry-failed tries those again that failed")
    if not done.ok:
        raise typer.Exit(CHECK_FAILED)


def status_command(
    grid: Annotated[str | None, typer.Argument(metavar="[GRID]", help="Only the cells of this grid.")] = None,
    store: StoreFolder = DEFAULT_STORE,
    only: Only = None,
    most_cells: MostCells = None,
    workloads: Workloads = None,
    earlier: Earlier = None,
    as_json: Json = False,
) -> None:
    """Say what a store has: cells by kind, what has failed and why, what is of another version of the code."""
    from experiments.store import Store
    from experiments.store.reading import read_cells
    from experiments.store.schema import SCHEDULES, markers

    opened = Store.open(store)
    damaged = opened.damaged({key for table in markers() for key in opened.keys(table)} | opened.keys("errors"))
    if damaged:
        note(f"{len(damaged):,} cells have a file that was changed or damaged; 'hexsched grid run' computes them again")
    present = sorted(opened.keys("errors") - damaged)
    failures = read_cells(opened, "errors", present).to_pandas()
    if grid is None:
        tables = {table: len(opened.keys(table)) for table in (*markers(), SCHEDULES)}
        gaps = read_cells(opened, "gaps", sorted(opened.keys("gaps") - damaged)).to_pandas()
        started = int(gaps.loc[gaps["start_sha256"].notna(), "key"].nunique())
        record: dict[str, object] = {"store": str(store), "tables": tables, "started": started}
        blocks = [Table(("table", "cells"), list(tables.items())), facts(*_started(started))]
    else:
        plan = _plan(grid, only, False, most_cells, workloads, earlier)
        progress = plan.progress(opened, whole=True)
        failures = failures[failures["key"].isin(progress.failed)]
        record = {"store": str(store), "grid": grid, "kinds": _by_kind(plan, progress), **_counts(progress)}
        record["started"] = plan.started
        blocks = [_kinds_table(plan, progress), facts(*_started(plan.started))]
    others = _other_versions(opened)
    blocks.append(facts(("of another version of the code", others)))
    columns = ("description", "error", "attempts")
    errors = [tuple(row) for row in failures[list(columns)].itertuples(index=False)]
    blocks.append(Table(("failed", "why", "attempts"), errors[:MOST_ERRORS]))
    if len(errors) > MOST_ERRORS:
        blocks.append(facts(("and", f"{len(errors) - MOST_ERRORS} more that failed")))
    record |= {
        "other_versions": others,
        "damaged": sorted(damaged),
        "errors": [dict(zip(columns, row, strict=True)) for row in errors],
    }
    emit(record, blocks, as_json)


def export_command(
    grid: GridFile,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="CSV file, - for standard output; a folder with a CSV each where the grid has several tables.",
        ),
    ],
    store: StoreFolder = DEFAULT_STORE,
    table: Annotated[
        str | None,
        typer.Option("--table", metavar="NAME", help="Table of the store; by default what the grid is about."),
    ] = None,
    only: Only = None,
    most_cells: MostCells = None,
    workloads: Workloads = None,
    earlier: Earlier = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the rows that a grid has in a store as CSV, in the order of the grid."""
    from experiments.store import Store, tables
    from hexsched.model.files import write_bytes

    plan = _plan(grid, only, False, most_cells, workloads, earlier)
    opened = Store.open(store)
    if table is not None and table not in tables():
        raise InputError(f"a store has no table {table!r}; {choices(table, tables(), 'its tables are')}", "--table")
    names = _main_tables(plan) if table is None else [table]
    if len(names) > 1 and output == STDOUT:
        raise InputError(f"the grid has the tables {', '.join(names)}; choose one, or give a folder with -o", "--table")
    if len(names) > 1:
        check_directory(output, [f"{name}.csv" for name in names], [], force=force)
    else:
        check_destination(output, [], as_json, "table", force)
    frames = {}
    cells = 0
    for name in names:
        present = opened.keys(name)
        keys = [key for key in plan.cells if key in present]
        if keys:
            frames[name] = _rows(opened, name, keys)
            cells += len(keys)
    if not frames:
        raise InputError(f"no cell of this grid has rows in table {' or '.join(names)} yet", store)
    progress = plan.progress(opened)
    if progress.to_do or progress.failed:
        note(f"not in {output}: {len(progress.to_do):,} cells that are to do, {len(progress.failed):,} that failed")
    rows = {name: len(frame) for name, frame in frames.items()}
    counted: dict[str, object] = {"tables": rows} if len(names) > 1 else {"table": names[0], "rows": rows[names[0]]}
    record = {"grid": grid, **counted, "output": output, **_counts(progress)}
    summary = [facts(*((f"rows of {name}", count) for name, count in rows.items()), ("cells", cells))]
    if len(names) == 1:
        deliver(output, lambda: csv_bytes(frames[names[0]]), record, summary, as_json)
        return
    for name, frame in frames.items():
        write_bytes(Path(output) / f"{name}.csv", csv_bytes(frame))
    emit(record, summary, as_json)


def prune_command(
    grids: Annotated[list[str] | None, typer.Argument(metavar="[GRID]...", help="Grids whose cells are kept.")] = None,
    store: StoreFolder = DEFAULT_STORE,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what would be.")] = False,
    most_cells: MostCells = None,
    as_json: Json = False,
) -> None:
    """Remove the cells that none of the grids has; without grids, those of another version of the code."""
    from experiments.store import Store, tables

    keep = {key for name in grids or () for key in _plan(name, None, False, most_cells).cells}

    def doomed(opened: Store) -> list[str]:
        present = {key for table in tables() for key in opened.keys(table)}
        return sorted(present - keep if grids else _other_keys(opened))

    if yes:
        with Store.writing(store, create=False) as opened:
            keys = doomed(opened)
            opened.remove(keys)
    else:
        keys = doomed(Store.open(store))
        if keys:
            note("nothing is removed yet; say --yes to remove them")
    emit({"cells": len(keys), "removed": yes, "keys": keys}, [facts(("cells to remove", len(keys)))], as_json)


def _plan(
    grid: str,
    only: str | None,
    schedules: bool,
    most_cells: int | None,
    workloads: list[str] | None = None,
    earlier: list[str] | None = None,
) -> Plan:
    from experiments.grid.plan import make_plan

    return make_plan(_read(grid, only, most_cells, workloads=workloads, earlier=earlier), schedules)


def _read(
    grid: str,
    only: str | None,
    most_cells: int | None,
    load_plugins: bool = False,
    workloads: list[str] | None = None,
    earlier: list[str] | None = None,
) -> Grid:
    from experiments.grid.spec import MOST_CELLS, read_grid

    most = MOST_CELLS if most_cells is None else most_cells
    return read_grid(grid, only, most, load_plugins=load_plugins, workloads=workloads or (), earlier=earlier or ())


def _started(count: int) -> list[tuple[str, object]]:
    """A line on how many cells set out from an earlier store, where any do."""
    return [("set out from an earlier store", count)] if count else []


def _counts(progress: Progress) -> dict[str, int]:
    return {"done": len(progress.done), "to_do": len(progress.to_do), "failed": len(progress.failed)}


def _by_kind(plan: Plan, progress: Progress) -> dict[str, dict[str, int]]:
    by_kind: dict[str, dict[str, int]] = {}
    for key, cell in plan.cells.items():
        counts = by_kind.setdefault(cell.kind.name, {"cells": 0, "done": 0, "to_do": 0, "failed": 0})
        state = "done" if key in progress.done else "failed" if key in progress.failed else "to_do"
        counts["cells"] += 1
        counts[state] += 1
    return by_kind


def _kinds_table(plan: Plan, progress: Progress) -> Table:
    rows = [(kind, *counts.values()) for kind, counts in _by_kind(plan, progress).items()]
    return Table(("kind", "cells", "done", "to do", "failed"), rows)


def _other_keys(opened: Store) -> set[str]:
    """Keys of finished cells of another version of the code, and of failed ones that no present cell can have."""
    from experiments.grid.code import code_version
    from experiments.grid.kinds import KINDS
    from experiments.store import tables
    from experiments.store.store import version_of

    present = {code_version(kind) for kind in KINDS}
    return {key for table in tables() for key in opened.keys(table) if version_of(key) not in present}


def _other_versions(opened: Store) -> int:
    return len(_other_keys(opened))


def _main_tables(plan: Plan) -> list[str]:
    """The tables of the cells that the grid is about; load searches only serve them."""
    return list(dict.fromkeys(cell.kind.marker for cell in plan.cells.values() if cell.kind.cells is not None))


def _rows(opened: Store, table: str, keys: list[str]) -> pd.DataFrame:
    from experiments.store.reading import read_cells

    frame: pd.DataFrame = read_cells(opened, table, keys).to_pandas()
    return frame


def _tell(cells: list[tuple[str, str]], what: str) -> None:
    for cell, why in cells[:MOST_ERRORS]:
        note(f"{cell} {what}: {why}")
    if len(cells) > MOST_ERRORS:
        note(f"and {len(cells) - MOST_ERRORS} more")
