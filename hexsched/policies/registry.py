"""Every policy by name, and how a name with options is read: ``NAME(option=value, ...)@PLACEMENT``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hexsched.errors import InputError
from hexsched.policies import orders, placements
from hexsched.policies.settings import DECIDER, PLAN, QUEUES, SETTINGS
from hexsched.registry import suggest

# placement name -> (number, what it does)
PLACEMENTS: dict[str, tuple[int, str]] = {
    "round-robin": (placements.ROUND_ROBIN, "the next instance in turn"),
    "random": (placements.RANDOM, "any instance"),
    "power-of-two": (placements.POWER_OF_TWO, "of two drawn at random, the one with fewer calls"),
    "jsq": (placements.SHORTEST_QUEUE, "join the shortest queue: fewest calls"),
    "least-kv": (placements.LEAST_KV, "least KV cache taken; for prefill fewest prompt tokens queued"),
    "earliest-finish": (placements.EARLIEST_FINISH, "the pair on which the call is projected to complete first"),
    "plan": (-1, "as earliest-finish, but bound only when it starts and planned anew at every epoch"),
}

# order name -> number
ORDERS: dict[str, int] = {
    "fcfs": orders.FCFS,
    "workflow-fcfs": orders.WORKFLOW_FCFS,
    "workflow-llf": orders.WORKFLOW_LLF,
    "edf": orders.EDF,
    "sjf": orders.SJF,
    "plas": orders.PLAS,
    "atlas": orders.ATLAS,
    "critical-path": orders.CRITICAL_PATH,
    "risk": orders.RISK,
}


@dataclass(frozen=True)
class Policy:
    """A policy: an order and a placement with their options, or plain Python.

    Attributes
    ----------
    name : str
        The name it was asked for, options and placement included.
    summary, source : str
        One line for people, and where it was published.
    order, placement : str
        Names in ``ORDERS`` and ``PLACEMENTS``.
    options : dict
        Values by option name; which ones there are depends on the policy.
    order_function : callable, optional
        ``key(call, now) -> float``, an order in plain Python; the least key is served first.
    decider : callable, optional
        Makes a fresh object with ``decide(view)``, a whole policy in plain Python.
    """

    name: str
    summary: str
    source: str = ""
    order: str = "fcfs"
    placement: str = "plan"
    options: dict[str, Any] = field(default_factory=dict)
    order_function: Callable[..., float] | None = None
    decider: Callable[[], Any] | None = None

    @property
    def promotes(self) -> bool:
        """Whether its queues have anti-starvation."""
        return self.order in ("plas", "atlas")

    @property
    def oracle_horizon(self) -> bool:
        """Whether it is shown H_w in place of H_w(t), an ablation."""
        return self.options.get("horizon") == "oracle"

    def settings(self) -> np.ndarray[Any, Any]:
        """The policy as the record that compiled code reads."""
        record = np.zeros(1, SETTINGS).view(np.recarray)
        row = record[0]
        placement, order = self.placement, self.order
        if self.options.get("replan") == "off":
            placement = "earliest-finish"
        if self.options.get("risk") == "off":
            order = "fcfs"
        row.mode = DECIDER if self.decider else PLAN if placement == "plan" else QUEUES
        row.order = orders.PYTHON if self.order_function else ORDERS[order]
        row.place_prefill = row.place_decode = PLACEMENTS[placement][0]
        row.promotes = int(self.promotes)
        row.needs_delta = int(order == "risk")
        row.slo_scale = self.options.get("slo_scale", 1.0)
        row.quantum = self.options.get("quantum", 1.0)
        row.levels = self.options.get("levels", 1)
        row.beta = self.options.get("beta", 1.0)
        row.joint = int(self.options.get("joint", "on") == "on")
        row.kv_term = int(self.options.get("kv", "on") == "on")
        row.transfer_term = int(self.options.get("transfer", "on") == "on")
        return record


_REGISTRY: dict[str, Policy] = {}


def register(policy: Policy) -> Policy:
    """Add a policy under its name.

    Raises
    ------
    InputError
        When the name is taken or cannot be written in a policy name.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", policy.name):
        raise InputError(f"policy name {policy.name!r}: use lower-case letters, digits, '-' and '_'")
    if policy.name in _REGISTRY:
        raise InputError(f"policy name {policy.name!r} is taken")
    _REGISTRY[policy.name] = policy
    return policy


def register_order(
    name: str, summary: str, placement: str = "plan", source: str = ""
) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Decorator: make ``key(call, now) -> float`` a policy; the least key is served first. Nothing is compiled.

    ``call`` is a ``hexsched.simulator.view.CallView``.
    """

    def add(function: Callable[..., float]) -> Callable[..., float]:
        register(Policy(name, summary, source, placement=placement, order_function=function))
        return function

    return add


def register_policy(name: str, summary: str, source: str = "") -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Decorator: make a class with ``decide(view)`` a policy. Nothing is compiled."""

    def add(maker: Callable[[], Any]) -> Callable[[], Any]:
        register(Policy(name, summary, source, decider=maker))
        return maker

    return add


def unregister(name: str) -> None:
    """Take a policy out again."""
    _REGISTRY.pop(name, None)


def policies() -> list[Policy]:
    """All registered policies."""
    return list(_REGISTRY.values())


def policy(text: str) -> Policy:
    """Read ``NAME``, ``NAME@PLACEMENT`` or ``NAME(option=value, ...)@PLACEMENT``.

    Raises
    ------
    InputError
        For an unknown name, option, value or placement, with what would be right.
    """
    match = re.fullmatch(r"\s*([^\s()@]+)\s*(?:\(([^()]*)\))?\s*(?:@\s*(\S+))?\s*", text)
    if match is None:
        raise InputError(f"policy {text!r}: expected NAME, NAME@PLACEMENT or NAME(option=value, ...)@PLACEMENT")
    name, options, placement = match.groups()
    if name not in _REGISTRY:
        raise InputError(f"unknown policy {name!r}{suggest(name, _REGISTRY)}")
    base = _REGISTRY[name]
    if placement is not None:
        if base.decider is not None:
            raise InputError(f"policy {name!r} does its own placement, '@{placement}' does not apply")
        if placement not in PLACEMENTS:
            raise InputError(f"unknown placement {placement!r} in policy {text!r}{suggest(placement, PLACEMENTS)}")
    values = dict(base.options)
    for item in filter(None, (part.strip() for part in (options or "").split(","))):
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in values:
            known = f"; it has {', '.join(values)}" if values else "; it has none"
            raise InputError(f"policy {name!r} has no option {key!r}{known}")
        values[key] = _read_option(name, key, value, values[key])
    return replace(base, name=re.sub(r"\s", "", text), options=values, placement=placement or base.placement)


def _read_option(policy_name: str, key: str, value: str, default: Any) -> Any:
    where = f"option {key!r} of policy {policy_name!r}"
    if isinstance(default, str):
        allowed = ("revealed", "oracle") if key == "horizon" else ("on", "off")
        if value not in allowed:
            raise InputError(f"{where} must be {' or '.join(allowed)}, got {value!r}")
        return value
    try:
        number = type(default)(value)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise InputError(f"{where} must be {kind}, got {value!r}") from None
    least = 1 if isinstance(default, int) else 0
    if not (least <= number <= 1e9):
        raise InputError(f"{where} must be from {least} to 1e9, got {value}")
    return number
