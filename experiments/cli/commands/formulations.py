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

    An exact one reaches the optimum given time; the others find schedules, and bounds that need not meet them. The
    first solver is the default. Of solvers that a formulation can choose from, a table says which are installed.
    """
    from solvers.exact import FORMULATIONS
    from solvers.exact.milp.backends import BACKENDS

    formulations = FORMULATIONS.values()
    found = [_record(one) for one in formulations]
    switches = [(one.name, name, effect) for one in formulations for name, effect in one.switches.items()]
    versions = {name: one.version() if one.available() else None for name, one in BACKENDS.items()}
    solvers = [(name, version is not None, version) for name, version in versions.items()]
    tables = [
        Table(
            ("formulation", "exact", "installed", "summary"),
            [(one.name, one.exact, one.available(), one.summary) for one in formulations],
        ),
        Table(
            ("formulation", "objectives", "solvers"),
            [(one.name, ", ".join(one.objectives), ", ".join(one.solvers) or None) for one in formulations],
        ),
        Table(("formulation", "switch", "what it adds"), switches),
        Table(("MILP solver", "installed", "version"), solvers),
        Table(("formulation", "source"), [(one.name, one.citation) for one in formulations if one.citation]),
    ]
    emit({"formulations": found, "milp_solvers": versions}, tables, as_json)


def _record(one: Formulation) -> dict[str, object]:
    return {
        "name": one.name,
        "exact": one.exact,
        "installed": one.available(),
        "objectives": one.objectives,
        "solvers": one.solvers,
        "switches": one.switches,
        "model_formats": one.model_formats,
        "citation": one.citation,
        "summary": one.summary,
    }
