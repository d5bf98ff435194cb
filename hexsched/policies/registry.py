"""Every policy by name, and how a name with options is read: ``NAME(option=value, ...)@PLACEMENT``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hexsched.errors import InputError
from hexsched.policies.orders import ORDERS
from hexsched.policies.parts.option import Value
from hexsched.policies.placements import PLACEMENTS
from hexsched.registry import suggest

if TYPE_CHECKING:
    from hexsched.engine.state import Records, Seen
    from hexsched.policies.memory import Memory


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
        Names in ``ORDERS`` and ``PLACEMENTS``; the order is empty where it is plain Python.
    options : dict
        Values by option name; which ones there are depends on the order.
    order_function : callable, optional
        ``key(call, now) -> float``, an order in plain Python; the least key is served first.
    decider : callable, optional
        Makes a fresh object with ``decide(view)``, a whole policy in plain Python.
    """

    name: str
    summary: str
    source: str = ""
    order: str = ""
    placement: str = "plan"
    options: dict[str, Value] = field(default_factory=dict)
    order_function: Callable[..., float] | None = None
    decider: Callable[[], Any] | None = None

    @property
    def in_effect(self) -> dict[str, Any]:
        """Order and placement once options that change them have, and whether it is shown H_w in place of H_w(t)."""
        plain = {"order": self.order, "placement": self.placement, "oracle_horizon": False}
        return plain | (ORDERS[self.order].changes(self.options) if self.order else {})

    def settings(self) -> Records:
        """The policy as the record that compiled code reads."""
        from hexsched.policies.orders.parts import chosen as orders
        from hexsched.policies.parts.settings import DECIDER, OPTIONS, PLAN, QUEUES, SETTINGS
        from hexsched.policies.placements.parts import chosen as placements

        record = np.zeros(1, SETTINGS).view(np.recarray)
        row = record[0]
        placement = PLACEMENTS[self.in_effect["placement"]]
        binds = placement.prefill is not None
        row.mode = DECIDER if self.decider else QUEUES if binds else PLAN
        row.placement = placements.NUMBER[placement.name] if binds else 0
        if self.order:
            order = ORDERS[self.in_effect["order"]]
            row.order, row.books = orders.NUMBER[order.name], orders.BOOKS.index(order.books)
            row.promotes, row.looks_ahead = order.promotes, order.looks_ahead
        else:
            row.order, row.books = orders.PLAIN, orders.BOOKS.index(orders.ATTAINED_SERVICE)
        for name, option in OPTIONS.items():
            row[name] = option.number(self.options.get(name, option.default))
        return record

    def memory(self, seen: Seen, seed: int = 0) -> Memory:
        """A fresh memory, as large as this policy needs it; ``seed`` of random placements."""
        from hexsched.policies.memory import build_memory

        placement = PLACEMENTS[self.in_effect["placement"]]
        promotes = bool(self.order) and ORDERS[self.in_effect["order"]].promotes
        return build_memory(
            seen,
            with_queues=placement.prefill is not None,
            promotes=promotes,
            is_random=placement.is_random,
            seed=seed,
        )


_OWN: dict[str, Policy] = {}  # of users


def policies() -> list[Policy]:
    """All policies: one for each order, then those that users registered."""
    of_orders = [
        Policy(
            name,
            order.summary,
            order.source,
            order=name,
            placement=order.placement,
            options={key: option.default for key, option in order.options.items()},
        )
        for name, order in ORDERS.items()
    ]
    return [*of_orders, *_OWN.values()]


def register(policy: Policy) -> Policy:
    """Add a policy of a user's own under its name.

    Raises
    ------
    InputError
        When the name is taken or cannot be written in a policy name.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", policy.name):
        raise InputError(f"policy name {policy.name!r}: use lower-case letters, digits, '-' and '_'")
    if policy.name in ORDERS or policy.name in _OWN:
        raise InputError(f"policy name {policy.name!r} is taken")
    _OWN[policy.name] = policy
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
    """Take a user's policy out again."""
    _OWN.pop(name, None)


def read_policy(text: str) -> Policy:
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
    known = {policy.name: policy for policy in policies()}
    if name not in known:
        raise InputError(f"unknown policy {name!r}{suggest(name, known)}")
    base = known[name]
    if placement is not None:
        if base.decider is not None:
            raise InputError(f"policy {name!r} does its own placement, '@{placement}' does not apply")
        if placement not in PLACEMENTS:
            raise InputError(f"unknown placement {placement!r} in policy {text!r}{suggest(placement, PLACEMENTS)}")
    values = dict(base.options)
    for item in filter(None, (part.strip() for part in (options or "").split(","))):
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in values:
            has = f"; it has {', '.join(values)}" if values else "; it has none"
            raise InputError(f"policy {name!r} has no option {key!r}{has}")
        values[key] = ORDERS[base.order].options[key].read(value, f"option {key!r} of policy {name!r}")
    return replace(base, name=re.sub(r"\s", "", text), options=values, placement=placement or base.placement)
