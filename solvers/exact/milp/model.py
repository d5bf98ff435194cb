"""A PuLP model that is built against the clock."""

from __future__ import annotations

import math
import time
from typing import Any

import pulp


class OutOfTimeError(Exception):
    """The time is up before the model is complete; the message says how far it came."""


class TimedProblem(pulp.LpProblem):
    """A minimisation to which nothing can be added after ``until``, in seconds of ``time.monotonic``."""

    def __init__(self, name: str, until: float = math.inf) -> None:
        super().__init__(name, pulp.LpMinimize)
        self.until = until
        self.rows = 0

    def __iadd__(self, row: Any) -> TimedProblem:
        if time.monotonic() > self.until:
            raise OutOfTimeError(f"the time limit ended while the model was built, after {self.rows} rows")
        self.rows += 1
        super().__iadd__(row)
        return self
