"""What an arrival process is, and how its parameters are read."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray


class ArrivalProcess(ABC):
    """Where arrival times come from.

    A new process is a frozen dataclass; its fields are the parameters of its spec.

    Attributes
    ----------
    name : str
        What stands before the colon of a spec.
    form : str
        A spec with words for its numbers, for help.
    example : str
        A spec, for messages.
    rank : int
        Processes are listed by rank, then by name.
    """

    name: ClassVar[str]
    form: ClassVar[str]
    example: ClassVar[str]
    rank: ClassVar[int] = 100

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know of the times that were given last; nothing by default."""
        return ()

    @abstractmethod
    def times(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """``count`` arrival times, shape (count,), seconds, not decreasing, the first 0."""

    @classmethod
    @abstractmethod
    def from_text(cls, text: str) -> ArrivalProcess:
        """From what follows the colon of a spec; raises ``ValueError`` saying what is wrong."""


RARE, OFTEN = 1e-9, 1e9  # workflows a second: one in 30 years, and as good as all together


def check_rate(rate: float) -> None:
    """Raise ``ValueError`` unless the rate is a number of workflows a second above 0, and neither tiny nor huge."""
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"rate must be a finite number of workflows a second > 0, got {rate}")
    if not RARE <= rate <= OFTEN:
        raise ValueError(f"rate must be from {RARE:g} to {OFTEN:g} workflows a second, got {rate}")


def read_numbers(text: str, names: tuple[str, ...]) -> dict[str, float]:
    """``"2.0,cv=3"`` as ``{"rate": 2.0, "cv": 3.0}``: the first parameter may go without its name."""
    numbers: dict[str, float] = {}
    for place, part in enumerate(text.split(",")):
        name, equals, value = part.partition("=")
        if not equals and place == 0:
            name, value = names[0], part
        name = name.strip()
        if name not in names or name in numbers:
            raise ValueError(f"expected {' and '.join(names)} once each, got {part.strip()!r}")
        numbers[name] = read_number(name, value)
    missing = [name for name in names if name not in numbers]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    return numbers


def read_number(name: str, text: str) -> float:
    """The number that a parameter's text stands for; raises ``ValueError`` naming the parameter."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, got {text.strip()!r}") from None
