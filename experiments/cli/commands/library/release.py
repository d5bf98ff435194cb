"""``hexsched library release``: the library as a folder to publish."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.commands.library.shared import Archive, read_known
from experiments.cli.destination import check_directory
from experiments.cli.options import Json
from experiments.cli.output import emit, facts
from hexsched.errors import InputError


def add(library: typer.Typer) -> None:
    """Register the command."""
    library.command("release", epilog="Example: hexsched library release -o hexsched-library")(release_command)


def release_command(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the files go.")],
    archive: Archive = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty, too.")] = False,
    as_json: Json = False,
) -> None:
    """Write the library as a data set to publish: instances, features and split, bounds, checksums, metadata for a DOI.

    The same version of hexsched and the same archive make the same bytes.
    """
    from experiments.library.names import VERSION, names
    from experiments.library.release import SUMS, files
    from hexsched.model.files import write_bytes

    check_directory(output, [], [])
    if not force and os.path.isdir(output) and os.listdir(output):
        raise InputError(f"the folder is not empty, and {SUMS} is of all in it; give a new one, or --force", output)
    written = 0
    for name, data in files(read_known(archive)):
        write_bytes(output / name, data)
        written += 1
    record = {"version": VERSION, "instances": len(names()), "files": written, "folder": str(output)}
    emit(record, [facts(*record.items())], as_json)
