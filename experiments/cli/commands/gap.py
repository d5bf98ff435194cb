"""``hexsched gap``: how far policies are from the best possible."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import INTERRUPTED
from experiments.cli.destination import STDOUT, check_destination, deliver
from experiments.cli.options import MOST_WORKERS, Force, InstanceFile, Json, Plugins, Seed, Traceback, time_limit_option
from experiments.cli.output import Table, facts, note, percent
from experiments.cli.plugins import load_plugins, plugin_errors
from experiments.environment import origin, sha256
from hexsched.baselines import BASELINES, HEXAGENT
from hexsched.errors import InputError
from solvers.defaults import OBJECTIVE

if TYPE_CHECKING:
    from solvers.brackets.earlier import Earlier

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
    time_limit: Annotated[float, time_limit_option("for both ends of the bracket")] = 60.0,
    to: Annotated[
        str | None,
        typer.Option(metavar="WIDTH", help="Stop when (UB - LB) / LB is no more than that: 5% or 0.05."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Go on from an earlier bracket of the same instance: what --json printed, which names its -o.",
        ),
    ] = None,
    cpu_time: Annotated[
        bool,
        typer.Option("--cpu-time", help="Count CPU seconds a thread: a busy machine takes longer, and gets as far."),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=MOST_WORKERS, metavar="N", help="Threads.")] = 2,
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
    After Ctrl-C the bracket so far is given, with exit code 130. --resume takes the schedule of an earlier bracket,
    which is verified, its LB, which is believed, and its prices, from which the search for better ones goes on.
    """
    import msgspec

    from hexsched.model import read_instance
    from hexsched.policies.lists import read_policies
    from solvers.problem.objective import read_objective

    plugins = load_plugins(plugin)
    width = 0.0 if to is None else _share(to)
    inputs = [instance, *([] if resume is None else [resume])]
    check_destination(output, inputs, as_json, "schedule", force)
    chosen, aim = read_policies(policies), read_objective(objective)
    problem = read_instance(instance)
    earlier = None if resume is None else _earlier(resume, instance)

    from solvers.brackets.gap import gap  # takes a second, and names are right by now

    with plugin_errors(plugins, *chosen):
        report = gap(
            problem,
            chosen,
            aim,
            time_limit=time_limit,
            to=width,
            earlier=earlier,
            cpu_time=cpu_time,
            seed=seed,
            workers=workers,
        )
    values = {name: value for name, value in msgspec.structs.asdict(report).items() if name != "schedule"}
    record = {"instance": str(instance), **msgspec.to_builtins(values), "schedule": output}
    if as_json:
        given = {"seed": seed, "workers": workers, "time_limit": time_limit, "cpu_time": cpu_time, "to": width}
        record["provenance"] = origin([*inputs, *plugins], **given)
    outcome = facts(
        ("objective", report.objective),
        ("lower bound", report.lower_bound),
        ("from", report.bound_source),
        ("upper bound", report.upper_bound),
        ("from", report.upper_source),
        ("width", _percent(report.width)),
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
    elif report.width is None or report.width > width > 0:
        note(f"the time ended before the width was {100 * width:g} %")
    for name, why in report.short_of_time.items():
        note(f"{name}: {why}; a longer --time-limit lets it raise the lower bound")
    deliver(output, lambda: report.schedule.to_file(output or STDOUT), record, [outcome, table], as_json)
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)


def _earlier(file: Path, instance: Path) -> Earlier:
    """The bracket of ``instance`` that the file records."""
    from solvers.brackets.earlier import read_earlier

    if not instance.is_file():
        raise InputError("--resume needs an instance file, to compare it with the earlier one", instance)
    found = read_earlier(file, sha256(instance))
    if found.schedule is None:
        note(f"{file}: its schedule was not kept (-o); going on from its lower bound alone")
    return found


def _share(text: str) -> float:
    """``5%`` or ``0.05`` as a number."""
    number, percent_sign, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if percent_sign else 1)
    except ValueError:
        share = math.nan
    if rest or not 0 < share < math.inf:
        raise InputError(f"--to {text!r}: expected the width to stop at, above 0, such as 5% or 0.05")
    if not percent_sign and share >= 1:
        raise InputError(f"--to {text!r} is {share:.0%} of LB; write it as {100 * share:g}% if that is meant")
    return share


def _scarce(binding: dict[str, float]) -> str | None:
    """The resources that carry most of the proof."""
    most = sorted(binding.items(), key=lambda item: -item[1])[:SCARCE]
    return ", ".join(f"{name} {percent(share)}" for name, share in most if share >= NOTABLE) or None


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else percent(fraction)
