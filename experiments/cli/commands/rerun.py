"""``hexsched rerun``: stored rows made again and compared."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import CHECK_FAILED
from experiments.cli.commands.grid import DEFAULT_STORE, StoreFolder
from experiments.cli.options import Json
from experiments.cli.output import Table, emit, note
from hexsched.printable import shortened
from hexsched.progress import Progress

if TYPE_CHECKING:
    from experiments.grid.rerun import Rerun


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("rerun", epilog="Example: hexsched rerun 3f2a9c11 --store results")(rerun_command)


def rerun_command(
    cells: Annotated[
        list[str],
        typer.Argument(
            metavar="CELL...", help="Keys, as in the first column of 'hexsched grid export', or their start."
        ),
    ],
    store: StoreFolder = DEFAULT_STORE,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Where its files are; by default where the grid file was."),
    ] = None,
    allow_plugins: Annotated[
        bool, typer.Option("--allow-plugins", help="Run the Python files that the cells need: look first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make stored rows again from their inputs, and compare every number.

    The exit code is 1 when an input has changed or a number differs. What depends on how far a solver gets in its time
    limit is told and not counted; a bound above the other run's schedule is.
    """
    from experiments.grid.rerun import find_cells, rerun
    from experiments.store import Store

    opened = Store.open(store)
    keys = find_cells(opened, cells)
    results = []
    with Progress("making again", "cells") as progress:
        for position, key in enumerate(keys):
            progress.show(f"{key} ({position + 1} of {len(keys)})")
            results.append(rerun(opened, key, folder=folder, allow_plugins=allow_plugins))
    ok = all(result.ok for result in results)
    record = {"store": str(store), "ok": ok, "cells": [_record(result) for result in results]}
    emit(record, _tables(results), as_json)
    for result in results:
        for line in (*result.changed, *([result.error] if result.error else [])):
            note(f"check failed: {result.key}: {line}")
    if not ok:
        raise typer.Exit(CHECK_FAILED)


def _record(result: Rerun) -> dict[str, object]:
    return {
        "key": result.key,
        "description": result.description,
        "verdict": result.verdict,
        "compared": result.compared,
        "differences": [asdict(each) for each in result.differences],
        "changed": result.changed,
        "versions": {name: {"then": then, "now": now} for name, (then, now) in result.versions.items()},
        "error": result.error,
    }


def _tables(results: list[Rerun]) -> list[Table]:
    cells = [(one.key, one.description, one.verdict, one.compared) for one in results]
    differences = [
        (
            one.key,
            each.table,
            each.column,
            each.rows,
            shortened(repr(each.then)),
            shortened(repr(each.now)),
            _counted(each.timed),
        )
        for one in results
        for each in one.differences
    ]
    others = dict.fromkeys((name, *pair) for one in results for name, pair in one.versions.items())
    return [
        Table(("cell", "what", "verdict", "compared"), cells),
        Table(("cell", "table", "column", "rows", "then", "now", "counted"), differences),
        Table(("another version of", "then", "now"), list(others)),
    ]


def _counted(timed: bool) -> str:
    return "no: a matter of time" if timed else "yes"
