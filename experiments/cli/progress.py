"""How far a long run is: a line on standard error that is rewritten in place."""

from __future__ import annotations

import sys
import time
from types import TracebackType

SECONDS_BETWEEN = 0.1  # two rewritings of the line
ERASE_LINE = "\r\x1b[K"


class Progress:
    """Context manager; called with (done, total). Silent unless standard error is a terminal."""

    def __init__(self, label: str, unit: str = "calls") -> None:
        self._label = label
        self._unit = unit
        self._shown = sys.stderr is not None and sys.stderr.isatty()
        self._next = 0.0

    def __enter__(self) -> Progress:
        self._write(f"{self._label} ...")
        return self

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + SECONDS_BETWEEN
            self._write(f"{self._label}: {done:,} of {total:,} {self._unit}")

    def show(self, text: str) -> None:
        """Say how far it is in other words than a count."""
        self._write(f"{self._label}: {text}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(ERASE_LINE + text)
            sys.stderr.flush()
