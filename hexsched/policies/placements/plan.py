"""The placement of HexAGenT: bound only when a call starts, and planned anew at every epoch (``policies.planning``)."""

from __future__ import annotations

from hexsched.policies.parts.option import Option
from hexsched.policies.parts.placement import Placement

PLACEMENT = Placement(
    name="plan",
    summary="as earliest-finish, but bound only when it starts and planned anew at every epoch",
    rank=7,
    # what projections take into account: a pair together, waits for KV room, transfers
    options={"joint": Option("on"), "kv": Option("on"), "transfer": Option("on")},
)
