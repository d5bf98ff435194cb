"""``hexsched schema``: what may stand in a file, for editors and other programs."""

from __future__ import annotations

from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("schema", epilog="Example: hexsched schema cluster > cluster.schema.json")(schema_command)


def schema_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="cluster, workload, instance, schedule, profile or grid.")
    ],
) -> None:
    """Print the JSON Schema of a file format.

    Editors complete and check a file by it: in YAML, with a first line '# yaml-language-server: $schema=FILE'. Of a
    workload it is the schema of one line.
    """
    import msgspec

    from experiments.cli.output import write_stdout
    from experiments.schemas import find_format

    write_stdout(msgspec.json.format(msgspec.json.encode(find_format(name).schema()), indent=2) + b"\n")
