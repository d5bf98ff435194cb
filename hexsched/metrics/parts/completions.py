"""What metrics are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hexsched.metrics.parts.call_times import CallTimes

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Completions:
    """When the workflows of a run arrived and were complete.

    Attributes
    ----------
    arrival, completed, horizon : (W,) float arrays
        a_w, the completion of the last call, and the standalone horizon H_w of each workflow, seconds.
    calls : CallTimes
        What happened to each of their calls.
    """

    arrival: Array
    completed: Array
    horizon: Array
    calls: CallTimes

    @cached_property
    def latency(self) -> Array:
        """L_w of each workflow, (W,) seconds."""
        return self.completed - self.arrival

    @cached_property
    def ratio(self) -> Array:
        """L_w / H_w of each workflow, (W,)."""
        return self.latency / self.horizon
