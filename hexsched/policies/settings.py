"""A policy as the numbers that compiled code reads: the same for all, and one for each option of any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hexsched.policies.orders import ORDERS
from hexsched.policies.orders.parts import chosen as orders
from hexsched.policies.parts.option import Option
from hexsched.policies.parts.order import KEY_STAYS
from hexsched.policies.placements import PLACEMENTS
from hexsched.policies.placements.parts import chosen as placements

if TYPE_CHECKING:
    from hexsched.engine.state import Records
    from hexsched.policies.registry import Policy

QUEUES, PLAN, DECIDER = range(3)  # how decisions are made: by local queues, by the planner, by plain Python
NEVER, READY, ALWAYS = range(3)  # plain Python has a say at no decision, where calls become ready, at every one

COMMON = [
    ("mode", "i8"),
    ("order", "i8"),  # numbers of order, books and placement (``chosen`` in the rooms of each)
    ("books", "i8"),
    ("placement", "i8"),
    ("promotes", "i8"),  # 1: local queues serve starved calls first
    ("key_changes", "i8"),  # how keys of waiting calls change: KEY_STAYS, KEY_RISES, KEY_CHANGES
    ("looks_ahead", "i8"),  # 1: the order looks at projected finishes
    ("by_risk", "i8"),  # 1: ... and its keys are never below -R(c, t)
    ("asks", "i8"),  # at which decisions plain Python has a say: NEVER, READY, ALWAYS
]

_DECLARED = [*(placement.options for placement in PLACEMENTS.values()), *(order.options for order in ORDERS.values())]
OPTIONS: dict[str, Option] = {
    name: option for options in _DECLARED for name, option in options.items() if option.in_settings
}


def with_options(options: Mapping[str, Option]) -> np.dtype:
    """The record of settings with a field for each of these options."""
    fields = [(name, "i8" if one.is_whole else "f8") for name, one in options.items() if one.in_settings]
    return np.dtype([*COMMON, *fields], align=True)


SETTINGS = with_options(OPTIONS)


def settings_of(policy: Policy) -> Records:
    """A policy as the record that compiled code reads."""
    foreign = policy.foreign
    options = OPTIONS if foreign is None else {**OPTIONS, **foreign.options}
    record = np.zeros(1, SETTINGS if foreign is None else with_options(options)).view(np.recarray)
    row = record[0]
    if policy.placer is not None:
        row.mode, row.placement = QUEUES, placements.PLAIN
    else:
        placement = PLACEMENTS[policy.in_effect["placement"]]
        binds = placement.prefill is not None
        row.mode = DECIDER if policy.decides else QUEUES if binds else PLAN
        row.placement = placements.NUMBER[placement.name] if binds else 0
    order = policy.compiled_order
    if order is not None:
        if foreign is None:  # its kernels stand in the place of those that choose by number
            row.order, row.books = orders.NUMBER[order.name], orders.BOOKS.index(order.books)
        row.promotes, row.looks_ahead, row.by_risk = order.promotes, order.looks_ahead, order.by_risk
        row.key_changes = order.key_changes
    else:
        row.order, row.books = orders.PLAIN, orders.BOOKS.index(orders.ATTAINED_SERVICE)
        row.key_changes = KEY_STAYS
    listens = any(one.listens for one in (policy.own, policy.placer) if one is not None)
    row.asks = ALWAYS if policy.decides or listens else READY if policy.is_plain else NEVER
    for name, option in options.items():
        if not option.in_settings:
            continue
        value = policy.options.get(name, option.default) if policy.order else option.default
        row[name] = option.number(value)
    return record
