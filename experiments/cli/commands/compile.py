"""``hexsched compile``: a cluster and a workload become the explicit instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli.destination import STDOUT, check_destination, deliver
from experiments.cli.options import (
    Arrivals,
    ClosedLoopSessions,
    ColumnMap,
    Force,
    Format,
    Json,
    LeaveOutOversize,
    MaxContext,
    MostWorkflows,
    Options,
    Seed,
    TimeUnit,
    WarmUp,
    WorkloadName,
)
from experiments.cli.output import Table, facts
from experiments.cli.trace import as_options, read_workload, trace_options

if TYPE_CHECKING:
    from hexsched.clusters import Machines


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched compile demo workload.jsonl --arrivals poisson:2.0 -o instance.json"
    app.command("compile", epilog=epilog)(compile_command)


def compile_command(
    cluster: Annotated[
        str, typer.Argument(metavar="CLUSTER", help="Cluster YAML file, or a name of 'hexsched clusters'.")
    ],
    workload: WorkloadName,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="INSTANCE", help="File to write; - is standard output.")
    ] = STDOUT,
    arrivals: Arrivals = None,
    closed_loop: ClosedLoopSessions = None,
    warm_up: WarmUp = 0,
    workflows: MostWorkflows = None,
    decode_model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="fluid or fixed, in place of what the cluster says.")
    ] = None,
    max_context: MaxContext = None,
    leave_out_oversize: LeaveOutOversize = False,
    seed: Seed = 0,
    format: Format = None,
    option: Options = None,
    map: ColumnMap = None,
    time_unit: TimeUnit = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make an instance of a cluster and a workload.

    Every number in it is explicit, so that it can be simulated, solved and verified.

    Arrival times are those of the workload (0 where it has none) unless --arrivals gives new ones, or --closed-loop
    makes them follow from completions.
    """
    from hexsched.clusters import read_cluster
    from hexsched.workloads.instances import compose
    from hexsched.workloads.workload import Workload

    check_destination(output, [cluster, workload], as_json, "instance", force)
    spec = read_cluster(cluster)
    imported = read_workload(workload, workflows, seed, format, trace_options(option, map, time_unit))
    instance, machines, left_out = compose(
        spec,
        Workload(imported.workflows),
        arrivals=arrivals,
        closed_loop=closed_loop,
        warm_up=warm_up,
        decode_model=decode_model,
        max_context=max_context,
        leave_out_oversize=leave_out_oversize,
        seed=seed,
        where=workload,
    )
    sources = _sources(machines)
    record = {
        "output": output,
        "cluster": spec.name,
        "workload": workload,
        "format": imported.format,
        "dropped": imported.dropped,
        "left_out": as_options(left_out),
        "decode_model": instance.decode_model,
        "workflows": len(instance.workflows),
        "calls": instance.call_count,
        "last_arrival": max(workflow.arrival for workflow in instance.workflows),
        "closed_loop": instance.closed_loop,
        "prefill_instances": len(instance.prefill),
        "decode_instances": len(instance.decode),
        "kv_capacity_tokens": sum(machine.kv_capacity_tokens for machine in instance.decode),
        "service_times": sources,
        "sources": machines.sources,
    }
    table = facts(
        ("cluster", f"{spec.name}: {len(instance.prefill)} prefill + {len(instance.decode)} decode instances"),
        ("KV cache", f"{record['kv_capacity_tokens']:,} tokens"),
        *(("service times", f"{source} ({', '.join(pools)})") for source, pools in sources.items()),
        ("decode model", instance.decode_model),
        ("workload", f"{len(instance.workflows):,} workflows, {instance.call_count:,} calls"),
        ("last arrival s", record["last_arrival"])
        if instance.closed_loop is None
        else ("closed loop", f"{closed_loop:,} sessions, warm-up of {warm_up:,} workflows"),
        ("written to", output),
    )
    deliver(output, lambda: instance.to_file(output), record, [table, _origins(machines)], as_json)


def _origins(machines: Machines) -> Table:
    """Where every number comes from, as it stands in the instance."""
    of: dict[tuple[str, str], dict[str, None]] = {}
    for source in machines.sources:
        of.setdefault((source.field, source.source), {}).update(dict.fromkeys(source.of))
    rows = []
    for (field, words), ids in of.items():
        names = list(ids) if len(ids) <= 2 else [next(iter(ids)), "…", next(reversed(ids))]
        rows.append((field, " ".join(names), words))
    return Table(("numbers", "of", "source"), rows, "where the numbers come from")


def _sources(machines: Machines) -> dict[str, list[str]]:
    """The pools by where their service times come from."""
    pools: dict[str, list[str]] = {}
    for (phase, index), numbers in machines.services.items():
        pools.setdefault(numbers.source, []).append(f"{phase}[{index}]")
    return pools
