"""The option ``horizon``: what an order is shown as the standalone horizon of a workflow (model M19, M41)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hexsched.policies.parts.option import Option, Value

REVEALED, ORACLE, HINT = "revealed", "oracle", "hint"

HORIZON = Option(REVEALED, (REVEALED, ORACLE, HINT), in_settings=False, with_sigma=HINT)


def shown(options: Mapping[str, Value]) -> dict[str, Any]:
    """What the option changes of a policy, as ``Order.changes`` says it."""
    return {} if options["horizon"] == REVEALED else {"horizon": options["horizon"]}
