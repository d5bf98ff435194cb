"""``hexsched compare``: many policies on the same instances, every schedule verified."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from experiments.cli import CHECK_FAILED
from experiments.cli.destination import check_directory
from experiments.cli.metric_columns import (
    DECISION_HEADING,
    GOODPUT,
    MICROSECONDS,
    SHARES,
    SLO,
    goodput_values,
    read_slo,
    run_values,
    shown_goodput,
)
from experiments.cli.options import Estimator, Force, Json, Plugins, Seed, Slo, Timed, Traceback
from experiments.cli.output import Table, emit, note
from experiments.cli.plugins import load_plugins
from experiments.cli.running import run_policy
from experiments.cli.timings import Timings
from experiments.environment import origin
from experiments.results import FILES
from hexsched.baselines import ALL
from hexsched.errors import InputError
from hexsched.metrics import METRICS
from hexsched.registry import choices

if TYPE_CHECKING:
    from hexsched.simulator import Run


def compared(slo: bool = False) -> dict[str, str]:
    """Heading by key of what the table has of each policy, with shares within thresholds where there are some."""
    headings = {name: metric.label for name, metric in METRICS.items() if not (metric.size or metric.detail)}
    return headings | ({name: GOODPUT[name] for name in SHARES} if slo else {})


def sort_keys() -> tuple[str, ...]:
    """What policies can be sorted by."""
    return (*(name for name, metric in METRICS.items() if not metric.size), "decision_latency", *SHARES)


class Row(NamedTuple):
    """A policy on an instance.

    Attributes
    ----------
    values : dict
        Metrics and decision latency.
    violations : dict of str to int, or None
        Violations of each broken rule; None where nothing was verified.
    """

    instance: Path
    run: Run
    values: dict[str, Any]
    violations: dict[str, int] | None

    @property
    def verified(self) -> bool | None:
        """Whether the schedule passed; None where nothing was verified."""
        return None if self.violations is None else not self.violations


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched compare instance.json --policies hexagent,fcfs@jsq,workflow-llf --sort req95 -o results"
    app.command("compare", epilog=epilog)(compare_command)


def compare_command(
    instances: Annotated[list[Path], typer.Argument(metavar="INSTANCE", help="Instance files.")],
    policies: Annotated[
        str, typer.Option(metavar="LIST", help="Policies with commas between them, or all; see 'hexsched policies'.")
    ] = ALL,
    estimator: Estimator = "exact",
    seed: Seed = 0,
    slo: Slo = None,
    sort: Annotated[
        str | None, typer.Option(metavar="KEY", help=f"Best first by one of {', '.join(sort_keys())}.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help=f"Write {', '.join(FILES)} to this directory."),
    ] = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not verify the schedules.")] = False,
    plugin: Plugins = None,
    force: Force = False,
    traceback: Traceback = False,
    timings: Timed = False,
    as_json: Json = False,
) -> None:
    """Run many policies and set their metrics side by side.

    Every schedule goes through the independent verifier; the exit code is 1 when one breaks a rule of the model.
    """
    times = Timings(timings)
    with times.part("import"):
        from hexsched.model import read_instance
        from hexsched.policies.lists import read_policies

    if sort is not None and sort not in sort_keys():
        raise InputError(f"cannot sort by {sort!r}; {choices(sort, sort_keys(), 'expected one of')}", "--sort")
    thresholds = read_slo(slo)
    if sort in SHARES and thresholds is None:
        raise InputError(f"{sort} is a share within thresholds; give some with --slo", "--sort")
    if output is not None:
        check_directory(output, FILES, [*instances, *(plugin or ())], force=force)
    plugins = load_plugins(plugin)
    policy_list = read_policies(policies)
    with times.part("import"):
        from hexsched.simulator import simulate  # noqa: F401  (takes time, and names are right by now)
    with times.part("read"):
        problems = {path: read_instance(path) for path in instances}
    rows: list[Row] = []
    for path, problem in problems.items():
        for policy in policy_list:
            label = f"{path.name}, {policy.name} ({len(rows) + 1} of {len(problems) * len(policy_list)})"
            with times.part("prepare"):
                run = run_policy(problem, policy, estimator=estimator, seed=seed, plugins=plugins, label=label)
            times.engine(run)
            with times.part("metrics"):
                values = run_values(run) | goodput_values(run, thresholds)
            with times.part("verify"):
                violations = None if no_verify else _violations(run)
            rows.append(Row(path, run, values, violations))
    if sort is not None:
        rows.sort(key=lambda row: _rank(sort, row.values[sort]))  # stable; grouped by instance below
    if output is not None:
        from experiments.results import Result, write_results
        from hexsched.model.files import read_bytes

        write_results(
            output,
            [Result(str(r.instance), r.run, {**r.values, "verified": _verdict(r)}) for r in rows],
            estimator=estimator,
            seed=seed,
            policy_sha256=" ".join(hashlib.sha256(read_bytes(path)).hexdigest() for path in plugins),
        )
    groups = {path: [row for row in rows if row.instance == path] for path in problems}
    record: dict[str, object] = {
        "estimator": estimator,
        "seed": seed,
        "instances": [
            {"instance": str(path), "policies": {row.run.policy: _record(row) for row in group}}
            for path, group in groups.items()
        ],
    }
    if as_json:
        record["provenance"] = origin([*instances, *plugins])
    emit(record, [_table(path, group) for path, group in groups.items()], as_json)
    times.tell()
    broken = [row for row in rows if row.violations]
    for row in broken:
        rules = ", ".join(f"{rule} ({count})" for rule, count in (row.violations or {}).items())
        note(f"check failed: {row.instance}: the schedule of {row.run.policy} breaks {rules}")
    if broken:
        raise typer.Exit(CHECK_FAILED)


def _violations(run: Run) -> dict[str, int]:
    from hexsched.verifier import verify

    return verify(run.instance, run.schedule).counts()


def _record(row: Row) -> dict[str, object]:
    broken = {"violations": row.violations} if row.violations else {}
    return {**row.values, "verified": row.verified, **broken}


def _rank(key: str, value: float | None) -> float:
    """Less is better, but for shares; what there is no value of comes last."""
    if value is None or value != value:
        return math.inf
    return -value if key in SHARES else value


def _table(path: Path, rows: list[Row]) -> Table:
    first = rows[0].values
    headings = compared(SLO in first)
    within = f"; thresholds {first[SLO]}" if SLO in first else ""
    return Table(
        columns=("policy", *headings.values(), DECISION_HEADING, "verified"),
        rows=[
            (
                row.run.policy,
                *(shown_goodput(key, row.values[key]) for key in headings),
                row.values["decision_latency"] * MICROSECONDS,
                _verdict(row),
            )
            for row in rows
        ],
        title=f"{path}: {first['workflows']:,} workflows, {first['calls']:,} calls{within}",
    )


def _verdict(row: Row) -> str:
    if row.violations is None:
        return "not checked"
    return f"no: {', '.join(row.violations)}" if row.violations else "yes"
