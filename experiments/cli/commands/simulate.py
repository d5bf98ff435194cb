"""``hexsched simulate``: one policy on one instance."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.destination import STDOUT, check_destination, deliver
from experiments.cli.metric_columns import (
    DECISION_HEADING,
    MICROSECONDS,
    goodput_rows,
    goodput_values,
    metric_rows,
    read_slo,
    run_values,
)
from experiments.cli.options import Estimator, Force, InstanceFile, Json, Plugins, Seed, Slo, Timed, Traceback
from experiments.cli.output import facts
from experiments.cli.plugins import load_plugins
from experiments.cli.running import run_policy
from experiments.cli.timings import Timings
from experiments.environment import origin


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched simulate instance.json --policy 'hexagent(kv=off)' -o schedule.json"
    app.command("simulate", epilog=epilog)(simulate_command)


def simulate_command(
    instance: InstanceFile,
    policy: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="NAME, NAME@PLACEMENT or NAME(option=value,...)@PLACEMENT; see 'hexsched policies'."
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="SCHEDULE", help="Write the schedule to this file; - is standard output."
        ),
    ] = None,
    open_instance: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write the instance with the arrivals of this run, for bounds; of a closed loop."
        ),
    ] = None,
    estimator: Estimator = "exact",
    seed: Seed = 0,
    slo: Slo = None,
    plugin: Plugins = None,
    force: Force = False,
    traceback: Traceback = False,
    timings: Timed = False,
    as_json: Json = False,
) -> None:
    """Run one policy online and print its metrics.

    Ratios are a workflow's latency over its standalone horizon; Req95 is the SLO scale that 95 % of the workflows
    meet. TTFT is the time from the release of a call to its first output token, TPOT that of each one after it. The
    first run after an installation compiles the engine, which takes about half a minute.
    """
    times = Timings(timings)
    with times.part("import"):
        from hexsched.model import read_instance, write_instance
        from hexsched.policies import read_policy

    check_destination(output, [instance, *(plugin or ())], as_json, "schedule", force)
    check_destination(open_instance, [instance, *(plugin or ())], as_json, "instance", force)
    thresholds = read_slo(slo)
    plugins = load_plugins(plugin)
    chosen = read_policy(policy)
    with times.part("import"):
        from hexsched.simulator import simulate  # noqa: F401  (takes time, and names are right by now)
    with times.part("read"):
        problem = read_instance(instance)
    with times.part("prepare"):
        run = run_policy(problem, chosen, estimator=estimator, seed=seed, plugins=plugins, label=chosen.name)
    times.engine(run)
    with times.part("metrics"):
        values = run_values(run)
        within = goodput_values(run, thresholds)
    record = {
        "instance": str(instance),
        "policy": run.policy,
        "estimator": estimator,
        "seed": seed,
        **values,
        **within,
        "schedule": output,
    }
    if as_json:
        record["provenance"] = origin([instance, *plugins])
    table = facts(
        ("policy", run.policy),
        *metric_rows(values),
        *goodput_rows(within),
        (DECISION_HEADING, run.decision_latency * MICROSECONDS),
    )
    with times.part("write"):
        if open_instance is not None:
            write_instance(open_instance, run.open_instance())
        deliver(output, lambda: run.schedule.to_file(output or STDOUT), record, [table], as_json)
    times.tell()
