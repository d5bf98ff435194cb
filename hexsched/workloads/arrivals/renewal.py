"""Processes whose gaps are independent of each other: all equal, exponential, or gamma-distributed."""

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
        return _from_gaps(generator.exponential(1 / self.rate, size=max(count - 1, 0)), count)

    @classmethod
    def from_text(cls, text: str) -> PoissonArrivals:
        return cls(**read_numbers(text, ("rate",)))


@dataclass(frozen=True)
class GammaArrivals(ArrivalProcess):
    """Independent gamma-distributed gaps: ``cv`` above 1 is burstier than Poisson, below 1 more regular.

    Parameters
    ----------
    rate : float
        Workflows a second, on average.
    cv : float
        Coefficient of variation of the gaps (standard deviation over mean), from 0.01 to 100.
    """

    rate: float
    cv: float
    name: ClassVar[str] = "gamma"
    form: ClassVar[str] = "gamma:RATE,cv=CV"
    example: ClassVar[str] = "gamma:2.0,cv=3"
    rank: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_rate(self.rate)
        if not 0.01 <= self.cv <= 100:
            raise ValueError(f"cv must be from 0.01 to 100, got {self.cv}")

    def times(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        shape = 1 / self.cv**2
        return _from_gaps(generator.gamma(shape, 1 / (shape * self.rate), size=max(count - 1, 0)), count)

    @classmethod
    def from_text(cls, text: str) -> GammaArrivals:
        return cls(**read_numbers(text, ("rate", "cv")))


def _from_gaps(gaps: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Times, shape (count,), with these gaps between them, (count - 1,), both in seconds."""
    return np.concatenate(([0.0], np.cumsum(gaps)))[:count]


PROCESS = (FixedArrivals, PoissonArrivals, GammaArrivals)
