"""A policy as the numbers that compiled code reads: the same for all, and one for each option of any."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hexsched.policies.orders import ORDERS
from hexsched.policies.parts.option import Option
from hexsched.policies.placements import PLACEMENTS

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
