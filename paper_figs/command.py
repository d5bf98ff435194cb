"""``hexsched figures``: registered through the entry-point group ``hexsched.commands``.

The command line lives below this package in the import order, so it cannot import it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.options import Json
from experiments.cli.output import Table, emit


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("figures", epilog="Example: hexsched figures attainment --store out -o out/figures")(draw_figures)


def draw_figures(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Figures; all when none is named.")
    ] = None,
    store: Annotated[Path, typer.Option(metavar="DIR", help="Where the results are stored.")] = Path("out"),
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the figures go.")] = Path(
        "figures"
    ),
    as_json: Json = False,
) -> None:
    """Draw figures from stored results: PDF, PNG, and the table behind each as CSV."""
    from paper_figs.figure import write_figure
    from paper_figs.registry import FIGURES, figure

    chosen = [figure(name) for name in names] if names else list(FIGURES.values())
    written = {each.name: [str(path) for path in write_figure(each, store, output)] for each in chosen}
    rows = [(name, file) for name, files in written.items() for file in files]
    emit({"figures": written}, [Table(("figure", "file"), rows)], as_json)
