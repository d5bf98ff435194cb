"""Reports of the verifier that must not change by accident, on broken schedules and on valid ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec.structs import astuple, replace
from reference import random_instance, serial_schedule

from hexsched.model import Instance, Schedule
from hexsched.simulator import simulate
from hexsched.verifier import RULES, Report, verify
from pinned import cases

REPORTS = Path(__file__).with_name("reports.csv")
SEEDS = 12
SEVERAL = 60  # schedules that are broken several times, their rows in any order


class ReportPin(NamedTuple):
    """A schedule, and what the verifier says of it."""

    case: str
    seed: int
    violations: str = ""
    sha256: str = ""


def reports() -> Iterator[ReportPin]:
    """Every case: a rule that is broken, several of them, or runs of an instance of ``cases``."""
    for rule in RULES:
        for seed in range(SEEDS):
            yield ReportPin(rule, seed)
    for seed in range(SEVERAL):
        yield ReportPin("several", seed)
    for name in cases.INSTANCES:
        yield ReportPin(name, 0)


def look(pin: ReportPin) -> ReportPin:
    """The pin with what the verifier says now."""
    report = verify(*_case(pin.case, pin.seed))
    counts = " ".join(f"{rule}:{count}" for rule, count in report.counts().items())
    return pin._replace(violations=counts, sha256=_digest(report))


def _case(case: str, seed: int) -> tuple[Instance, Schedule]:
    from test_verify import BREAKERS  # not above: pytest is to rewrite its assertions first

    if case in cases.INSTANCES:
        return cases.instance(case), simulate(cases.instance(case), "hexagent").schedule
    rng = np.random.default_rng([seed, len(case)])
    model = ("fluid", "fixed")[seed % 2]
    instance = random_instance(rng, decode_model=model, workflows=(3, 6), calls=(2, 5))
    plan = serial_schedule(instance, rng)
    if case != "several":
        return BREAKERS[case](instance, plan, rng)
    for rule in rng.choice(list(RULES), 5):
        if len(plan.calls) > len(instance.prefill) and len(plan.calls) > len(instance.decode):
            # the breakers look a row up; one that names nothing known is left as it is
            try:
                instance, plan = BREAKERS[rule](instance, plan, rng)
            except (AssertionError, KeyError, ValueError):
                continue
    return instance, replace(plan, calls=tuple(plan.calls[k] for k in rng.permutation(len(plan.calls))))


def _digest(report: Report) -> str:
    """Of every word and every bit of it."""
    rows: list[object] = [astuple(violation) for violation in report.violations]
    if report.metrics is not None:
        metrics = {name: getattr(report.metrics, name) for name in report.metrics.__struct_fields__}
        rows += [[astuple(row) for row in metrics.pop(name)] for name in ("per_workflow", "per_call")]
        rows.append(metrics)
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
