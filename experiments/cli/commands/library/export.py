"""``hexsched library export``: instances for solvers of others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli.commands.library.shared import NAMES_HELP, read_known
from experiments.cli.destination import check_directory
from experiments.cli.options import Force, Json
from experiments.cli.output import Table, emit
from hexsched.errors import InputError

if TYPE_CHECKING:
    from experiments.exports import Export
    from hexsched.model import Instance


def add(library: typer.Typer) -> None:
    """Register the command."""
    library.command("export", epilog="Example: hexsched library export contended-dag --format json-flat -o flat")(
        export_command
    )


def export_command(
    instances: Annotated[
        list[str], typer.Argument(metavar="INSTANCE...", help=f"{NAMES_HELP} Or an instance file of your own.")
    ],
    format: Annotated[
        str,
        typer.Option("--format", metavar="F", help="lp, mps, cpsat, minizinc or json-flat."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the files go.")],
    objective: Annotated[
        str, typer.Option(metavar="O", help="max_ratio, req(Q), mean_ratio, mean_latency or misses(S); minimised.")
    ] = "max_ratio",
    formulation: Annotated[
        str | None,
        typer.Option(
            metavar="F", help="Whose model, of 'hexsched formulations': for lp and mps; milp_disjunctive if none."
        ),
    ] = None,
    tick: Annotated[
        float | None,
        typer.Option(
            metavar="SEC", help="Length of a tick, for minizinc and json-flat; chosen by the instance if none."
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write instances for solvers of others: as models of a formulation, or as plain data for a model of your own.

    Instances are names of the library or files in the fixed decode model. docs/formats.md says what is in the files;
    'hexsched library submit' takes what others find.
    """
    from experiments.exports import EXPORTS
    from experiments.exports.parts.export import Request
    from hexsched.model.files import write_bytes
    from solvers.problem.objective import read_objective

    chosen, aim = EXPORTS.find(format), read_objective(objective)
    _check_options(chosen, formulation, tick)
    problems, files = _problems(instances)
    names = dict.fromkeys(file for name in problems for file in chosen.files(name))
    check_directory(output, names, files, chosen.kind, force)
    known = {key: (entry.lower_bound, entry.upper_bound, entry.sha256) for key, entry in read_known(None).items()}
    written: dict[str, list[str]] = {}
    for name, problem in problems.items():
        request = Request(name, problem, aim, formulation, tick, _bounds(known.get((name, str(aim))), problem))
        for file, data in chosen.write(request).items():
            write_bytes(output / file, data)
            written.setdefault(name, []).append(str(output / file))
    record = {"format": chosen.name, "objective": str(aim), "instances": written}
    emit(record, [Table(("instance", "files"), [(name, ", ".join(paths)) for name, paths in written.items()])], as_json)


def _check_options(chosen: Export, formulation: str | None, tick: float | None) -> None:
    can = chosen.formulations()
    if formulation is not None and formulation not in can:
        what = f"those are {', '.join(can)}" if can else "it writes the problem itself"
        raise InputError(f"format {chosen.name!r} does not write the model of {formulation!r}; {what}", "--formulation")
    if tick is not None and not chosen.in_ticks:
        raise InputError(f"format {chosen.name!r} has no ticks to choose", "--tick")


def _problems(texts: list[str]) -> tuple[dict[str, Instance], list[str]]:
    """Instances by name, and the files among them: files where there is such a file, else the library."""
    from experiments.library.names import expand, instance
    from hexsched.model import read_instance

    problems: dict[str, Instance] = {}
    files = []
    for text in texts:
        if Path(text).suffix or os.path.exists(text):
            name = Path(text).stem
            if name in problems:
                raise InputError(f"a second instance called {name!r}, and files are named by it; rename one", text)
            problems[name] = _solvable(read_instance(text), text)
            files.append(text)
        else:
            problems |= {name: instance(name) for name in expand([text])}
    return problems, files


def _solvable(problem: Instance, path: str) -> Instance:
    """The instance, if it is one of the offline problem in the ``fixed`` decode model."""
    from solvers.problem.offline import fixed_problem

    try:
        fixed_problem(problem)
    except InputError as error:
        raise InputError(str(error), path) from None
    return problem


def _bounds(known: tuple[float, float, str] | None, problem: Instance) -> tuple[float, float] | None:
    """The best bounds known, if they are of this instance and not of another of the same name."""
    from experiments.library.names import digest

    return known[:2] if known is not None and known[2] == digest(problem) else None
