"""``hexsched report``: registered through the entry-point group ``hexsched.commands``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.destination import check_directory
from experiments.cli.options import Json
from experiments.cli.output import Table, emit
from paper_figs.command import Policies


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("report", epilog="Example: hexsched report --store results -o results/report")(report)


def report(
    store: Annotated[Path, typer.Option(metavar="DIR", help="Where 'hexsched grid run' stored the results.")] = Path(
        "out"
    ),
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the report goes.")] = Path(
        "report"
    ),
    policies: Policies = None,
    as_json: Json = False,
) -> None:
    """Write report.md and report.html: what agrees with the paper, what does not, and what was assumed.

    Reductions come with 95 % intervals over seeds; a claim that rests on a single seed counts as not tested.
    """
    from paper_figs.reading.claims import NO_RUNS, NOT_TESTED
    from paper_figs.reading.store import select_policies
    from paper_figs.report.build import write_report

    check_directory(output, (), [])
    made = write_report(select_policies(store, policies), output)
    verdicts = [row for row in made.claims.to_dict("records") if row["main"]]
    record = {
        "files": [str(path) for path in made.files],
        "verdicts": {row["claim"]: row["verdict"] for row in verdicts},
        "left_out": made.left_out,
    }
    judged = [(row["text"], row["verdict"]) for row in verdicts]
    if all(row["load_text"] == NO_RUNS for row in verdicts):
        judged = [(f"all {len(verdicts)}", f"{NOT_TESTED}: {NO_RUNS}")]
    tables = [
        Table(("claim", "verdict"), judged),
        Table(("file",), [(str(path),) for path in made.files[:2]]),
    ]
    emit(record, tables, as_json)
