"""``hexsched bench``: how fast things are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli.options import Json, Seed
from experiments.cli.output import Table, emit, facts, note

if TYPE_CHECKING:
    from experiments.bench.growth import Row
    from experiments.bench.peers import PeerRow


def add(app: typer.Typer) -> None:
    """Register the commands."""
    bench = typer.Typer(rich_markup_mode=None)
    bench.callback(invoke_without_command=True)(bench_group)
    epilog = "Example: hexsched bench simulator --policy hexagent --calls 100000 --instances 16 --json"
    bench.command("simulator", epilog=epilog)(simulator)
    bench.command("growth", epilog="Example: hexsched bench growth --cases cluster,burst --policies hexagent")(growth)
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


def growth(
    cases: Annotated[
        str, typer.Option(metavar="LIST", help="cluster, length, burst, agents, with commas between them.")
    ] = "cluster,length,burst,agents",
    policies: Annotated[
        str, typer.Option(metavar="LIST", help="Compiled policies, with commas between them.")
    ] = "workflow-fcfs,workflow-llf,atlas,hexagent",
    full: Annotated[
        bool, typer.Option("--full", help="Up to 1,024 instances, a million calls, 50,000 at once; takes minutes.")
    ] = False,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Rows go here as they are measured, a JSON object a line; what is there is not measured again.",
        ),
    ] = None,
    peer: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A node_modules folder with @doublewordai/inference-lab, to measure it too."),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE",
            help="Put the tables into this Markdown page, between the lines <!-- bench-growth --> and "
            "<!-- /bench-growth -->.",
        ),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """How the cost of a call grows with the cluster, the length of a run, a burst, and agents that wait for KV cache.

    CPU microseconds a call of the event loop, after compilation; how much that is more than at the least size; how it
    compares with a floor, which is a heap of as many entries, timed in the same run; and how many calls wait at a
    quarter, at half and at the end of the time in which they arrive.
    """
    import msgspec

    from experiments.bench.growth import CASES, measure_growth
    from experiments.bench.peers import measure_inference_lab
    from experiments.bench.rows import RowFile
    from experiments.environment import as_text, versions
    from hexsched.policies.lists import read_policies
    from hexsched.progress import Progress

    names, chosen = [name.strip() for name in cases.split(",")], read_policies(policies)
    kept = RowFile(rows, {"seed": seed, "versions": versions()})
    measured: list[Row] = []
    peers = [] if peer is None else measure_inference_lab(peer)
    total = sum(len(CASES[name].full if full else CASES[name].quick) for name in names if name in CASES) * len(chosen)
    with Progress("measuring", unit="rows") as report:
        for row in measure_growth(names, chosen, "full" if full else "quick", seed, kept.known):
            measured.append(row)
            kept.add(row)
            report(len(measured), total)
    record = {"rows": measured, "peers": peers, "seed": seed, "versions": versions()}
    emit(msgspec.to_builtins(record), _tables(measured, peers), as_json)
    for row in measured:
        if row.growing:
            note(f"{row.case} {row.size:,}, {row.policy}: ever more calls wait, so its cost is that of its queue")
    if into is not None:
        from experiments.pages import insert, table

        texts = [
            f"**{title}.**\n\n{table(columns, lines, 'l' + 'r' * (len(columns) - 1))}\n"
            for title, columns, lines in _written(measured, peers)
        ]
        insert(into, {"bench-growth": "\n".join([*texts, f"{as_text()}\n"])})


def _tables(rows: list[Row], peers: list[PeerRow]) -> list[Table]:
    return [Table(columns, lines, title) for title, columns, lines in _written(rows, peers)]


def _written(rows: list[Row], peers: list[PeerRow]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, columns and lines of each table: what grows first, then all of each case, then peers."""
    from experiments.bench.growth import CASES

    found = []
    for case in dict.fromkeys(row.case for row in rows):
        mine = [row for row in rows if row.case == case]
        sizes = sorted({row.size for row in mine})
        of = {(row.policy, row.size): row for row in mine}
        lines = []
        for policy in dict.fromkeys(row.policy for row in mine):
            line = [of.get((policy, size)) for size in sizes]
            cells = ["not run" if row is None else f"{row.us_per_call:.3g} (×{row.growth:.2g})" for row in line]
            lines.append([policy, *cells])
        title = f"{case}: {CASES[case].summary}; µs of CPU a call (and times that of the first column)"
        found.append((title, [CASES[case].unit, *(f"{size:,}" for size in sizes)], lines))
    lines = [
        [
            row.case,
            f"{row.size:,}",
            row.policy,
            f"{row.calls:,}",
            f"{row.floor_us:.2g}",
            f"{row.over_floor:.3g}",
            "-" if row.growing is None else " / ".join(f"{count:,}" for count in row.waiting),
            f"{row.most_waiting:,}",
            "-" if row.growing is None else "yes" if row.growing else "no",
            str(row.runs),
        ]
        for row in rows
    ]
    columns = ["case", "size", "policy", "calls", "floor, µs", "times the floor", "waiting at ¼ / ½ / end", "most"]
    found.append(("Floor and queues", [*columns, "growing", "runs"], lines))
    if peers:
        lines = [[one.peer, f"{one.requests:,}", f"{one.us_per_call:,.0f}"] for one in peers]
        found.append(("Peers, one server", ["peer", "requests", "µs of CPU a request"], lines))
    return found
