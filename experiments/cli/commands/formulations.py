"""``hexsched formulations``: what can be named after --formulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from experiments.cli.options import Json
from experiments.cli.output import Table, emit

if TYPE_CHECKING:
    from solvers.exact.parts.formulation import Formulation


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched formulations"
    app.command("formulations", epilog=epilog)(formulations_command)


def formulations_command(as_json: Json = False) -> None:
    """List the formulations of the offline problem.

    An exact one reaches the optimum given time; the others find schedules only. The first solver is the default.
    """
    from solvers.exact import FORMULATIONS

    found = [_record(one) for one in FORMULATIONS.values()]
    columns = ("formulation", "exact", "objectives", "solvers", "source", "summary")
    rows = [
        (
            one.name,
            one.exact,
            ", ".join(one.objectives),
            ", ".join(one.solvers) or None,
            one.citation,
            one.summary,
        )
        for one in FORMULATIONS.values()
    ]
    switches = [(one.name, name, effect) for one in FORMULATIONS.values() for name, effect in one.switches.items()]
    tables = [Table(columns, rows), Table(("formulation", "switch", "what it adds"), switches)]
    emit({"formulations": found}, tables, as_json)


def _record(one: Formulation) -> dict[str, object]:
    return {
        "name": one.name,
        "exact": one.exact,
        "objectives": one.objectives,
        "solvers": one.solvers,
        "switches": one.switches,
        "model_formats": one.model_formats,
        "citation": one.citation,
        "summary": one.summary,
    }
