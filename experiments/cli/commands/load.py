"""``hexsched load``: the arrival rate that puts a cluster under a stated stress."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.options import (
    ColumnMap,
    Format,
    Json,
    LeaveOutOversize,
    MaxContext,
    MostWorkflows,
    Options,
    Plugins,
    Seed,
    TimeUnit,
    Traceback,
    WorkloadName,
)
from experiments.cli.output import emit, facts, note
from experiments.cli.plugins import load_plugins, plugin_errors
from experiments.cli.trace import as_options, read_workload, trace_options
from experiments.environment import origin
from hexsched.baselines import BASELINES
from hexsched.progress import Progress


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("load", epilog="Example: hexsched load qwen235b-hetero-1 workload.jsonl --target 5.6")(load_command)


def load_command(
    cluster: Annotated[
        str, typer.Argument(metavar="CLUSTER", help="Cluster YAML file, or a name of 'hexsched clusters'.")
    ],
    workload: WorkloadName,
    target: Annotated[
        float, typer.Option(min=1.0, metavar="R", help="Req95 that the strongest baseline is to need.")
    ] = 5.6,
    baselines: Annotated[
        str, typer.Option(metavar="LIST", help="Policies with commas between them, or all.")
    ] = ",".join(BASELINES),
    workflows: MostWorkflows = None,
    max_context: MaxContext = None,
    leave_out_oversize: LeaveOutOversize = False,
    format: Format = None,
    option: Options = None,
    map: ColumnMap = None,
    time_unit: TimeUnit = None,
    seed: Seed = 0,
    plugin: Plugins = None,
    traceback: Traceback = False,
    as_json: Json = False,
) -> None:
    """Find the fixed arrival rate at which the strongest baseline needs an SLO scale of R for 95 % attainment.

    The paper states no rates; this is one rule that can stand in for them.
    """
    from hexsched.clusters import compile_cluster, read_cluster
    from hexsched.policies.lists import read_policies
    from hexsched.workloads.source import select_fitting
    from hexsched.workloads.workload import Workload

    plugins = load_plugins(plugin)
    spec = read_cluster(cluster)
    chosen = read_policies(baselines)
    options = trace_options(option, map, time_unit)
    imported = Workload(read_workload(workload, workflows, seed, format, options).workflows)
    room = compile_cluster(spec).largest_kv_cache
    kept, left_out = select_fitting(imported, room, max_context, leave_out_oversize, workload)

    from experiments.load import stress_load  # takes a second, and names are right by now

    with Progress("searching the load", "steps") as progress, plugin_errors(plugins, *chosen):
        load = stress_load(spec, kept, chosen, target, progress)
    record = {
        "cluster": spec.name,
        "workload": workload,
        "workflows": len(kept),
        "left_out": as_options(left_out),
        "target": target,
        "reached": load.reached,
        "rate": load.rate,
        "arrivals": f"fixed:{load.rate:g}",
        "baseline": load.baseline,
        "req95": load.req95,
    }
    if as_json:
        record["provenance"] = origin([cluster, workload, *plugins])
    table = facts(
        ("arrivals", record["arrivals"]),
        ("strongest baseline", load.baseline),
        ("its Req95", load.req95),
        ("target reached", load.reached),
    )
    if not load.reached:
        note(f"{workload}: target {target:g} is out of reach, all at once these workflows need {load.req95:.4g}")
    emit(record, [table], as_json)
