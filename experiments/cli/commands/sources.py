"""``hexsched families`` and ``formats``: where workloads come from."""

from __future__ import annotations

import typer

from experiments.cli.options import Json
from experiments.cli.output import Table, emit


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("families", epilog="Example: hexsched families --json")(families_command)
    app.command("formats", epilog="Example: hexsched formats --json")(formats_command)


def families_command(as_json: Json = False) -> None:
    """List the workload families that can be generated."""
    from hexsched.workloads.families import FAMILIES

    records = [{"name": name, "summary": family.summary, "source": family.source} for name, family in FAMILIES.items()]
    tables = [
        Table(("family", what), [(record["name"], record[what]) for record in records if record[what]])
        for what in ("summary", "source")
    ]
    emit({"families": records}, tables, as_json)


def formats_command(as_json: Json = False) -> None:
    """List the trace formats that can be imported.

    Each is shown with its options and their defaults, for 'hexsched workload import --option'.
    """
    import msgspec

    from hexsched.workloads.importers import IMPORTERS, ImportOptions

    records = [
        {"name": name, "summary": importer.summary, "options": msgspec.to_builtins(importer.options_type())}
        for name, importer in IMPORTERS.items()
    ]
    common = ImportOptions.__struct_fields__
    summaries = [(record["name"], record["summary"]) for record in records]
    options = [
        (record["name"], key, None if value is None else str(value).lower())
        for record in records
        for key, value in record["options"].items()
        if key not in common
    ]
    tables = [
        Table(("format", "summary"), summaries),
        Table(
            ("format", "option", "default"),
            options,
            f"every format has the options {', '.join(common)} besides its own",
        ),
    ]
    emit({"formats": records}, tables, as_json)
