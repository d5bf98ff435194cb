"""HexAGenT (arXiv 2605.16637): R(c, t) = ((t - a_w) + Delta) / H_w(t), the risk of missing the horizon, highest first.

Its ingredients can be switched off one by one (model M23, M24).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hexsched.engine.kernel import kernel
from hexsched.policies.orders.parts.horizon import HORIZON, shown
from hexsched.policies.parts.option import Option, Value
from hexsched.policies.parts.order import Order


@kernel
def risk_key(seen, memory, settings, c, stage):
    """-R(c, t), with Delta as last projected by the placement."""
    workflow = seen.workflows[seen.calls[c].workflow]
    return -((seen.clock[0].now - workflow.arrival) + memory.calls[c].delta) / workflow.horizon


def changes(options: Mapping[str, Value]) -> dict[str, Any]:
    """What is left without an ingredient that is not the planner's."""
    other: dict[str, Any] = {}
    if options["risk"] == "off":
        other["order"] = "fcfs"
    if options["replan"] == "off":
        other["placement"] = "earliest-finish"
    return other | shown(options)


ORDER = Order(
    name="hexagent",
    summary="highest projected risk of missing the horizon first, on the pair of least projected finish",
    source="HexAGenT, arXiv 2605.16637",
    key=risk_key,
    rank=1,
    options={
        "risk": Option("on", in_settings=False),
        "joint": Option("on"),
        "kv": Option("on"),
        "transfer": Option("on"),
        "horizon": HORIZON,
        "replan": Option("on", in_settings=False),
    },
    changes=changes,
    looks_ahead=True,
    by_risk=True,
)
