"""Thresholds that calls and workflows are to stay within (model M38), and how people write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import ClassVar

from hexsched.errors import InputError
from hexsched.model.digits import written
from hexsched.registry import suggest

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
OF_CALLS = ("ttft", "tpot", "queueing", "admission", "transfer")
OF_WORKFLOWS = ("latency", "ratio")
WITHOUT_UNIT = ("ratio",)
EXAMPLE = "ttft=2s,tpot=50ms,ratio=4"


@dataclass(frozen=True)
class Thresholds:
    """The most that each of these may be; None where it does not matter.

    Attributes
    ----------
    ttft, tpot, queueing, admission, transfer : float or None
        Of every call, seconds.
    latency : float or None
        Of a workflow, seconds.
    ratio : float or None
        Of a workflow.
    """

    names: ClassVar[tuple[str, ...]] = (*OF_CALLS, *OF_WORKFLOWS)

    ttft: float | None = None
    tpot: float | None = None
    queueing: float | None = None
    admission: float | None = None
    transfer: float | None = None
    latency: float | None = None
    ratio: float | None = None

    @property
    def given(self) -> dict[str, float]:
        """Those that there are, by name."""
        values = ((name, getattr(self, name)) for name in self.names)
        return {name: value for name, value in values if value is not None}

    @property
    def of_calls(self) -> dict[str, float]:
        """Those that there are for calls."""
        return {name: value for name, value in self.given.items() if name in OF_CALLS}

    @property
    def of_workflows(self) -> dict[str, float]:
        """Those that there are for workflows."""
        return {name: value for name, value in self.given.items() if name in OF_WORKFLOWS}

    def __str__(self) -> str:
        """One way to write the same thresholds: in their order, times in seconds or milliseconds."""
        return ",".join(f"{name}={_written(name, value)}" for name, value in self.given.items())


def read_thresholds(text: str) -> Thresholds:
    """Read thresholds such as ``ttft=2s,tpot=50ms,ratio=4``.

    Raises
    ------
    InputError
        For an unknown name, one that comes twice, a time without a unit, and a number that is not above 0.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals:
            raise InputError(f"thresholds {text!r}: expected NAME=VALUE with commas between them, as in {EXAMPLE}")
        if name not in Thresholds.names:
            raise InputError(f"thresholds {text!r}: unknown name {name!r}{suggest(name, Thresholds.names)}")
        if name in found:
            raise InputError(f"thresholds {text!r}: {name} comes twice")
        found[name] = _number(text, name, value)
    return Thresholds(**found)


def _number(text: str, name: str, value: str) -> float:
    match = re.fullmatch(r"([0-9.+-]++(?:[eE][+-]?+[0-9]++)?+)\s*+([a-z]*+)", value)
    try:
        number = float(match[1]) if match else math.nan
    except ValueError:
        number = math.nan
    unit = match[2] if match else ""
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"thresholds {text!r}: {name} must be a number above 0, got {value!r}")
    if name in WITHOUT_UNIT:
        if unit:
            raise InputError(f"thresholds {text!r}: {name} has no unit, got {value!r}")
        return number
    if unit not in UNITS:
        raise InputError(f"thresholds {text!r}: {name} needs a unit, one of {', '.join(UNITS)}; got {value!r}")
    return number * UNITS[unit]


def _written(name: str, value: float) -> str:
    if name in WITHOUT_UNIT:
        return written(value)
    milliseconds = f"{1e3 * value:.12g}"
    if value < 1 and float(milliseconds) * UNITS["ms"] == value:
        return f"{milliseconds}ms"
    return f"{written(value)}s"
