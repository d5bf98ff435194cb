"""``hexsched bench``: how fast things are on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.options import Json, Seed
from experiments.cli.output import emit, facts


def add(app: typer.Typer) -> None:
    """Register the commands."""
    bench = typer.Typer(rich_markup_mode=None)
    bench.callback(invoke_without_command=True)(bench_group)
    epilog = "Example: hexsched bench simulator --policy hexagent --calls 100000 --instances 16 --json"
    bench.command("simulator", epilog=epilog)(simulator)
    app.add_typer(bench, name="bench")


def bench_group(context: typer.Context) -> None:
    """Measure speed on this machine."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def simulator(
    policy: Annotated[str, typer.Option(metavar="NAME", help="Policy; see 'hexsched policies'.")] = "workflow-fcfs",
    calls: Annotated[int, typer.Option(min=1, metavar="N", help="Calls to serve.")] = 100_000,
    instances: Annotated[int, typer.Option(metavar="K", help="Instances, half prefill, half decode.")] = 16,
    load: Annotated[
        float, typer.Option(metavar="RHO", help="Arrival rate over what the prefill pool can sustain.")
    ] = 0.9,
    calls_per_workflow: Annotated[int, typer.Option(min=1, metavar="L", help="Calls in each workflow's chain.")] = 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The event loop on Poisson arrivals of calls with Azure-conversation lengths, after compilation."""
    import msgspec

    from experiments.bench.simulator import measure

    throughput = measure(policy, calls, instances, load=load, calls_per_workflow=calls_per_workflow, seed=seed)
    record = msgspec.structs.asdict(throughput)
    emit(record, [facts(*record.items())], as_json)
