"""``hexsched workload``: making, importing and describing workloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli.destination import STDOUT, check_destination, deliver
from experiments.cli.options import Arrivals, Format, Json, Seed
from experiments.cli.output import Table, emit, facts, records
from experiments.cli.workload_source import read_workflows, set_arrivals
from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.model import Workflow

Family = Annotated[str, typer.Argument(metavar="FAMILY", help="A name of 'hexsched families'.")]
Output = Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="File to write; - is standard output.")]


def add(app: typer.Typer) -> None:
    """Register the group."""
    group = typer.Typer(rich_markup_mode=None)
    group.callback(invoke_without_command=True)(workload)
    example = "Example: hexsched workload "
    group.command("generate", epilog=f"{example}generate lats --workflows 100 --arrivals poisson:1.5 -o lats.jsonl")(
        generate_command
    )
    group.command("import", epilog=f"{example}import azure.csv --arrivals poisson:2.0 --limit 500 -o azure.jsonl")(
        import_command
    )
    group.command("describe", epilog=f"{example}describe lats.jsonl")(describe_command)
    group.command("fit-report", epilog=f"{example}fit-report sharegpt --real sharegpt.jsonl")(fit_report_command)
    app.add_typer(group, name="workload")


def workload(context: typer.Context) -> None:
    """Make, import and describe workloads."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def generate_command(
    family: Family,
    workflows: Annotated[int, typer.Option(metavar="N", help="How many workflows.")],
    arrivals: Arrivals = None,
    seed: Seed = 0,
    output: Output = STDOUT,
    as_json: Json = False,
) -> None:
    """Draw workflows of a family that was fitted to real runs.

    All arrive at 0 unless --arrivals says otherwise. The same seed gives the same workload, and a longer one begins
    with the workflows of a shorter one.
    """
    from hexsched.workloads.families import generate

    check_destination(output, [], as_json)
    workload = set_arrivals(generate(family, workflows, seed), arrivals, seed)
    _deliver(workload, output, as_json, {"family": family, "seed": seed, "arrivals": arrivals})


def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Trace or workload in any of 'hexsched formats'.")],
    format: Format = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the format, see 'hexsched formats'; may be repeated."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most the first N workflows of the file.")
    ] = None,
    arrivals: Arrivals = None,
    seed: Seed = 0,
    output: Output = STDOUT,
    as_json: Json = False,
) -> None:
    """Turn a trace into a workload file.

    Arrivals are the trace's own, the first at 0, unless --arrivals says otherwise.
    """
    check_destination(output, [file], as_json)
    result = read_workflows(file, format, limit=limit, options=_key_values(option or ()))
    workload = set_arrivals(result.workflows, arrivals, seed)
    origin = {"source": str(file), "format": result.format, "dropped": result.dropped, "arrivals": arrivals}
    _deliver(workload, output, as_json, origin)


def describe_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Workload or trace file.")],
    format: Format = None,
    as_json: Json = False,
) -> None:
    """Summarise a workload: its size, shape, lengths and arrivals."""
    from hexsched.workloads.describe import describe

    result = read_workflows(file, format)
    rows = records(describe(result.workflows))
    quantities = {str(row["quantity"]): {key: row[key] for key in row if key != "quantity"} for row in rows}
    record = {"file": str(file), "format": result.format, "dropped": result.dropped, "quantities": quantities}
    emit(record, [Table(list(rows[0]), [list(row.values()) for row in rows])], as_json)


def fit_report_command(
    family: Family,
    real: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The original workflows; by default the quantiles stored with the fit."),
    ] = None,
    format: Format = None,
    workflows: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many workflows to draw; 2,000 by default.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Set a family's workflows beside real ones.

    The real ones are those that the family was fitted to, or others given with --real. Errors are relative to the
    real quantile; ks is the Kolmogorov-Smirnov distance as far as the quantiles show it.
    """
    from hexsched.workloads.fit_report import DEFAULT_WORKFLOWS, fit_report

    originals = None if real is None else read_workflows(real, format).workflows
    rows = records(fit_report(family, originals, workflows=workflows or DEFAULT_WORKFLOWS, seed=seed))
    quantities: dict[str, dict[str, dict[str, object]]] = {}
    for row in rows:
        numbers = {key: value for key, value in row.items() if key not in ("quantity", "series")}
        quantities.setdefault(str(row["quantity"]), {})[str(row["series"])] = numbers
    emit(
        {"family": family, "seed": seed, "quantities": quantities},
        [Table(list(rows[0]), [list(row.values()) for row in rows])],
        as_json,
    )


def _key_values(texts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key or key in pairs:
            problem = "is given twice" if key in pairs else "is not KEY=VALUE"
            raise InputError(f"{text!r} {problem}", "--option")
        pairs[key] = value
    return pairs


def _deliver(workflows: Sequence[Workflow], output: str, as_json: bool, origin: Mapping[str, object]) -> None:
    from hexsched.model import workload_bytes

    calls = sum(len(workflow.calls) for workflow in workflows)
    last = max(workflow.arrival for workflow in workflows)
    record = {**origin, "workflows": len(workflows), "calls": calls, "last_arrival": last, "output": output}
    table = facts(
        ("workflows", len(workflows)),
        ("calls", calls),
        ("last arrival s", last),
        ("written to", output),
    )
    deliver(output, lambda: workload_bytes(workflows), record, [table], as_json)
