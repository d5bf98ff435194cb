"""Arrival processes: when the workflows of a workload arrive."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.workloads.importers import import_trace


class ArrivalProcess(ABC):
    """Where arrival times come from.

    A new process is a frozen dataclass with ``name``, ``example`` and ``times``, listed in ``arrival_processes``; its
    fields are the parameters of its spec.
    """

    name: ClassVar[str]
    example: ClassVar[str]

    @abstractmethod
    def times(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """``count`` arrival times, shape (count,), seconds, not decreasing, the first 0."""

    @classmethod
    @abstractmethod
    def from_text(cls, text: str) -> ArrivalProcess:
        """From what follows the colon of a spec; raises ``ValueError`` saying what is wrong."""


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
    example: ClassVar[str] = "fixed:2.0"

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def times(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        return np.arange(count) / self.rate

    @classmethod
    def from_text(cls, text: str) -> FixedArrivals:
        return cls(**_numbers(text, ("rate",)))


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
    example: ClassVar[str] = "poisson:2.0"

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def times(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        return _from_gaps(generator.exponential(1 / self.rate, size=max(count - 1, 0)), count)

    @classmethod
    def from_text(cls, text: str) -> PoissonArrivals:
        return cls(**_numbers(text, ("rate",)))


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
    example: ClassVar[str] = "gamma:2.0,cv=3"

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        if not 0.01 <= self.cv <= 100:
            raise ValueError(f"cv must be from 0.01 to 100, got {self.cv}")

    def times(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        shape = 1 / self.cv**2
        return _from_gaps(generator.gamma(shape, 1 / (shape * self.rate), size=max(count - 1, 0)), count)

    @classmethod
    def from_text(cls, text: str) -> GammaArrivals:
        return cls(**_numbers(text, ("rate", "cv")))


@dataclass(frozen=True)
class TraceArrivals(ArrivalProcess):
    """The arrival times of a trace in any format that can be imported, from its first workflow on.

    A conversation counts once, when it begins. Mooncake's published timestamps lie on a grid of about 3 s; its
    importer spreads them evenly within a bin, so bursts shorter than that are not the trace's own.

    Parameters
    ----------
    path : str
    rate : float, optional
        Scale the times so that this many workflows arrive a second, on average, over those taken.
    format : str, optional
        Trace format; by default told from the file.
    """

    path: str
    rate: float | None = None
    format: str | None = None
    name: ClassVar[str] = "file"
    example: ClassVar[str] = "file:azure.csv,rate=2.0"

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("a path is missing")
        if self.rate is not None:
            _check_rate(self.rate)

    def times(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        recorded = np.array([workflow.arrival for workflow in import_trace(self.path, self.format)])
        if len(recorded) < count:
            raise InputError(f"the trace has {len(recorded)} arrivals, {count} are needed", self.path)
        times = recorded[:count]
        if self.rate is None or count < 2:
            return times
        if times[-1] == 0:
            raise InputError(
                f"the first {count} arrivals are all at one time and cannot be scaled to a rate", self.path
            )
        return times / times[-1] * ((count - 1) / self.rate)

    @classmethod
    def from_text(cls, text: str) -> TraceArrivals:
        # Only known keys at the very end are parameters, since a path may hold commas and equals signs.
        path = text
        parameters: dict[str, str] = {}
        while match := re.fullmatch(r"(.*),(rate|format)=([^,]*)", path, flags=re.DOTALL):
            path = match[1]
            parameters.setdefault(match[2], match[3])
        rate = _number("rate", parameters["rate"]) if "rate" in parameters else None
        return cls(path=path, rate=rate, format=parameters.get("format"))


_PROCESSES: tuple[type[ArrivalProcess], ...] = (FixedArrivals, PoissonArrivals, GammaArrivals, TraceArrivals)


def arrival_processes() -> tuple[type[ArrivalProcess], ...]:
    """Every arrival process."""
    return _PROCESSES


def read_arrivals(spec: str) -> ArrivalProcess:
    """The process of a spec such as ``"gamma:2.0,cv=3"``.

    Raises
    ------
    InputError
        With an example of a right one.
    """
    name, colon, text = spec.partition(":")
    for process in _PROCESSES:
        if process.name == name.strip() and colon:
            try:
                return process.from_text(text.strip())
            except ValueError as error:
                raise InputError(f"{error}; write it like {process.example}", f"arrivals {spec!r}") from None
    examples = ", ".join(process.example for process in _PROCESSES)
    raise InputError(f"expected one of the processes, written like {examples}", f"arrivals {spec!r}")


def apply_arrivals(workflows: Sequence[Workflow], process: ArrivalProcess, seed: int) -> tuple[Workflow, ...]:
    """The workflows in their order, with arrivals from ``process``; the same seed gives the same times.

    Raises
    ------
    InputError
        When the process cannot give that many, or such late, times.
    """
    with np.errstate(over="ignore"):
        times = process.times(len(workflows), np.random.default_rng(seed))
    if not np.all(np.isfinite(times)):
        raise InputError("the rate is too low: arrival times overflow", f"arrivals {process.name}")
    return tuple(
        msgspec.structs.replace(workflow, arrival=float(time)) for workflow, time in zip(workflows, times, strict=True)
    )


def _from_gaps(gaps: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return np.concatenate(([0.0], np.cumsum(gaps)))[:count]


def _check_rate(rate: float) -> None:
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"rate must be a finite number of workflows a second > 0, got {rate}")


def _numbers(text: str, names: tuple[str, ...]) -> dict[str, float]:
    """``"2.0,cv=3"`` as ``{"rate": 2.0, "cv": 3.0}``: the first parameter may go without its name."""
    numbers: dict[str, float] = {}
    for place, part in enumerate(text.split(",")):
        name, equals, value = part.partition("=")
        if not equals and place == 0:
            name, value = names[0], part
        name = name.strip()
        if name not in names or name in numbers:
            raise ValueError(f"expected {' and '.join(names)} once each, got {part.strip()!r}")
        numbers[name] = _number(name, value)
    missing = [name for name in names if name not in numbers]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    return numbers


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, got {text.strip()!r}") from None
