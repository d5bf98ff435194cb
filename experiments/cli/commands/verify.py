"""``hexsched verify``: is a schedule possible, and what does it cost?"""

from __future__ import annotations

import typer

from experiments.cli import CHECK_FAILED
from experiments.cli.metric_columns import SLO, goodput_rows, metric_rows, metric_values, read_slo
from experiments.cli.options import InstanceFile, Json, ScheduleFile, Slo, Timed
from experiments.cli.output import Table, emit, facts
from experiments.cli.timings import Timings

SHOWN = 50  # violations in the table; JSON has all


def add(app: typer.Typer) -> None:
    """Register the command."""
    epilog = "Example: hexsched verify instance.json schedule.json"
    app.command("verify", epilog=epilog)(verify_command)


def verify_command(
    instance: InstanceFile, schedule: ScheduleFile, slo: Slo = None, timings: Timed = False, as_json: Json = False
) -> None:
    """Check a schedule against every rule of the model.

    The metrics of a valid schedule are printed. For any other the exit code is 1, and the violated rules are listed.
    The check shares no code with the simulator or the solvers.
    """
    times = Timings(timings)
    with times.part("import"):
        from hexsched.model import read_instance, read_schedule
        from hexsched.verifier import verify
        from hexsched.verifier.report import MODEL_RULES

    thresholds = read_slo(slo)
    with times.part("read"):
        problem, plan = read_instance(instance), read_schedule(schedule)
    with times.part("verify"):
        report = verify(problem, plan)
    values = None if report.metrics is None else metric_values(report.metrics)
    within: dict[str, object] = {}
    if thresholds is not None and report.metrics is not None:
        within = {SLO: str(thresholds), **report.metrics.goodput(thresholds.given)}
    record = {
        "ok": report.ok,
        "instance": str(instance),
        "schedule": str(schedule),
        "policy": report.policy,
        "violations": report.violations,
        "metrics": values,
        **within,
    }
    tables = []
    if values:
        tables = [facts(("verdict", "valid"), ("policy", report.policy), *metric_rows(values), *goodput_rows(within))]
    if not report.ok:
        counts = ", ".join(f"{rule} ({count})" for rule, count in report.counts().items())
        more = f"; the first {SHOWN} are" if len(report.violations) > SHOWN else ""
        rows = [
            (
                violation.rule,
                MODEL_RULES[violation.rule],
                f"{violation.workflow_id}/{violation.call_id}",
                violation.instance or None,
                violation.message,
            )
            for violation in report.violations[:SHOWN]
        ]
        title = f"not valid: {counts}{more}"
        if report.counts().get("unknown-call", 0) == len(plan.calls) > 0:
            title = f"no call of the schedule is in this instance: it is of another one\n{title}"
        tables = [Table(("rule", "model", "call", "instance", "message"), rows, title)]
    emit(record, tables, as_json)
    times.tell()
    if not report.ok:
        raise typer.Exit(CHECK_FAILED)
