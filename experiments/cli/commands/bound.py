"""``hexsched bound``: values that no schedule of an instance can beat."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.options import InstanceFile, Json, time_limit_option
from experiments.cli.output import Table, emit
from experiments.environment import origin
from hexsched.baselines import ALL
from hexsched.registry import modules_of, refuse_unknown
from solvers.defaults import OBJECTIVE

NAMES = [name.replace("_", "-") for name in modules_of("solvers.bounds")]  # a bound is called as its file


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched bound instance.json --objective 'req(0.95)' --time-limit 30"
    app.command("bound", epilog=epilog)(bound_command)


def bound_command(
    instance: InstanceFile,
    objective: Annotated[
        str, typer.Option(metavar="O", help="max_ratio, req(Q), mean_ratio, mean_latency or misses(S).")
    ] = OBJECTIVE,
    bounds: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help=f"{', '.join(NAMES)}, with commas between; or all that apply.",
        ),
    ] = ALL,
    time_limit: Annotated[float, time_limit_option("for all bounds together")] = 60.0,
    as_json: Json = False,
) -> None:
    """Lower bounds of what any schedule can reach, the best of them marked.

    In either decode model. Whatever the time limit, each value is valid.
    """
    from solvers.problem.objective import read_objective

    aim = read_objective(objective)
    for name in filter(None, map(str.strip, bounds.split(","))):
        refuse_unknown("bound", name, [ALL, *NAMES], "hexsched.bounds")

    from solvers.brackets.portfolio import bound  # takes a second, and names are right by now

    best = bound(instance, aim, bounds=bounds, time_limit=time_limit)
    record: dict[str, object] = {
        "instance": str(instance),
        "objective": best.objective,
        "lower_bound": best.value,
        "bound_source": best.source,
        "bounds": {row.bound: {"value": row.value, "seconds": row.seconds, "note": row.note} for row in best.table},
    }
    if as_json:
        record["provenance"] = origin([instance], time_limit=time_limit)
    rows: list[tuple[object, ...]] = []
    for row in best.table:
        words = ["best"] if row.bound == best.source else []
        rows.append((row.bound, row.value, row.seconds, ", ".join([*words, *filter(None, [row.note])])))
    if best.source not in {row.bound for row in best.table}:
        rows.append((best.source, best.value, None, "best: it takes no time"))
    emit(record, [Table(("bound", best.objective, "seconds", ""), rows)], as_json)
