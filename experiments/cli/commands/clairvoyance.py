"""``hexsched clairvoyance``: how much of a policy's distance from the best schedules any online policy must have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli import INTERRUPTED
from experiments.cli.options import MOST_WORKERS, Json, Plugins, Seed, Traceback, time_limit_option
from experiments.cli.output import Table, emit, facts, note, percent
from experiments.cli.plugins import load_plugins, plugin_errors
from experiments.environment import origin
from hexsched.baselines import BASELINES, HEXAGENT
from hexsched.errors import InputError
from solvers.defaults import BLIND, OBJECTIVE


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched clairvoyance instance.json --futures 2 --objective max_ratio --policies hexagent,fcfs"
    app.command("clairvoyance", epilog=epilog)(clairvoyance_command)


def clairvoyance_command(
    instances: Annotated[
        list[Path],
        typer.Argument(metavar="INSTANCE", help="Files of the futures, or of one instance to draw --futures from."),
    ],
    futures: Annotated[
        int | None, typer.Option(metavar="N", help="Draw N futures of one past from the instance.")
    ] = None,
    workflows: Annotated[int, typer.Option(metavar="N", help="Of each future that is drawn.")] = 4,
    shared: Annotated[int, typer.Option(metavar="N", help="Workflows of these that are the past.")] = 2,
    calls: Annotated[
        int | None, typer.Option(metavar="N", help="Cut workflows that are drawn to their first N calls.")
    ] = None,
    policies: Annotated[
        str, typer.Option(metavar="LIST", help="Policies with commas between them, or all; see 'hexsched policies'.")
    ] = ",".join((HEXAGENT, *BASELINES)),
    objective: Annotated[
        str, typer.Option(metavar="O", help="max_ratio, req(Q), mean_ratio, mean_latency or misses(S).")
    ] = OBJECTIVE,
    over: Annotated[str, typer.Option(metavar="mean|worst", help="What counts of its values in the futures.")] = "mean",
    estimator: Annotated[
        str,
        typer.Option(
            metavar="E",
            help="How policies know output lengths: class_mean, or exact and noise(SIGMA), which know them at release.",
        ),
    ] = BLIND,
    time_limit: Annotated[float, time_limit_option("for both bounds")] = 60.0,
    workers: Annotated[int, typer.Option(min=1, max=MOST_WORKERS, metavar="N", help="Threads.")] = 2,
    seed: Seed = 0,
    plugin: Plugins = None,
    traceback: Traceback = False,
    as_json: Json = False,
) -> None:
    """How much of the distance from the best schedules is clairvoyance, which no online policy has.

    Futures are equally likely instances that begin alike, in the fixed decode model. The clairvoyant bound is that of
    the best schedule of each; the online bound is of policies that must do the same in futures until these differ. It
    is between that bound and every online policy. Small sizes only: up to 400 calls in all futures together. After
    Ctrl-C what is proved by then is given, with exit code 130.
    """
    import msgspec

    from hexsched.policies.lists import read_policies
    from solvers.problem.objective import read_objective

    plugins = load_plugins(plugin)
    chosen, aim = read_policies(policies), read_objective(objective)
    if futures is not None and len(instances) != 1:
        raise InputError(f"--futures draws from one instance, and {len(instances)} are given")

    from solvers.brackets.clairvoyance import clairvoyance, read_over  # takes a second, and names are right by now
    from solvers.problem.futures import futures as drawn

    given = (
        list(instances)
        if futures is None
        else drawn(instances[0], futures, workflows=workflows, shared=shared, calls=calls, seed=seed)
    )
    with plugin_errors(plugins, *chosen):
        report = clairvoyance(
            given,
            chosen,
            aim,
            over=read_over(over),
            estimator=estimator,
            time_limit=time_limit,
            workers=workers,
            seed=seed,
        )
    record = {"instances": [str(path) for path in instances], **msgspec.to_builtins(report)}
    if as_json:
        draw = {} if futures is None else {"futures": futures, "workflows": workflows, "shared": shared, "calls": calls}
        options = {**draw, "seed": seed, "workers": workers, "time_limit": time_limit}
        record["provenance"] = origin([*instances, *plugins], **options)
    outcome = facts(
        ("objective", f"{report.over} of {report.objective}"),
        ("futures", report.futures),
        ("calls", report.calls),
        ("clairvoyant, at least", report.clairvoyant_bound),
        ("clairvoyant, found", report.clairvoyant_value),
        ("online, at least", report.online_bound),
        ("proved this way", "all there is" if report.online_is_best else "so far"),
    )
    rows = [
        (
            name,
            loss.value,
            *(None if x is None else percent(x) for x in (loss.distance, loss.clairvoyance, loss.in_reach)),
        )
        for name, loss in report.policies.items()
    ]
    columns = ("policy", report.objective, "distance", "clairvoyance, at least", "in reach, at most")
    if report.message:
        note(report.message)
    for name, loss in report.policies.items():
        if loss.knows_more:
            note(f"{name} is told what no online policy knows: the online bound is not about it")
    emit(record, [outcome, Table(columns, rows)], as_json)
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)
