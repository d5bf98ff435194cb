"""A policy as the numbers that compiled code reads."""

from __future__ import annotations

import numpy as np

# how decisions are made (hexsched.policies.decide)
QUEUES, PLAN, DECIDER = range(3)

# the two stages in which a call waits
PREFILL, DECODE = range(2)

SETTINGS = np.dtype(
    [
        ("mode", "i8"),
        ("order", "i8"),
        ("place_prefill", "i8"),
        ("place_decode", "i8"),
        ("promotes", "i8"),  # 1: the order has anti-starvation
        ("needs_delta", "i8"),  # 1: the order looks at projected finishes
        ("slo_scale", "f8"),
        ("quantum", "f8"),
        ("levels", "i8"),
        ("beta", "f8"),
        ("joint", "i8"),  # 0: placement by load alone, prefill and decode apart
        ("kv_term", "i8"),  # 0: projections take KV room for granted
        ("transfer_term", "i8"),  # 0: projections take transfers for free
    ],
    align=True,
)
