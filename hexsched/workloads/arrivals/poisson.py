"""Workflows that arrive independently of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hexsched.workloads.arrivals.parts.process import ArrivalProcess, check_rate, from_gaps, read_numbers


@dataclass(frozen=True)
class PoissonArrivals(ArrivalProcess):
    """Independent exponential gaps.

    Parameters
    ----------
    rate : float
        Workflows a second, on average.
    """

    rate: float
    name: ClassVar[str] = "poisson"
    form: ClassVar[str] = "poisson:RATE"
    example: ClassVar[str] = "poisson:2.0"
    rank: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_rate(self.rate)

    def times(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        return from_gaps(generator.exponential(1 / self.rate, size=max(count - 1, 0)), count)

    @classmethod
    def from_text(cls, text: str) -> PoissonArrivals:
        return cls(**read_numbers(text, ("rate",)))


PROCESS = PoissonArrivals
