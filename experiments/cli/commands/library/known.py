"""The instances and what is known of them: ``list``, ``write``, ``check``, ``improve`` and ``gaps``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import CHECK_FAILED, INTERRUPTED
from experiments.cli.commands.library.shared import (
    Archive,
    By,
    Names,
    On,
    OptionalNames,
    chosen_names,
    finder,
    read_known,
)
from experiments.cli.destination import check_directory, check_writable
from experiments.cli.options import MOST_WORKERS, Force, Json, Plugins, Seed, Traceback, time_limit_option
from experiments.cli.output import Table, emit, note, percent
from hexsched.errors import InputError
from hexsched.progress import Progress

if TYPE_CHECKING:
    from experiments.library.archive import Entry


def add(library: typer.Typer) -> None:
    """Register the commands."""
    library.command("list", epilog="Example: hexsched library list contended-dag")(list_command)
    library.command("write", epilog="Example: hexsched library write contended-dag-20-0 -o instances")(write_command)
    library.command("check", epilog="Example: hexsched library check")(check_command)
    library.command("improve", epilog="Example: hexsched library improve contended-dag --time-limit 30")(
        improve_command
    )
    library.command("gaps", epilog="Example: hexsched library gaps --policies hexagent,workflow-llf")(gaps_command)


def list_command(names: OptionalNames = None, archive: Archive = None, as_json: Json = False) -> None:
    """List instances and the best bounds known: * marks what is solved to proven optimality."""
    from experiments.library.archive import OBJECTIVES
    from experiments.library.families import FAMILIES
    from experiments.library.improve import is_closed
    from experiments.library.names import VERSION, shape_of, split_of

    entries = read_known(archive)
    rows, records = [], []
    for name in chosen_names(names):
        family, calls = shape_of(name)
        workflows = family.workflows(calls)
        known = {objective: entries.get((name, objective)) for objective in OBJECTIVES}
        rows.append((name, split_of(name), calls, workflows, *(_bracket(entry) for entry in known.values())))
        if not as_json:
            continue
        records.append(
            {
                "instance": name,
                "family": family.name,
                "calls": calls,
                "workflows": workflows,
                "split": split_of(name),
                "features": _features(name),
                "best_known": {
                    objective: {**_bounds(entry), "optimal": is_closed(entry)}
                    for objective, entry in known.items()
                    if entry is not None
                },
            }
        )
    families = [
        (f.name, f.summary, f"{len(f.prefill)} + {len(f.decode)}", f.max_batch, f"{f.room:g}")
        for f in FAMILIES.values()
    ]
    tables = [Table(("instance", "split", "calls", "workflows", *OBJECTIVES), rows)]
    if not names:
        tables.insert(0, Table(("family", "summary", "prefill + decode", "slots", "KV room, largest calls"), families))
    record = {"version": VERSION, "families": {f.name: f.summary for f in FAMILIES.values()}, "instances": records}
    emit(record, tables, as_json)


def write_command(
    names: Names,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the instance files go.")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write instances as files, NAME.json each."""
    from experiments.library.names import expand, instance
    from hexsched.model import write_instance

    written = {}
    chosen = expand(names)
    check_directory(output, [f"{name}.json" for name in chosen], [], "instance", force)
    for name in chosen:
        path = output / f"{name}.json"
        write_instance(path, instance(name))
        written[name] = str(path)
    emit({"instances": written}, [Table(("instance", "file"), list(written.items()))], as_json)


def check_command(names: OptionalNames = None, archive: Archive = None, as_json: Json = False) -> None:
    """Check the archive: complete, the same instances, LB <= UB, and every schedule verified anew.

    The verifier cannot prove the lower bounds of solvers again. It proves those that a critical path gives, and holds
    all against every archived schedule of the instance, those of other objectives too.

    The exit code is 1 when something is wrong.
    """
    from experiments.library.archive import OBJECTIVES
    from experiments.library.check import examine
    from experiments.library.improve import is_closed
    from experiments.library.names import expand

    entries = read_known(archive)
    keys = [(name, objective) for name in expand(names) for objective in OBJECTIVES] if names else None
    with Progress("checking", "entries") as progress:
        wrong, standing = examine(entries, keys, progress)
    checked = [entries[key] for key in (entries if keys is None else keys) if key in entries]
    uppers, lowers = Counter(entry.upper_source for entry in checked), Counter(entry.lower_source for entry in checked)
    closed = sum(map(is_closed, checked))
    record = {
        "ok": not wrong,
        "entries": len(checked),
        "proven_optimal": closed,
        "upper_sources": uppers,
        "lower_sources": lowers,
        "lower_bounds": standing._asdict(),
        "problems": wrong,
    }
    tables = [
        Table(
            ("entries", "proven optimal", "problems"),
            [(len(checked), closed, len(wrong))],
        ),
        Table(("upper bounds are schedules by", "entries"), uppers.most_common()),
        Table(("lower bounds come from", "entries"), lowers.most_common()),
        Table(
            ("lower bounds are", "entries"),
            [
                ("proved by the verifier, too", standing.verified),
                ("above no archived schedule of the instance", standing.uncontradicted),
            ],
        ),
    ]
    emit(record, tables, as_json)
    for line in wrong:
        note(f"check failed: {line}")
    if wrong:
        raise typer.Exit(CHECK_FAILED)


def improve_command(
    names: OptionalNames = None,
    time_limit: Annotated[float, time_limit_option("for the solver, and as many for bounds if a gap is left")] = 5.0,
    workers: Annotated[int, typer.Option(min=1, max=MOST_WORKERS, metavar="N", help="Threads of the solver.")] = 2,
    formulation: Annotated[str, typer.Option(metavar="F", help="One of 'hexsched formulations'.")] = "cpsat",
    objective: Annotated[
        str | None, typer.Option(metavar="O,O", help="Objectives with commas between them; all archived by default.")
    ] = None,
    archive: Archive = None,
    by: By = None,
    on: On = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Solve and bound what is not yet proven optimal, and file what is better.

    The archive is written after every gain, so that Ctrl-C keeps what was found. A lower bound above a verified
    schedule ends the run with exit code 1.
    """
    from experiments.library.archive import OBJECTIVES, PACKAGED, expected_keys, write_archive
    from experiments.library.improve import Effort, improve, is_closed
    from solvers.problem.bracket import ContradictionError

    path = PACKAGED if archive is None else archive
    entries = read_known(archive, may_be_new=True)
    check_writable(path, [], "table")
    aims = [text.strip() for text in objective.split(",")] if objective else list(OBJECTIVES)
    for aim in aims:
        if aim not in OBJECTIVES:
            raise InputError(f"objective {aim!r} is not archived; those are {', '.join(OBJECTIVES)}", "--objective")
    archived = {name for name, _ in expected_keys()}
    for name in (chosen := chosen_names(names)):
        if name not in archived:
            raise InputError(f"instance {name!r} is not archived; see 'hexsched library list'")
    keys = [(name, aim) for name in chosen for aim in aims]
    todo = [key for key in keys if key not in entries or not is_closed(entries[key])]

    effort = Effort(time_limit, workers, seed, formulation, finder(by, on))

    def keep(entry: Entry) -> None:
        entries[entry.key] = entry
        write_archive(entries, path)

    gains: list[tuple[str, str, str | None, str]] = []
    interrupted = False
    with Progress("improving", "entries") as progress:
        for position, key in enumerate(todo):
            progress.show(f"{key[0]}, {key[1]} ({position + 1} of {len(todo)})")
            before = entries.get(key)
            try:
                outcome = improve(key, before, effort, keep)
            except KeyboardInterrupt:
                interrupted = True
            except ContradictionError as error:
                note(f"check failed: {error}")
                raise typer.Exit(CHECK_FAILED) from None
            else:
                interrupted = outcome.interrupted
                if outcome.message and not interrupted:
                    note(f"{key[0]}, {key[1]}: {outcome.message}")
            after = entries.get(key)
            if after is not None and after != before:
                gains.append((*key, _bracket(before), str(_bracket(after))))
            if interrupted:
                break
    closed = sum(is_closed(entries[key]) for key in keys if key in entries)
    record = {
        "archive": str(path),
        "tried": len(todo),
        "improved": len(gains),
        "proven_optimal": closed,
        "entries": len(keys),
        "interrupted": interrupted,
    }
    tables = [Table(("instance", "objective", "before", "now"), gains), Table(tuple(record), [tuple(record.values())])]
    emit(record, tables, as_json)
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def gaps_command(
    names: OptionalNames = None,
    policies: Annotated[
        str, typer.Option(metavar="LIST", help="Policies with commas between them, or all; see 'hexsched policies'.")
    ] = "all",
    archive: Archive = None,
    seed: Seed = 0,
    plugin: Plugins = None,
    traceback: Traceback = False,
    as_json: Json = False,
) -> None:
    """How far policies are from the best bounds known: mean and worst over instances, by objective.

    The distance from the optimum is at least that to the upper bound and at most that to the lower one.
    """
    from experiments.cli.plugins import load_plugins, plugin_errors
    from experiments.library.gaps import archived_gaps, summary
    from experiments.library.names import expand
    from hexsched.policies.lists import read_policies

    plugins = load_plugins(plugin)
    policy_list = read_policies(policies)
    entries = read_known(archive)
    instances = set(expand(names)) if names else None
    known = [entry for entry in entries.values() if instances is None or entry.instance in instances]
    with Progress("running policies", "instances") as progress, plugin_errors(plugins, *policy_list):
        gaps = archived_gaps(known, policy_list, seed, progress)
    rows = summary(gaps)
    table = [
        (
            row.objective,
            row.policy,
            row.instances,
            *(percent(x) for x in (row.mean_at_least, row.mean_at_most, row.worst_at_least, row.worst_at_most)),
        )
        for row in rows
    ]
    columns = ("objective", "policy", "instances", "mean at least", "at most", "worst at least", "at most")
    record = {"gaps": [row._asdict() for row in gaps], "summary": [row._asdict() for row in rows]}
    emit(record, [Table(columns, table)], as_json)


def _features(name: str) -> dict[str, float]:
    from experiments.library.names import instance
    from solvers.problem.features import features
    from solvers.problem.offline import fixed_problem

    return features(fixed_problem(instance(name)))._asdict()


def _bounds(entry: Entry) -> dict[str, object]:
    return {
        "lower_bound": entry.lower_bound,
        "lower_source": entry.lower_source,
        "lower_by": entry.lower_by,
        "lower_on": entry.lower_on,
        "upper_bound": entry.upper_bound,
        "upper_source": entry.upper_source,
        "upper_by": entry.upper_by,
        "upper_on": entry.upper_on,
    }


def _bracket(entry: Entry | None) -> str | None:
    from experiments.library.improve import is_closed

    if entry is None:
        return None
    if is_closed(entry):
        return f"{entry.upper_bound:.4g} *"
    width = (entry.upper_bound - entry.lower_bound) / entry.lower_bound if entry.lower_bound > 0 else None
    gap = "" if width is None else f" ({percent(width)})"
    return f"{entry.lower_bound:.4g} .. {entry.upper_bound:.4g}{gap}"
