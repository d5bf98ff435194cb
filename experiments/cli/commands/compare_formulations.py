"""``hexsched compare-formulations``: formulations of the offline problem, set side by side and against each other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import CHECK_FAILED
from experiments.cli.destination import check_directory
from experiments.cli.options import MOST_WORKERS, Json, Seed, time_limit_option
from experiments.cli.output import Table, emit, note, percent, records
from hexsched.errors import InputError
from hexsched.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from experiments.formulations.agreement import Claim
    from experiments.formulations.rows import Row
    from hexsched.model import Instance

EXACT = "exact"
INSTALLED = "installed"
FACTORS = (1.0, 2.0, 5.0, 10.0, 100.0)


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched compare-formulations contended-dag --formulations cpsat,milp_disjunctive -o out"
    app.command("compare-formulations", epilog=epilog)(compare_formulations_command)


def compare_formulations_command(
    instances: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INSTANCE]...",
            help="Instance files, and names or families of 'hexsched library'; the whole library when none is given.",
        ),
    ] = None,
    objective: Annotated[
        str, typer.Option(metavar="O,O", help="Objectives with commas between them; see 'hexsched solve'.")
    ] = "max_ratio",
    formulations: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="FORMULATION[/SOLVER][:SWITCH=on+SWITCH=off] with commas between them. exact are those that reach the "
            "optimum; all; auto; /all is with each solver, :each with one switch changed at a time.",
        ),
    ] = EXACT,
    solvers: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="MILP solvers with commas between them, or installed: each MILP is solved with each of them.",
        ),
    ] = "",
    time_limit: Annotated[float, time_limit_option("for each solve")] = 60.0,
    workers: Annotated[int, typer.Option(min=1, max=MOST_WORKERS, metavar="N", help="Threads of each solve.")] = 2,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write formulations.csv to this directory.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in the directory.")] = False,
    seed: Seed = 0,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="How many seeds of the solvers, from --seed on.")] = 1,
    as_json: Json = False,
) -> None:
    """Time to optimality, gaps, root bounds, model sizes and performance profiles of formulations.

    Each solve has a process of its own; one that crashes is a row like any other. A row is written as soon as it is
    known, so that --resume goes on where an interrupted comparison stopped. The exit code is 1 when results contradict
    each other: different optima of one instance, or a lower bound above a verified schedule.
    """
    from experiments.formulations.agreement import disagreements
    from experiments.formulations.comparison import crossed, missing, passed_over, plan, run, unaffected
    from experiments.formulations.rows import FORMULATIONS_CSV, as_frame, read_rows

    asked = _solvers(solvers)
    listed = _listed(formulations, "--formulations")
    arms = crossed(listed, asked)
    if absent := passed_over(listed):
        note(f"{', '.join(absent)}: not compared, as the solver is not installed; see 'hexsched formulations'")
    objectives = _listed(objective, "--objective")
    known: list[Row] = []
    if output is not None:
        check_directory(output, (FORMULATIONS_CSV,), [])
        if (output / FORMULATIONS_CSV).exists():
            if not resume:
                raise InputError("there are results here; give --resume to add to them, or another directory", output)
            known = read_rows(output)
    elif resume:
        raise InputError("--resume needs the directory to go on in: -o DIR")
    problems = _problems(instances)
    tasks = plan(
        problems,
        objectives,
        arms,
        time_limit=time_limit,
        workers=workers,
        seeds=range(seed, seed + seeds),
    )
    if alone := unaffected(arms, asked):
        note(f"--solvers has no effect on {', '.join(alone)}: there the solver is part of the formulation")
    if known:
        note(f"{len(tasks) - len(missing(tasks, known))} of {len(tasks)} solves are already in {output}")
    with Progress("comparing", "solves") as progress:
        results = run(
            tasks,
            problems,
            known,
            output,
            lambda task, done, total: progress.show(
                f"{task.method} on {task.instance}, {task.objective} ({done + 1} of {total})"
            ),
        )
    by_task = {row.task: row for row in results}
    rows = [by_task[task] for task in tasks]
    wrong = disagreements(rows, _archived(rows))
    _report(as_frame(rows), wrong, output, as_json)
    for line in wrong:
        note(f"check failed: {line}")
    if wrong:
        raise typer.Exit(CHECK_FAILED)


def _report(frame: pd.DataFrame, wrong: list[str], output: Path | None, as_json: bool) -> None:
    from experiments.formulations.profiles import (
        largest_proven,
        performance_profile,
        profile_at,
        summary,
        tried_by_all,
    )

    overall = summary(frame)
    profile = profile_at(performance_profile(tried_by_all(frame)), FACTORS)
    sizes = largest_proven(frame)
    by_objective = {str(aim): summary(rows) for aim, rows in frame.groupby("objective", sort=False)}
    record = {
        "rows": records(frame),
        "summary": records(overall),
        "summary_by_objective": {aim: records(table) for aim, table in by_objective.items()},
        "performance_profile": [
            {"formulation": row["formulation"], "rho": {f"{factor:g}": row[factor] for factor in FACTORS}}
            for _, row in profile.iterrows()
        ],
        "largest_proven": records(sizes),
        "disagreements": wrong,
        "store": None if output is None else str(output),
    }
    limits = sorted(set(frame["time_limit"]))
    limit = ", ".join(f"{seconds:g}" for seconds in limits)
    tables = [_summary_table(overall, f"{len(frame)} solves, limit {limit} s")]
    if len(by_objective) > 1:
        tables += [_summary_table(table, aim) for aim, table in by_objective.items()]
    tables += [
        Table(
            ("formulation", *(f"{factor:g} x" for factor in FACTORS)),
            [(row["formulation"], *(percent(row[factor]) for factor in FACTORS)) for _, row in profile.iterrows()],
            title="proven within so many times the time of the fastest (Dolan and Moré)",
        ),
        Table(
            ("formulation", "all", "half", "any"),
            [
                (row["formulation"], *(_whole(row[share]) for share in ("all", "half", "any")))
                for _, row in sizes.iterrows()
            ],
            title="calls up to which all, half, any are proven optimal within the limit",
        ),
    ]
    emit(record, tables, as_json)


def _summary_table(table: pd.DataFrame, title: str) -> Table:
    return Table(
        (
            "formulation",
            "solves",
            "proven",
            "seconds",
            "CPU seconds",
            "final gap",
            "root gap",
            "root bounds",
            "variables",
            "constraints",
            "nonzeros",
            "nothing found",
        ),
        [
            (
                row["formulation"],
                row["rows"],
                row["solved"],
                row["seconds"],
                row["cpu_seconds"],
                _percent(row["gap"]),
                _percent(row["root_gap"]),
                row["root_bounds"],
                _whole(row["variables"]),
                _whole(row["constraints"]),
                _whole(row["nonzeros"]),
                row["failed"],
            )
            for row in table.to_dict(orient="records")
        ],
        title=f"{title}; seconds: geometric mean, shifted by 1 s, unproven at the limit; sizes: medians",
    )


def _problems(texts: list[str] | None) -> dict[str, Instance]:
    """Instances by name: files where there is such a file, else the library."""
    from experiments.library.names import expand, instance, names
    from hexsched.model import read_instance

    problems: dict[str, Instance] = {}
    for text in texts or names():
        if Path(text).suffix or os.path.exists(text):
            problems[text] = read_instance(text)
        else:
            problems |= {name: instance(name) for name in expand([text])}
    return problems


def _listed(text: str, where: str) -> list[str]:
    from hexsched.policies.lists import split_top_level

    parts = [part.strip() for part in split_top_level(text)]
    if not all(parts):
        raise InputError(f"a name is missing in {text!r}; expected names with a comma between them", where)
    return parts


def _solvers(text: str) -> list[str]:
    from solvers.exact.milp.backends import BACKENDS

    if text == INSTALLED:
        return [name for name, solver in BACKENDS.items() if solver.available()]
    return _listed(text, "--solvers") if text else []


def _archived(rows: list[Row]) -> dict[tuple[str, str], tuple[Claim, Claim]]:
    """What the library's archive says about these instances."""
    from experiments.library.archive import PACKAGED, read_archive

    entries = read_archive(PACKAGED) if PACKAGED.exists() else {}
    compared = {row.sha256 for row in rows}
    return {
        (entry.sha256, entry.objective): (
            (f"the archive ({entry.lower_source})", entry.lower_bound),
            (f"the archive ({entry.upper_source})", entry.upper_bound),
        )
        for entry in entries.values()
        if entry.sha256 in compared
    }


def _percent(share: float) -> str | None:
    return None if share != share else percent(share)


def _whole(number: float) -> int | None:
    return None if number != number else round(number)
