"""``hexsched policies``: what can be named after --policy, and the estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from experiments.cli.options import Json, Plugins, Traceback
from experiments.cli.output import Table, emit
from experiments.cli.plugins import load_plugins

if TYPE_CHECKING:
    from hexsched.policies import Policy


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched policies --plugin my_policy.py"
    app.command("policies", epilog=epilog)(policies_command)


def policies_command(plugin: Plugins = None, traceback: Traceback = False, as_json: Json = False) -> None:
    """List policies, placements and estimators.

    A policy is written NAME, NAME@PLACEMENT or NAME(option=value,...)@PLACEMENT.
    """
    from hexsched.policies import list_placements, policies
    from hexsched.policies.estimators import ESTIMATORS

    load_plugins(plugin)
    listed = policies()
    records = [_record(policy) for policy in listed]
    placements = [{"name": name, "summary": summary} for name, summary in list_placements().items()]
    estimators = [{"name": name, "summary": summary} for name, summary in ESTIMATORS.items()]
    tables = [
        Table(("policy", "placement", "summary"), [(row["name"], row["placement"], row["summary"]) for row in records]),
        Table(("policy", "option", "default", "values"), [row for policy in listed for row in _options(policy)]),
        Table(("policy", "source"), [(policy.name, policy.source) for policy in listed if policy.source]),
        Table(("placement", "summary"), [tuple(row.values()) for row in placements]),
        Table(("estimator", "summary"), [tuple(row.values()) for row in estimators]),
    ]
    emit({"policies": records, "placements": placements, "estimators": estimators}, tables, as_json)


def _record(policy: Policy) -> dict[str, object]:
    own = policy.decides  # a whole policy in plain Python orders and places by itself
    return {
        "name": policy.name,
        "order": None if own else policy.order or policy.name,
        "placement": None if own else policy.placement,
        "options": policy.options,
        "source": policy.source,
        "summary": policy.summary,
    }


def _options(policy: Policy) -> list[tuple[str, str, str, str]]:
    """A row for each option: policy, option, default and what it may be."""
    options = policy.declared
    return [(policy.name, name, str(value), options[name].values) for name, value in policy.options.items()]
