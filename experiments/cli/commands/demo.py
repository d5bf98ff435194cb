"""``hexsched demo``: HexAGenT against its baselines on the paper's four workloads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli import CHECK_FAILED
from experiments.cli.destination import check_directory
from experiments.cli.options import Force, Json, Seed
from experiments.cli.output import Table, emit, note, percent
from hexsched.progress import Progress


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("demo", epilog="Example: hexsched demo -o out && hexsched figures attainment --store out -o out")(demo)


def demo(
    workflows: Annotated[int, typer.Option(min=1, metavar="N", help="Workflows in each workload.")] = 400,
    target: Annotated[
        float, typer.Option(min=1.0, metavar="R", help="Load: the strongest baseline's Req95 is to be R.")
    ] = 5.6,
    seed: Seed = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Store workflows.csv and summary.csv here.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """HexAGenT against its baselines on ShareGPT, BFCL-v3, LATS and Mixed, on 8 + 8 heterogeneous instances.

    The paper's loads are not known: each workload arrives at the fixed rate at which the strongest baseline needs an
    SLO scale of R for 95 % attainment (5.6 on the paper's Qwen cluster), or all at once where that is not enough.
    Every schedule is verified.
    """
    from experiments.demo import CLUSTER, POLICIES, WORKLOADS, compare_on
    from experiments.results import FILES, write_results

    if output is not None:
        check_directory(output, FILES, [], force=force)
    comparisons = []
    for name in WORKLOADS:
        with Progress(f"{name}: searching the load", "steps") as progress:
            comparisons.append(compare_on(name, workflows=workflows, target=target, seed=seed, progress=progress))
    results = [result for comparison in comparisons for result in comparison.results]
    if output is not None:
        write_results(output, results, estimator="exact", seed=seed)
    tables = []
    for metric, heading in (("req95", "Req95"), ("req99", "Req99")):
        rows = []
        for comparison in comparisons:
            load = comparison.load
            values = {r.run.policy: getattr(r.run.metrics, metric) for r in comparison.results}
            rate = f"{load.rate:.3g}/s" if load.reached else "all at once"
            reduction = percent(comparison.reduction(metric))
            rows.append((comparison.workload, rate, *(float(values[name]) for name in POLICIES), reduction))
        columns = ("workload", "arrivals", *POLICIES, "less than the strongest baseline")
        title = f"{heading}, the SLO scale needed, {workflows} workflows on {CLUSTER}; every schedule verified"
        tables.append(Table(columns, rows, title))
    record = {
        "cluster": CLUSTER,
        "workflows": workflows,
        "target": target,
        "seed": seed,
        "workloads": {
            comparison.workload: {
                "rate": comparison.load.rate,
                "target_reached": comparison.load.reached,
                "policies": {r.run.policy: r.values for r in comparison.results},
                "reduction": {"req95": comparison.reduction("req95"), "req99": comparison.reduction("req99")},
            }
            for comparison in comparisons
        },
    }
    emit(record, tables, as_json)
    broken = [f"{c.workload}: {line}" for c in comparisons for line in c.broken]
    for line in broken:
        note(f"check failed: {line}")
    if broken:
        raise typer.Exit(CHECK_FAILED)
