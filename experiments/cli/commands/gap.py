"""``hexsched gap``: how far policies are from the best possible."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.options import InstanceFile, Json, Plugins, Seed
from experiments.cli.output import Table, emit, facts, percent
from experiments.cli.plugins import load_plugins
from experiments.cli.policy_list import read_policies


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched gap instance.json --objective 'req(0.95)' --policies hexagent,fcfs --time-limit 60"
    app.command("gap", epilog=epilog)(gap_command)


def gap_command(
    instance: InstanceFile,
    objective: Annotated[
        str, typer.Option(metavar="O", help="max_ratio, req(Q), mean_ratio, mean_latency or misses(S).")
    ],
    policies: Annotated[
        str, typer.Option(metavar="LIST", help="Policies with commas between them, or all; see 'hexsched policies'.")
    ],
    time_limit: Annotated[float, typer.Option(metavar="SEC", help="Seconds for bounds and solver together.")] = 60.0,
    seed: Seed = 0,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """The gap (value - LB) / LB of policies, with the bracket [LB, UB] that certainly holds the optimum.

    LB is the best of all lower bounds and of what the solver proved, UB the best verified schedule of policies and
    solver. For instances with decode model fixed.
    """
    import msgspec

    from hexsched.model import read_instance
    from solvers.gap import gap

    load_plugins(plugin)
    chosen = read_policies(policies)
    report = gap(read_instance(instance), objective, chosen, time_limit, seed)
    record = {"instance": str(instance), **msgspec.to_builtins(report)}
    bracket = facts(
        ("objective", report.objective),
        ("lower bound", report.lower_bound),
        ("from", report.bound_source),
        ("upper bound", report.upper_bound),
        ("from", report.upper_source),
        ("solver", report.solver_status),
    )
    rows = [
        (name, found.value, _percent(found.gap), _percent(found.gap_to_upper))
        for name, found in report.policies.items()
    ]
    table = Table(("policy", report.objective, "gap to LB", "gap to UB"), rows)
    emit(record, [bracket, table], as_json)


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else percent(fraction)
