"""Workflows at a fixed distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hexsched.workloads.arrivals.parts.process import ArrivalProcess, check_rate, read_numbers


@dataclass(frozen=True)
class FixedArrivals(ArrivalProcess):
    """One workflow every ``1 / rate`` seconds, as in the HexAGenT paper.

    Parameters
    ----------
    rate : float
        Workflows a second.
    """

    rate: float
    name: ClassVar[str] = "fixed"
    form: ClassVar[str] = "fixed:RATE"
    example: ClassVar[str] = "fixed:2.0"
    rank: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_rate(self.rate)

    def times(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        return np.arange(count) / self.rate

    @classmethod
    def from_text(cls, text: str) -> FixedArrivals:
        return cls(**read_numbers(text, ("rate",)))


PROCESS = FixedArrivals
