"""``hexsched solve``: the offline problem of an instance, with a lower bound."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import INTERRUPTED
from experiments.cli.destination import STDOUT, check_destination, check_writable, deliver
from experiments.cli.options import MOST_WORKERS, Force, InstanceFile, Json, Seed, time_limit_option
from experiments.cli.output import emit, facts, note, percent
from experiments.environment import origin
from hexsched.errors import InputError
from hexsched.registry import modules_of, refuse_unknown
from solvers.defaults import AUTO, OBJECTIVE

if TYPE_CHECKING:
    from solvers.problem.result import SolveResult

ON_OFF = {"on": True, "off": False}


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched solve instance.json --objective 'req(0.95)' --time-limit 120 -o best.json"
    app.command("solve", epilog=epilog)(solve_command)


def solve_command(
    instance: InstanceFile,
    formulation: Annotated[
        str,
        typer.Option(
            "--formulation",
            metavar="F",
            help="One of 'hexsched formulations', or auto: what such problems do best with.",
        ),
    ] = "cpsat",
    objective: Annotated[
        str,
        typer.Option(
            "--objective", metavar="O", help="max_ratio, req(Q), mean_ratio, mean_latency or misses(S); minimised."
        ),
    ] = OBJECTIVE,
    solver: Annotated[
        str | None, typer.Option("--solver", metavar="S", help="Solver; the formulation's first by default.")
    ] = None,
    time_limit: Annotated[float, time_limit_option("for the solve")] = 60.0,
    workers: Annotated[int, typer.Option("--workers", min=1, max=MOST_WORKERS, metavar="N", help="Threads.")] = 2,
    warm_start: Annotated[
        Path | None, typer.Option("--warm-start", metavar="SCHEDULE", help="Schedule of the instance to start from.")
    ] = None,
    no_policies: Annotated[
        bool, typer.Option("--no-policies", help="Do not start from the best schedule of a few quick policies.")
    ] = False,
    switch: Annotated[
        list[str] | None,
        typer.Option("--switch", metavar="NAME=on|off", help="Switch of the formulation; may be given repeatedly."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="SCHEDULE", help="Write the best schedule to this file; - is standard output."
        ),
    ] = None,
    write_model: Annotated[
        Path | None,
        typer.Option(
            "--write-model",
            metavar="FILE",
            help="Write the model; the ending says how: .mps, .lp (MILPs), .pb, .txt (cpsat).",
        ),
    ] = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find a good schedule, everything known beforehand, and a lower bound that no schedule can beat.

    The instance must be in the fixed decode model. The schedule is re-timed and verified; it is called optimal only
    when value and bound agree to 1e-4. After Ctrl-C the best so far is given, with exit code 130.
    """
    from solvers.problem.objective import read_objective

    inputs = [instance, *([warm_start] if warm_start else [])]
    check_destination(output, inputs, as_json, "schedule", force)
    if write_model is not None:
        check_writable(write_model, inputs, "model", force)
    aim, switches = read_objective(objective), _switches(switch or [])
    refuse_unknown("formulation", formulation, [AUTO, *modules_of("solvers.exact")], "hexsched.formulations")

    from solvers.brackets.solve import START_POLICIES, solve  # takes a second, and names are right by now

    result = solve(
        instance,
        aim,
        formulation,
        time_limit=time_limit,
        workers=workers,
        seed=seed,
        solver=solver,
        warm_start=warm_start,
        policies=() if no_policies else START_POLICIES,
        switches=switches,
        write_model=write_model,
    )
    given = {"seed": seed, "workers": workers, "time_limit": time_limit}
    _deliver(result, instance, output, as_json, origin(inputs, **given) if as_json else {})


def _deliver(
    result: SolveResult, instance: Path, output: str | None, as_json: bool, provenance: dict[str, object]
) -> None:
    record = {
        "instance": str(instance),
        "formulation": result.formulation,
        "objective_name": result.objective_name,
        "status": result.status,
        "objective": result.objective,
        "lower_bound": result.lower_bound,
        "bound_source": result.bound_source,
        "gap": result.gap,
        "root_bound": result.root_bound,
        "seconds": result.seconds,
        "variables": result.size.variables,
        "constraints": result.size.constraints,
        "message": result.message,
        "solver": None if result.report is None else asdict(result.report),
        "schedule": output if result.schedule is not None else None,
        "provenance": provenance,
    }
    table = facts(
        ("formulation", result.formulation),
        ("status", result.status),
        (result.objective_name, result.objective),
        ("lower bound", result.lower_bound),
        ("from", result.bound_source),
        ("gap", None if result.gap is None else percent(result.gap)),
        ("seconds", result.seconds),
        ("variables", result.size.variables),
        ("constraints", result.size.constraints),
        ("solver", None if result.report is None else f"{result.report.solver} {result.report.version}"),
    )
    if result.message:
        note(result.message)
    if result.schedule is None:
        if output is not None:
            note("no schedule was found, so none is written")
        emit(record, [table], as_json)
    else:
        schedule = result.schedule
        deliver(output, lambda: schedule.to_file(output or STDOUT), record, [table], as_json)
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)


def _switches(texts: list[str]) -> dict[str, bool]:
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not name or value not in ON_OFF:
            raise InputError(f"--switch {text!r}: expected NAME=on or NAME=off")
        found[name] = ON_OFF[value]
    return found
