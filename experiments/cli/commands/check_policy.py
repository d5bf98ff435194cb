"""``hexsched check-policy``: whether a policy keeps what every online policy has to keep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli import CHECK_FAILED
from experiments.cli.destination import STDOUT, check_destination, deliver
from experiments.cli.options import Force, Json, Plugins, Seed, Traceback
from experiments.cli.output import Table, emit, note
from experiments.cli.plugins import load_plugins, load_policy, load_source, shown
from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.contract import Check
    from hexsched.model import Instance
    from hexsched.policies import Policy


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command("check-policy", epilog="Example: hexsched check-policy 'my_policy.py:mine(alpha=2)'")(check_command)


def check_command(
    policy: Annotated[
        str,
        typer.Argument(
            metavar="[FILE.py:]NAME",
            help="A policy as after --policy; or one of a file, by its name or by what it is called in Python.",
        ),
    ],
    instances: Annotated[int, typer.Option(min=1, metavar="N", help="Small instances to try it on.")] = 40,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="INSTANCE", help="Write the example of the first fault to this file."),
    ] = None,
    seed: Seed = 0,
    plugin: Plugins = None,
    force: Force = False,
    traceback: Traceback = False,
    as_json: Json = False,
) -> None:
    """Try whether a policy is sound: it runs, serves all, breaks no rule, is deterministic, knows no future.

    Each check is made on small instances of several clusters and workloads, in both decode models; of a fault the
    smallest example found is told. The exit code is 1 when there is one.
    """
    from hexsched.contract import check_policy

    check_destination(output, list(plugin or ()), as_json, "instance", force)
    file = policy.partition(".py:")[0] + ".py"
    load_plugins([path for path in plugin or () if path.resolve() != Path(file).resolve()])  # a file is run once
    report = check_policy(_policy(policy), instances=instances, seed=seed)
    record = {"policy": report.policy, "ok": report.ok, "checks": [_record(each) for each in report.checks]}
    rows = [(each.meaning, _verdict(each), each.tried, each.fault or None) for each in report.checks]
    table = Table(("check", report.policy, "runs", "fault"), rows)
    error = next((each.error for each in report.checks if each.error is not None), None)
    if error is not None and not shown(error):
        note("--traceback shows all of what the policy raised")
    example = next((each.example for each in report.checks if each.example is not None), None)
    if example is None:
        emit(record, [table], as_json)
    else:
        note(f"the smallest example found: {described(example)}")
        deliver(output, lambda: example.to_file(output or STDOUT), record, [table], as_json)
    if not report.ok:
        raise typer.Exit(CHECK_FAILED)


def _policy(text: str) -> Policy:
    from hexsched.model.files import read_bytes
    from hexsched.policies import read_policy

    if text.endswith(".py"):
        names = load_source(read_bytes(Path(text)), Path(text))
        raise InputError(f"name one of its policies: {', '.join(f'{text}:{name}' for name in names)}", text)
    file, colon, name = text.partition(".py:")
    return load_policy(Path(f"{file}.py"), name) if colon else read_policy(text)


def _verdict(check: Check) -> str:
    return "not ok" if check.fault else "ok" if check.tried else "not tried"


def _record(check: Check) -> dict[str, object]:
    return {
        "name": check.name,
        "ok": check.ok,
        "tried": check.tried,
        "fault": check.fault or None,
        "example": None if check.example is None else described(check.example),
    }


def described(instance: Instance) -> str:
    """A small instance in a line."""
    flows = "; ".join(
        f"{flow.workflow_id} at {flow.arrival:g} s: "
        + ", ".join(f"{one.call_id} {one.prompt_tokens}+{one.output_tokens}" for one in flow.calls)
        for flow in instance.workflows
    )
    pools = f"{len(instance.prefill)} prefill and {len(instance.decode)} decode instances, {instance.decode_model}"
    return f"{pools}; {flows}"
