"""``hexsched notebooks``: the notebooks that come with hexsched, copied to where one may change them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.destination import check_directory
from experiments.cli.options import Json
from experiments.cli.output import Table, emit
from hexsched.errors import InputError

SHIPPED = Path(__file__).parents[2] / "notebooks"


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("notebooks", epilog="Example: hexsched notebooks my-notebooks")(notebooks_command)


def notebooks_command(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where copies go; without it, they are listed.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite notebooks of the same names.")] = False,
    as_json: Json = False,
) -> None:
    """List the notebooks that come with hexsched, or copy them to a folder."""
    import json
    import shutil

    found = sorted(SHIPPED.glob("*.ipynb"))
    titles = {}
    for path in found:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "".join(cells[0]["source"]) if cells else ""
        titles[path.name] = text.splitlines()[0].lstrip("# ") if text else ""
    if directory is not None:
        check_directory(directory, (), [])
        there = [name for name in titles if (directory / name).exists()]
        if there and not force:
            raise InputError(f"{', '.join(there)} would be overwritten; --force does so", directory)
        directory.mkdir(exist_ok=True)
        for path in found:
            shutil.copyfile(path, directory / path.name)
    record = {"directory": None if directory is None else str(directory), "notebooks": titles}
    emit(record, [Table(("notebook", "what it shows"), list(titles.items()))], as_json)
