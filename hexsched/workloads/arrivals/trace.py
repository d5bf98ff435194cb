"""Workflows that arrive as in a recorded trace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hexsched.errors import InputError
from hexsched.workloads.arrivals.parts.process import ArrivalProcess, check_rate, read_number
from hexsched.workloads.importers import import_trace


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
    form: ClassVar[str] = "file:TRACE[,rate=RATE]"
    example: ClassVar[str] = "file:azure.csv,rate=2.0"
    rank: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("a path is missing")
        if self.rate is not None:
            check_rate(self.rate)

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
        rate = read_number("rate", parameters["rate"]) if "rate" in parameters else None
        return cls(path=path, rate=rate, format=parameters.get("format"))


PROCESS = TraceArrivals
