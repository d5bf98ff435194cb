"""``hexsched library time`` and ``choice``: what ``solve --formulation auto`` is learnt from, and how good it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli.commands.library.shared import OptionalNames, chosen_names
from experiments.cli.destination import check_writable
from experiments.cli.options import Json, time_limit_option
from experiments.cli.output import Table, emit
from hexsched.errors import InputError
from hexsched.progress import Progress

if TYPE_CHECKING:
    from solvers.brackets.choice import Timed

Times = Annotated[
    Path | None, typer.Option("--times", metavar="CSV", help="Measured times in place of those in the package.")
]


def add(library: typer.Typer) -> None:
    """Register the commands."""
    epilog = "Example: hexsched library time train --formulations cpsat,milp_disjunctive/HiGHS -o times.csv"
    library.command("time", epilog=epilog)(time_command)
    library.command("choice", epilog="Example: hexsched library choice")(choice_command)


def time_command(
    names: OptionalNames = None,
    formulations: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="FORMULATION[/SOLVER][:SWITCH=on+SWITCH=off] with commas between them: what can be chosen.",
        ),
    ] = "cpsat,milp_disjunctive,milp_time_indexed",
    objective: Annotated[str, typer.Option(metavar="O,O", help="Objectives with commas between them.")] = "max_ratio",
    time_limit: Annotated[float, time_limit_option("for each solve")] = 10.0,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="CSV", help="Table to write; what it has is not measured again.")
    ] = Path("times.csv"),
    as_json: Json = False,
) -> None:
    """Measure how long formulations take until they have proven the optimum, with one worker, in CPU seconds.

    The table is written after each solve, so that the same command goes on where it stopped. 'hexsched library choice
    --times CSV' shows what is learnt from it.
    """
    from experiments.library.timing import Measurement, plan, run, write_times
    from solvers.brackets.choice import read_times
    from solvers.schedules.search import warm_up

    check_writable(output, [], "table")
    known = read_times(output) if os.path.exists(output) else []
    tasks = plan(chosen_names(names), _listed(objective), _listed(formulations))
    warm_up()

    def keep(rows: list[Timed]) -> None:
        write_times(output, rows)

    with Progress("measuring", "solves") as progress:

        def show(task: Measurement, done: int, total: int) -> None:
            progress.show(f"{task.arm} on {task.instance}, {task.objective} ({done + 1} of {total})")

        rows = run(tasks, known, time_limit, keep, show)
    record = {"times": str(output), "solves": len(tasks), "measured": len(rows) - len(known), "rows": len(rows)}
    emit(record, [Table(tuple(record), [tuple(record.values())])], as_json)


def choice_command(times: Times = None, as_json: Json = False) -> None:
    """Show what 'hexsched solve --formulation auto' chooses, and how good that is on the test split.

    A ratio is the time over that of whatever is fastest on each problem (the virtual best), as a geometric mean over
    the problems that something proved; one that was not proven within the limit counts as twice the limit.
    """
    from experiments.library.timing import compare
    from solvers.brackets.choice import DATA, learn, read_times, times_of

    path = DATA if times is None else times
    rows = read_times(path)
    tree = learn(times_of(rows, "train"))
    limit = max(row.time_limit for row in rows)
    splits = {split: compare(tree, times_of(rows, split)) for split in ("test", "train")}
    record = {
        "times": str(path),
        "time_limit": limit,
        "tree": tree.lines(),
        **{split: [one._asdict() for one in found] for split, found in splits.items()},
    }
    tables = [Table(("",), [(line,) for line in tree.lines()], "auto chooses")]
    for split, found in splits.items():
        if found:
            title = f"{split}: {found[0].problems} problems that something proved within {limit:g} s"
            shown = [(one.chooses, one.ratio, one.worst, one.proven) for one in found]
            tables.append(Table(("chooses", "times the fastest", "at most", "proven"), shown, title))
    emit(record, tables, as_json)


def _listed(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise InputError(f"a name is missing in {text!r}; expected names with a comma between them")
    return parts
