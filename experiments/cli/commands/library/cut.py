"""``hexsched library cut``: a small instance of a stretch of a table of real calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.destination import check_destination, deliver
from experiments.cli.options import ColumnMap, Force, Format, Json, Options, TimeUnit
from experiments.cli.output import facts
from experiments.cli.trace import trace_options
from hexsched.errors import InputError


def add(library: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched library cut demo table.jsonl --calls 25 --start 100 -o cut-25-100.json"
    library.command("cut", epilog=epilog)(cut_command)


def cut_command(
    cluster: Annotated[
        str, typer.Argument(metavar="CLUSTER", help="Cluster YAML file, or a name of 'hexsched clusters'.")
    ],
    table: Annotated[Path, typer.Argument(metavar="WORKLOAD", help="Workload or trace file, or a folder of them.")],
    calls: Annotated[int, typer.Option(min=2, metavar="N", help="The most calls, all workflows together.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="INSTANCE", help="File to write; - is standard output.")
    ],
    start: Annotated[
        int, typer.Option(min=0, metavar="K", help="Number of the first workflow by arrival, from 0.")
    ] = 0,
    stretch: Annotated[
        float, typer.Option(min=0, metavar="F", help="What gaps between arrivals are multiplied by; 0: all at once.")
    ] = 1.0,
    format: Format = None,
    option: Options = None,
    map: ColumnMap = None,
    time_unit: TimeUnit = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Cut an instance from a table of real calls, in the fixed decode model: a stretch of its workflows.

    From workflow K by arrival on, workflows are taken until one more would make more than N calls. The clock starts at
    the first arrival. The same command on the same table makes the same instance.
    """
    from experiments.library.cut import cut
    from hexsched.clusters import read_cluster
    from hexsched.workloads.instances import compose
    from hexsched.workloads.source import read_workflows
    from hexsched.workloads.workload import Workload

    if not stretch < float("inf"):
        raise InputError(f"must be finite, got {stretch}", "--stretch")
    check_destination(output, [cluster, table], as_json, "instance", force)
    spec = read_cluster(cluster)
    imported = read_workflows(table, format, options=trace_options(option, map, time_unit))
    taken = cut(imported.workflows, calls, start, stretch, str(table))
    instance = compose(spec, Workload(taken), decode_model="fixed", where=str(table)).instance
    record = {
        "output": output,
        "cluster": spec.name,
        "workload": str(table),
        "start": start,
        "stretch": stretch,
        "workflows": len(instance.workflows),
        "calls": instance.call_count,
    }
    table_of_it = facts(*((name, value) for name, value in record.items() if name != "output"), ("written to", output))
    deliver(output, lambda: instance.to_file(output), record, [table_of_it], as_json)
