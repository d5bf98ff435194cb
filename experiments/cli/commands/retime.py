"""``hexsched retime``: the decisions of a schedule, each carried out as early as its order allows."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.destination import STDOUT, check_destination, deliver
from experiments.cli.metric_columns import metric_rows, metric_values
from experiments.cli.options import Force, InstanceFile, Json, ScheduleFile
from experiments.cli.output import facts
from hexsched.errors import InputError


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched retime instance.json schedule.json -o retimed.json"
    app.command("retime", epilog=epilog)(retime_command)


def retime_command(
    instance: InstanceFile,
    schedule: ScheduleFile,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="Write the new schedule to this file; - is standard output."
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make the times of a schedule anew from its decisions.

    Each decision is carried out as early as the orders allow; the new metrics are printed.

    Decisions are the placement of every call and, on each instance, the order of prefills and of admissions.
    """
    from hexsched.model import read_instance, read_schedule
    from hexsched.simulator import replay_run

    check_destination(output, [instance, schedule], as_json, "schedule", force)
    problem, decisions = read_instance(instance), read_schedule(schedule)
    try:
        run = replay_run(problem, decisions)
    except InputError as error:
        raise InputError(str(error), schedule) from None
    values = metric_values(run.metrics)
    record = {
        "instance": str(instance),
        "schedule": str(schedule),
        "policy": run.policy,
        **values,
        "output": output,
    }
    table = facts(("policy", run.policy), *metric_rows(values))
    deliver(output, lambda: run.schedule.to_file(output or STDOUT), record, [table], as_json)
