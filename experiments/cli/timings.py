"""``--timings``: which part of a command takes which share of its time."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexsched.simulator import Run

Seconds = tuple[float, float]  # of the wall clock, and of CPU


def clock() -> Seconds:
    """Both clocks now."""
    return time.perf_counter(), time.process_time()


class Timings:
    """Seconds by part, told on standard error when the command is done.

    Parameters
    ----------
    wanted : bool
        Whether anything is told.
    """

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        cpu = time.process_time()  # the interpreter and what was imported so far; since when, no clock here knows
        self._parts: dict[str, Seconds] = {"start": (cpu, cpu)}

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens inside is part ``name``; parts of one name add up."""
        wall, cpu = clock()
        try:
            yield
        finally:
            now = clock()
            self._add(name, (now[0] - wall, now[1] - cpu))

    def split(self, name: str, part: str, seconds: Seconds) -> None:
        """So much of part ``name`` was part ``part``."""
        self._add(name, (-seconds[0], -seconds[1]))
        self._add(part, seconds)

    def engine(self, run: Run) -> None:
        """A run was part "prepare": its event loop, with the decisions of the policy, is a part of its own."""
        self.split("prepare", "engine", run.engine_seconds)

    def _add(self, name: str, seconds: Seconds) -> None:
        wall, cpu = self._parts.get(name, (0.0, 0.0))
        self._parts[name] = wall + seconds[0], cpu + seconds[1]

    def tell(self) -> None:
        """A line a part: seconds of the wall clock and of CPU, and the share of all CPU seconds."""
        if not self._wanted:
            return
        whole = sum(cpu for _, cpu in self._parts.values())
        parts = {**self._parts, "all": (sum(wall for wall, _ in self._parts.values()), whole)}
        lines = ["part           wall s    CPU s   share"]
        for name, (wall, cpu) in parts.items():
            lines.append(f"{name:<10} {wall:10.3f} {cpu:8.3f} {cpu / whole:7.1%}")
        print("\n".join(lines), file=sys.stderr)
