"""Cases with known answers; see the README beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from hexsched.model import Instance, Schedule, ScheduledCall, read_instance, read_schedule

FOLDER = Path(__file__).parent


def _read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


OPTIMA: dict[str, dict[str, float]] = _read("optima")
EXPECTED: dict[str, dict[str, float]] = _read("expected")
BROKEN: list[dict[str, Any]] = _read("broken")
NAMES = {"req50": "req(0.5)", "misses:1.1": "misses(1.1)"}  # of objectives, where they differ from ours


def file_of(case: str) -> Path:
    """The instance file of a case."""
    return FOLDER / f"{case}.json"


def instance(case: str) -> Instance:
    """The instance of a case."""
    return read_instance(file_of(case))


def schedule_file_of(case: str) -> Path:
    """The file of the valid schedule of a case."""
    return FOLDER / f"{case}.schedule.json"


def broken(row: dict[str, Any]) -> tuple[Instance, Schedule]:
    """An instance and a schedule that breaks the rule of a row of ``BROKEN``."""
    cluster, schedule = instance(row["case"]), read_schedule(schedule_file_of(row["case"]))
    if "kv_capacity_tokens" in row:
        pairs = zip(cluster.decode, row["kv_capacity_tokens"], strict=True)
        cluster = replace(cluster, decode=tuple(replace(one, kv_capacity_tokens=room) for one, room in pairs))
    without = {tuple(name) for name in row["without"]}
    calls = [call for call in schedule.calls if (call.workflow_id, call.call_id) not in without]
    return cluster, replace(schedule, calls=(*calls, *(ScheduledCall(**call) for call in row["with"])))
