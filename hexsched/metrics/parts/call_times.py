"""The times of every call, from release to completion (model M36, M37)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class CallTimes:
    """When what happened to each call of a run; all times in seconds.

    Attributes
    ----------
    workflow : (N,) int array
        Position of the workflow of each call.
    output : (N,) int array
        m_c, tokens.
    released, prefill_start, prefill_end, admitted, decode_start, first_token, decode_end : (N,) float arrays
    """

    workflow: Array
    output: Array
    released: Array
    prefill_start: Array
    prefill_end: Array
    admitted: Array
    decode_start: Array
    first_token: Array
    decode_end: Array

    def without(self, warm_up: int) -> CallTimes:
        """The calls of all but the first ``warm_up`` workflows, which are numbered anew."""
        if not warm_up:
            return self
        kept = self.workflow >= warm_up
        columns = {field.name: getattr(self, field.name)[kept] for field in fields(self)}
        return CallTimes(**{**columns, "workflow": columns["workflow"] - warm_up})

    @property
    def queueing(self) -> Array:
        """From release to the start of the prefill, (N,) seconds."""
        return self.prefill_start - self.released

    @property
    def prefill(self) -> Array:
        """Length of the prefill, (N,) seconds."""
        return self.prefill_end - self.prefill_start

    @property
    def admission(self) -> Array:
        """From the end of the prefill to admission, (N,) seconds."""
        return self.admitted - self.prefill_end

    @property
    def transfer(self) -> Array:
        """Length of the transfer, (N,) seconds."""
        return self.decode_start - self.admitted

    @property
    def decode(self) -> Array:
        """Length of the decode, (N,) seconds."""
        return self.decode_end - self.decode_start

    @property
    def ttft(self) -> Array:
        """Time to first token: from release to the first output token, (N,) seconds."""
        return self.first_token - self.released

    @cached_property
    def tpot(self) -> Array:
        """Time per output token after the first, (N,) seconds; NaN for calls of one output token, which have none."""
        several = self.output > 1
        return np.where(several, (self.decode_end - self.first_token) / np.where(several, self.output - 1, 1), np.nan)
