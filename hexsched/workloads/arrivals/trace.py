"""Workflows that arrive as in a recorded trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hexsched.errors import InputError
from hexsched.workloads.arrivals.parts.process import ArrivalProcess, check_rate, read_number
from hexsched.workloads.importers import open_trace, split_spec


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
    options : tuple of pairs of str
        Options of the format, name and value.
    """

    path: str
    rate: float | None = None
    format: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    remarks: list[str] = field(default_factory=list, init=False, compare=False, repr=False)
    name: ClassVar[str] = "file"
    form: ClassVar[str] = "file:TRACE[,rate=RATE][,OPTION=VALUE]"
    example: ClassVar[str] = "file:azure.csv,rate=2.0"
    rank: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("a path is missing")
        if self.rate is not None:
            check_rate(self.rate)

    @property
    def notes(self) -> list[str]:
        return [f"{self.path}: {remark}" for remark in self.remarks]

    def times(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        options: dict[str, Any] = dict(self.options)
        reading = open_trace(self.path, self.format, **options)
        recorded = np.sort(np.fromiter((arrival.at for arrival in reading.arrivals), dtype=float))
        self.remarks[:] = reading.trace.notes
        if len(recorded) < count:
            raise InputError(f"the trace has {len(recorded)} arrivals, {count} are needed", self.path)
        times = recorded[:count] - recorded[0]
        if self.rate is None or count < 2:
            return times
        if times[-1] == 0:
            raise InputError(
                f"the first {count} arrivals are all at one time and cannot be scaled to a rate", self.path
            )
        return times / times[-1] * ((count - 1) / self.rate)

    @classmethod
    def from_text(cls, text: str) -> TraceArrivals:
        path, parameters = split_spec(text, ("rate",))
        rate = read_number("rate", parameters.pop("rate")) if "rate" in parameters else None
        return cls(path, rate, parameters.pop("format", None), tuple(parameters.items()))


PROCESS = TraceArrivals
