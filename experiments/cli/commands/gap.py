"""``hexsched gap``: how far policies are from the best possible."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli import INTERRUPTED
from experiments.cli.destination import STDOUT, check_destination, deliver
from experiments.cli.options import Force, InstanceFile, Json, Plugins, Seed, Traceback
from experiments.cli.output import Table, facts, note, percent
from experiments.cli.plugins import load_plugins, plugin_errors
from experiments.environment import origin
from hexsched.baselines import BASELINES, HEXAGENT
from solvers.defaults import OBJECTIVE

SCARCE, NOTABLE = 4, 0.01  # resources that are named, and the least share that is worth a name


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched gap instance.json --objective 'req(0.95)' --policies hexagent,fcfs --time-limit 60"
    app.command("gap", epilog=epilog)(gap_command)


def gap_command(
    instance: InstanceFile,
    objective: Annotated[
        str, typer.Option(metavar="O", help="max_ratio, req(Q), mean_ratio, mean_latency or misses(S).")
    ] = OBJECTIVE,
    policies: Annotated[
        str, typer.Option(metavar="LIST", help="Policies with commas between them, or all; see 'hexsched policies'.")
    ] = ",".join((HEXAGENT, *BASELINES)),
    time_limit: Annotated[float, typer.Option(metavar="SEC", help="Seconds for both ends of the bracket.")] = 60.0,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Threads.")] = 2,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="SCHEDULE", help="Write the schedule that has the upper bound."),
    ] = None,
    seed: Seed = 0,
    plugin: Plugins = None,
    force: Force = False,
    traceback: Traceback = False,
    as_json: Json = False,
) -> None:
    """The gap (value - LB) / LB of policies, with the bracket [LB, UB] that certainly holds the optimum.

    LB is the best of all lower bounds, UB the best verified schedule. Small instances in the fixed decode model are
    solved exactly; at any size, and in the fluid model, priced capacities give LB and clairvoyant search gives UB.
    After Ctrl-C the bracket so far is given, with exit code 130.
    """
    import msgspec

    from hexsched.model import read_instance
    from hexsched.policies.lists import read_policies
    from solvers.brackets.gap import gap

    plugins = load_plugins(plugin)
    check_destination(output, [instance], as_json, "schedule", force)
    chosen = read_policies(policies)
    problem = read_instance(instance)
    with plugin_errors(plugins, *chosen):
        report = gap(problem, chosen, objective, time_limit=time_limit, seed=seed, workers=workers)
    values = {name: value for name, value in msgspec.structs.asdict(report).items() if name != "schedule"}
    record = {"instance": str(instance), **msgspec.to_builtins(values), "schedule": output}
    if as_json:
        given = {"seed": seed, "workers": workers, "time_limit": time_limit}
        record["provenance"] = origin([instance, *plugins], **given)
    outcome = facts(
        ("objective", report.objective),
        ("lower bound", report.lower_bound),
        ("from", report.bound_source),
        ("upper bound", report.upper_bound),
        ("from", report.upper_source),
        ("solver", report.solver_status or None),
        ("scarce", _scarce(report.binding)),
    )
    rows = [
        (name, found.value, _percent(found.gap), _percent(found.gap_to_upper))
        for name, found in report.policies.items()
    ]
    table = Table(("policy", report.objective, "gap to LB", "gap to UB"), rows)
    if report.message:
        note(report.message)
    for name, why in report.short_of_time.items():
        note(f"{name}: {why}; a longer --time-limit lets it raise the lower bound")
    deliver(output, lambda: report.schedule.to_file(output or STDOUT), record, [outcome, table], as_json)
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)


def _scarce(binding: dict[str, float]) -> str | None:
    """The resources that carry most of the proof."""
    most = sorted(binding.items(), key=lambda item: -item[1])[:SCARCE]
    return ", ".join(f"{name} {percent(share)}" for name, share in most if share >= NOTABLE) or None


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else percent(fraction)
