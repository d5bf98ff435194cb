"""``hexsched library submit``: a schedule from outside becomes the best known, if it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli import CHECK_FAILED
from experiments.cli.commands.library.shared import Archive, By, On, finder, read_known
from experiments.cli.destination import check_writable
from experiments.cli.options import Json
from experiments.cli.output import Table, emit, note


def add(library: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched library submit contended-dag-25-0.json --by 'A. Nother'"
    library.command("submit", epilog=epilog)(submit_command)


def submit_command(
    schedule: Annotated[
        Path, typer.Argument(metavar="SCHEDULE", help="Schedule file, or the solution of a flat instance.")
    ],
    instance: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The instance that it is of; by default what the file says, or is called up to a dot."
        ),
    ] = None,
    by: By = None,
    on: On = None,
    archive: Archive = None,
    as_json: Json = False,
) -> None:
    """Verify a schedule of an archived instance, and file it where it is better than the best known.

    The verifier alone says whether it is valid and what it is worth, by every archived objective. The exit code is 1
    when it is not valid, and when it is nowhere better.
    """
    from experiments.library.archive import PACKAGED, Entry, write_archive
    from experiments.library.submission import NotValidError, read_submission, submit
    from solvers.problem.bracket import ContradictionError

    path = PACKAGED if archive is None else archive
    check_writable(path, [schedule], "table")
    entries = read_known(archive, may_be_new=True)

    def keep(entry: Entry) -> None:
        entries[entry.key] = entry

    try:
        submission = read_submission(schedule, instance)
        verdicts = submit(submission, dict(entries), finder(by or submission.by, on), finder(None, on), keep)
    except (NotValidError, ContradictionError) as error:
        note(f"check failed: {error}")
        raise typer.Exit(CHECK_FAILED) from None
    better = [verdict for verdict in verdicts if verdict.better]
    if better:
        write_archive(entries, path)
    record = {
        "instance": submission.name,
        "source": submission.source,
        "archive": str(path),
        "filed": len(better),
        "objectives": [verdict._asdict() for verdict in verdicts],
    }
    rows = [
        (v.objective, v.value, v.known, v.lower_bound, "the best now" if v.better else "no better") for v in verdicts
    ]
    emit(record, [Table(("objective", "value", "best before", "lower bound", "verdict"), rows)], as_json)
    if not better:
        note(f"check failed: a schedule of {submission.name}, but nowhere better than the best known; nothing is filed")
        raise typer.Exit(CHECK_FAILED)
