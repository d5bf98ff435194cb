"""What a metric is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the names of metrics are part of ``hexsched --help``, which is not to wait for numpy
    from hexsched.metrics.parts.completions import Completions


class Metric(NamedTuple):
    """One number that says something of a run.

    Attributes
    ----------
    name : str
        Its key in JSON, its column in CSV and in the store, its attribute of ``Metrics``.
    heading : str
        What people read above it.
    compute : callable
        From ``Completions`` to the number.
    unit : str
        ``s`` for seconds; empty for a count or a ratio.
    whole : bool
        Whether it is a whole number.
    size : bool
        Whether it says how large the instance is, whatever the schedule: policies are not compared by it.
    detail : bool
        Whether the table that sets policies side by side leaves it out; everything else has it.
    rank : int
        Metrics are listed by rank, then by name.
    """

    name: str
    heading: str
    compute: Callable[[Completions], int | float]
    unit: str = ""
    whole: bool = False
    size: bool = False
    detail: bool = False
    rank: int = 100

    @property
    def label(self) -> str:
        """Heading and unit."""
        return f"{self.heading} {self.unit}".rstrip()
