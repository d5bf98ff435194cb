"""What a running grid shows on standard error: a live line on a terminal, a plain one now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from experiments.grid.run import Outcome
from hexsched.progress import SECONDS_BETWEEN_LINES

STARTING = "processes load the engine, or compile it"

OnProgress = Callable[[Outcome, int], None]


@contextmanager
def display(label: str) -> Iterator[OnProgress]:
    """What to pass to ``run_plan`` as ``on_progress``."""
    if sys.stderr is not None and sys.stderr.isatty():
        with _live(label) as show:
            yield show
    else:
        yield _Lines(label)


@contextmanager
def _live(label: str) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("cells  {task.fields[pace]}  {task.fields[failed]}"),
        TimeElapsedColumn(),
    )
    pace = _Pace()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(label, total=None, pace="", failed="")

        def show(outcome: Outcome, total: int) -> None:
            over = outcome.done + outcome.failed
            failed = f"{outcome.failed} failed" if outcome.failed else ""
            words = pace(over, total) if outcome.computing else STARTING
            bars.update(bar, completed=over, total=total, pace=words, failed=failed)

        yield show


class _Lines:
    def __init__(self, label: str) -> None:
        self._label = label
        self._pace = _Pace()
        self._next = time.monotonic() + SECONDS_BETWEEN_LINES

    def __call__(self, outcome: Outcome, total: int) -> None:
        over, now = outcome.done + outcome.failed, time.monotonic()
        pace = self._pace(over, total) if outcome.computing else STARTING
        if sys.stderr is not None and (now >= self._next or (over == total and total)):
            self._next = now + SECONDS_BETWEEN_LINES
            parts = [f"{over:,} of {total:,} cells", pace, f"{outcome.failed} failed" if outcome.failed else ""]
            print(f"hexsched: {self._label}: {', '.join(filter(None, parts))}", file=sys.stderr, flush=True)


class _Pace:
    """Cells a second since the first one was finished, and the time left at that."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def __call__(self, over: int, total: int) -> str:
        now = time.monotonic()
        if over == 0:
            return ""
        if self._first is None:
            self._first = now, over
        since, before = self._first
        if over == before or now == since:
            return ""
        rate = (over - before) / (now - since)
        ending = f", about {duration((total - over) / rate)} left" if over < total else ""
        return f"{rate:.1f} a second{ending}"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5970:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
