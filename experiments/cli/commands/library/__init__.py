"""``hexsched library``: the instance library, its best known bounds and schedules, and its way to other solvers."""

from __future__ import annotations

import typer

from experiments.cli.commands.library import choice, cut, export, known, release, submit


def add(app: typer.Typer) -> None:
    """Register the commands."""
    library = typer.Typer(
        help="The instance library of the offline problem, with the best bounds known.", no_args_is_help=True
    )
    for module in (known, export, submit, cut, choice, release):
        module.add(library)
    app.add_typer(library, name="library")
