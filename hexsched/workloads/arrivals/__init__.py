"""Arrival processes, a module each or a few alike; ``parts`` holds what they share.

To add one: a module here with a ``PROCESS`` in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.registry import Registry, hint
from hexsched.workloads.arrivals.parts.process import ArrivalProcess

PROCESSES: Registry[type[ArrivalProcess]] = Registry(
    __name__, "PROCESS", "arrival process", rank=lambda process: process.rank
)


def read_arrivals(spec: str) -> ArrivalProcess:
    """The process of a spec such as ``"gamma:2.0,cv=3"``.

    Raises
    ------
    InputError
        With an example of a right one.
    """
    name, colon, text = spec.partition(":")
    process = PROCESSES.get(name.strip())
    if process is None or not colon:
        examples = ", ".join(each.example for each in PROCESSES.values())
        near = "" if process else hint(name.strip(), PROCESSES)
        raise InputError(f"{near}expected one of the processes, written like {examples}", f"arrivals {spec!r}")
    try:
        return process.from_text(text.strip())
    except ValueError as error:
        raise InputError(f"{error}; write it like {process.example}", f"arrivals {spec!r}") from None


def apply_arrivals(workflows: Sequence[Workflow], process: ArrivalProcess, seed: int) -> tuple[Workflow, ...]:
    """The workflows in their order, with arrivals from ``process``; the same seed gives the same times.

    Raises
    ------
    InputError
        When the process cannot give that many, or such late, times.
    """
    times = arrival_times(process, len(workflows), seed)
    return tuple(
        msgspec.structs.replace(workflow, arrival=float(time)) for workflow, time in zip(workflows, times, strict=True)
    )


def at_once(workflows: Sequence[Workflow]) -> tuple[Workflow, ...]:
    """The workflows in their order, all at time 0."""
    return tuple(msgspec.structs.replace(workflow, arrival=0.0) for workflow in workflows)


def arrival_times(process: ArrivalProcess, count: int, seed: int) -> NDArray[np.float64]:
    """``count`` times of a process, shape (count,), seconds; raises ``InputError`` as ``apply_arrivals``."""
    with np.errstate(over="ignore"):
        times = process.times(count, np.random.default_rng(seed))
    if not np.all(np.isfinite(times)):
        raise InputError("the rate is too low: arrival times overflow", f"arrivals {process.name}")
    return times


__all__ = ["PROCESSES", "ArrivalProcess", "apply_arrivals", "arrival_times", "at_once", "read_arrivals"]
