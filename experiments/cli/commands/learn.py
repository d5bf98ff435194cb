"""``hexsched learn``: hints from workflows of the past."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.destination import STDOUT, check_destination, deliver
from experiments.cli.options import ColumnMap, Force, Format, Json, Options, TimeUnit
from experiments.cli.output import facts, percent
from experiments.cli.trace import trace_options


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched learn monday.jsonl tuesday.jsonl -o predictor.json"
    app.command("learn", epilog=epilog)(learn_command)


def learn_command(
    traces: Annotated[
        list[Path],
        typer.Argument(metavar="TRACE...", help="Traces or workloads in any of 'hexsched formats', all in the same."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Predictor to write; - is standard output.")
    ] = STDOUT,
    share: Annotated[
        float, typer.Option(metavar="P", help="Share of calls that may be promised more than comes after them.")
    ] = 0.02,
    format: Format = None,
    option: Options = None,
    map: ColumnMap = None,
    time_unit: TimeUnit = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Learn how much at least comes after a call of a kind, for 'hexsched workload hint'.

    Printed is how well it does on workflows that it was not learned from: each half of them is promised what was
    learned from the other half.
    """
    from hexsched.workloads.predictor import check_halves, learn
    from hexsched.workloads.source import read_workflows

    check_destination(output, traces, as_json, "predictor", force)
    options = trace_options(option, map, time_unit)
    workflows = [one for path in traces for one in read_workflows(path, format, options=options).workflows]
    predictor = learn(workflows, share, [path.name for path in traces])
    check = check_halves(workflows, share)
    record = {
        "sources": list(predictor.sources),
        "share": share,
        "workflows": predictor.workflows,
        "states": len(predictor.states),
        "held_out": check._asdict(),
        "output": output,
    }
    table = facts(
        ("workflows", predictor.workflows),
        ("states", len(predictor.states)),
        ("calls promised too much", percent(check.calls)),
        ("workflows promised too much", percent(check.workflows)),
        ("promised of what came", percent(check.promised)),
        ("written to", output),
    )
    deliver(output, predictor.to_bytes, record, [table], as_json)
