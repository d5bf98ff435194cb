"""``hexsched library``: the instance library, its best known bounds and schedules, and its way to other solvers."""

from __future__ import annotations

import typer

from experiments.cli.commands.library import choice, cut, export, known, release, submit


def add(app: typer.Typer) -> None:
    """Register the commands."""
    library = typer.Typer(rich_markup_mode=None)
    library.callback(invoke_without_command=True)(library_group)
    for module in (known, export, submit, cut, choice, release):
        module.add(library)
    app.add_typer(library, name="library")


def library_group(context: typer.Context) -> None:
    """The instance library of the offline problem, with the best bounds known."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
