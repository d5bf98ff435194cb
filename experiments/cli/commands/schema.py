"""``hexsched schema``: what may stand in a file, for people, editors and other programs."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.options import Json
from experiments.cli.output import Table, emit


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("schema", epilog="Example: hexsched schema cluster --json > cluster.schema.json")(schema_command)


def schema_command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="cluster, workload, instance, schedule, profile, predictor, grid, flat or flat-solution.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show what may stand in a file: keys, types, defaults, meaning.

    With --json the JSON Schema, by which editors complete and check a file: in YAML, one whose first line is
    '# yaml-language-server: $schema=FILE'. Of a workload it is the schema of one line.
    """
    from experiments.schemas import find_format

    file_format = find_format(name)
    tables = [
        Table(("key", "type", "default", "meaning"), mapping.keys, f"{mapping.name}: {mapping.meaning}")
        for mapping in file_format.mappings()
    ]
    emit(file_format.schema(), tables, as_json)
