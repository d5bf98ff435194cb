"""The option ``work``: how the work of calls is measured, and whether that of whole workflows is told (model M42)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hexsched.policies.parts.option import Option, Value

POOLS, ALONE, TOLD = range(3)  # in the settings: from TOLD on, that to come is told, and all is measured for pools

UNTOLD, ORACLE, HINT = "", "oracle", "hint"

BATCH = 32  # calls among which the fixed part of an iteration is shared

WORK = Option("pools", ("pools", "alone", ORACLE), with_sigma=HINT)


def told(options: Mapping[str, Value]) -> dict[str, Any]:
    """What the option changes of a policy, as ``Order.changes`` says it."""
    return {} if options["work"] in ("pools", "alone") else {"work": options["work"]}
