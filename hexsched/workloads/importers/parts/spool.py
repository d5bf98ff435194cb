"""A workload file written as a trace is read, so that its size does not matter."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from hexsched.model import Call
from hexsched.workloads.importers.parts.arrival import Arrival

CHUNK_BYTES = 2**20  # written at a time
CHUNK_LINES = 256  # encoded, or read again, at a time


class _Line(msgspec.Struct, frozen=True):
    """A workflow whose arrival may still be before that of the first one read."""

    workflow_id: str
    arrival: float
    calls: tuple[Call, ...]


class _Arrival(msgspec.Struct):
    arrival: float


class _RawLine(msgspec.Struct):
    workflow_id: msgspec.Raw
    arrival: float
    calls: msgspec.Raw


@dataclass(frozen=True)
class Spool:
    """A workload on its way to its file.

    Attributes
    ----------
    workflows, calls : int
    span : float
        Seconds from the first recorded arrival to the last.
    last_arrival : float
        Seconds from the first arrival that is written to the last.
    """

    workflows: int
    calls: int
    span: float
    last_arrival: float
    _file: IO[bytes]
    _start: float
    _times: NDArray[np.float64] | None
    _sorted: bool

    def chunks(self) -> Iterator[bytes]:
        """The workload as hexsched JSON Lines, by arrival (stable), the first at 0, in pieces."""
        self._file.seek(0)
        if self._sorted and self._times is None:
            while chunk := self._file.read(CHUNK_BYTES):
                yield chunk
            return
        gathered = bytearray()
        for place, line in enumerate(self._file if self._sorted else self._in_order()):
            if self._times is None and not self._start:
                gathered += line
            else:
                fields = msgspec.json.decode(line, type=_RawLine)
                fields.arrival = fields.arrival - self._start if self._times is None else float(self._times[place])
                gathered += msgspec.json.encode(fields) + b"\n"
            if len(gathered) > CHUNK_BYTES:
                yield bytes(gathered)
                gathered.clear()
        yield bytes(gathered)

    def _in_order(self) -> Iterator[bytes]:
        decoder = msgspec.json.Decoder(_Arrival)
        found = ((len(line), decoder.decode(line).arrival) for line in self._file)
        table = np.fromiter(found, dtype=[("size", np.int64), ("arrival", float)], count=self.workflows)
        ends = np.cumsum(table["size"])
        order = np.argsort(table["arrival"], kind="stable")
        jumps = np.concatenate(([0], np.flatnonzero(np.diff(order) != 1) + 1, [len(order)]))
        for at, end in pairwise(jumps):  # most lines are in order: runs of them are read together
            run = order[at:end]
            for first in range(0, len(run), CHUNK_LINES):
                part = run[first : first + CHUNK_LINES]
                start = int(ends[part[0]] - table["size"][part[0]])
                yield from os.pread(self._file.fileno(), int(ends[part[-1]]) - start, start).splitlines(keepends=True)


def spool(arrivals: Iterable[Arrival], times: Callable[[int], NDArray[np.float64]] | None = None) -> Spool:
    """Read arrivals through into a temporary file; memory does not grow with them.

    Parameters
    ----------
    arrivals : iterable of Arrival
        In any order; where it is not that of time, three numbers are held for each.
    times : callable, optional
        From the number of workflows to new arrival times, shape (workflows,), seconds.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 (it is closed with the spool)
    encoder = msgspec.json.Encoder()
    origin = earliest = latest = 0.0
    workflows = calls = 0
    in_order = True
    gathered: list[_Line] = []
    for at, workflow in arrivals:
        if not workflows:
            origin = earliest = latest = at
        if at < latest:
            in_order = False
            earliest = min(earliest, at)
        else:
            latest = at
        workflows += 1
        calls += len(workflow.calls)
        gathered.append(_Line(workflow.workflow_id, at - origin, workflow.calls))
        if len(gathered) == CHUNK_LINES:
            file.write(encoder.encode_lines(gathered))
            gathered.clear()
    file.write(encoder.encode_lines(gathered))
    file.flush()
    new = None if times is None else times(workflows)
    last = latest - earliest if new is None else float(new[-1])
    return Spool(workflows, calls, latest - earliest, last, file, earliest - origin, new, in_order)
