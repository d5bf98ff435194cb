"""``hexsched workload``: making, importing and describing workloads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli.destination import STDOUT, check_destination, deliver
from experiments.cli.options import Arrivals, ColumnMap, Force, Format, Json, Options, Seed, TimeUnit
from experiments.cli.output import Table, emit, facts, note, records
from experiments.cli.trace import note_span, trace_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    group.command("hint", epilog=f"{example}hint w.jsonl --predictor predictor.json -o hinted.jsonl")(hint_command)
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
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw workflows of a family that was fitted to real runs.

    All arrive at 0 unless --arrivals says otherwise. The same seed gives the same workload, and a longer one begins
    with the workflows of a shorter one.
    """
    from hexsched.model import workload_bytes
    from hexsched.workloads.families import FAMILIES
    from hexsched.workloads.source import workload as find_workload

    check_destination(output, [], as_json, "workload", force)
    workload = find_workload(FAMILIES.find(family), workflows=workflows, arrivals=arrivals, seed=seed)
    record = {
        "family": family,
        "seed": seed,
        "arrivals": arrivals,
        "workflows": len(workload),
        "calls": sum(len(workflow.calls) for workflow in workload),
        "last_arrival": max(workflow.arrival for workflow in workload),
        "output": output,
    }
    deliver(output, lambda: workload_bytes(workload), record, [_summary(record)], as_json)


def import_command(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Trace or workload in any of 'hexsched formats', or a folder of them."),
    ],
    format: Format = None,
    option: Options = None,
    map: ColumnMap = None,
    time_unit: TimeUnit = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most the first N workflows of the file.")
    ] = None,
    arrivals: Arrivals = None,
    seed: Seed = 0,
    output: Output = STDOUT,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Turn a trace into a workload file.

    Arrivals are the trace's own, the first at 0, unless --arrivals says otherwise. Files may be packed (gzip, bzip2,
    xz, Zstandard) or tables (Parquet, Arrow). What was seen, left out and changed is told on standard error.
    """
    from hexsched.workloads.importers.parts.spool import spool
    from hexsched.workloads.source import open_workflows, warn_of_findings

    check_destination(output, [file], as_json, "workload", force)
    reading = open_workflows(file, format, limit=limit, options=trace_options(option, map, time_unit))
    found = spool(reading.arrivals, None if arrivals is None else lambda count: _times(arrivals, count, seed))
    warn_of_findings(file, reading)
    note_span(file, reading, found)
    record = {
        "source": str(file),
        "format": reading.format,
        "dropped": reading.trace.dropped,
        "notes": reading.trace.notes,
        "arrivals": arrivals,
        "workflows": found.workflows,
        "calls": found.calls,
        "recorded_span": found.span,
        "last_arrival": found.last_arrival,
        "output": output,
    }
    deliver(output, found.chunks, record, [_summary(record)], as_json)


def describe_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Workload or trace file, or a folder of them.")],
    format: Format = None,
    option: Options = None,
    map: ColumnMap = None,
    time_unit: TimeUnit = None,
    as_json: Json = False,
) -> None:
    """Summarise a workload: its size, shape, lengths and arrivals."""
    from hexsched.workloads.describe import describe
    from hexsched.workloads.source import read_workflows

    result = read_workflows(file, format, options=trace_options(option, map, time_unit))
    rows = records(describe(result.workflows))
    quantities = {str(row["quantity"]): {key: row[key] for key in row if key != "quantity"} for row in rows}
    record = {"file": str(file), "format": result.format, "dropped": result.dropped, "quantities": quantities}
    emit(record, [Table(list(rows[0]), [list(row.values()) for row in rows])], as_json)


def hint_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Workload or trace file, or a folder of them.")],
    predictor: Annotated[Path, typer.Option(metavar="PREDICTOR", help="Made by 'hexsched learn'.")],
    format: Format = None,
    option: Options = None,
    map: ColumnMap = None,
    time_unit: TimeUnit = None,
    output: Output = STDOUT,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Give calls the hints that were learned from other workflows, for policies with 'horizon=hint'.

    A hint says how much at least comes after its call. It depends on what is known when the call is released; calls
    that have a hint keep it.
    """
    from hexsched.model import workload_bytes
    from hexsched.workloads.predictor import read_predictor
    from hexsched.workloads.source import read_workflows

    check_destination(output, [file, predictor], as_json, "workload", force)
    learned = read_predictor(predictor)
    given = read_workflows(file, format, options=trace_options(option, map, time_unit)).workflows
    hinted = learned.hinted(given)
    record = {
        "source": str(file),
        "predictor": str(predictor),
        "workflows": len(hinted),
        "calls": sum(len(workflow.calls) for workflow in hinted),
        "hints": sum(1 for workflow in hinted for call in workflow.calls if call.hint),
        "last_arrival": max(workflow.arrival for workflow in hinted),
        "output": output,
    }
    table = facts(*((name, record[name]) for name in ("workflows", "calls", "hints")), ("written to", output))
    deliver(output, lambda: workload_bytes(hinted), record, [table], as_json)


def fit_report_command(
    family: Family,
    real: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The original workflows; by default the quantiles stored with the fit."),
    ] = None,
    format: Format = None,
    option: Options = None,
    map: ColumnMap = None,
    time_unit: TimeUnit = None,
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
    from hexsched.workloads.source import read_workflows

    originals = (
        None if real is None else read_workflows(real, format, options=trace_options(option, map, time_unit)).workflows
    )
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


def _times(spec: str, count: int, seed: int) -> NDArray[np.float64]:
    from hexsched.workloads.arrivals import arrival_times, read_arrivals

    process = read_arrivals(spec)
    times = arrival_times(process, count, seed)
    for text in process.notes:
        note(text)
    return times


def _summary(record: Mapping[str, object]) -> Table:
    return facts(
        ("workflows", record["workflows"]),
        ("calls", record["calls"]),
        ("last arrival s", record["last_arrival"]),
        ("written to", record["output"]),
    )
