"""How far a long call is: a line on a terminal or in a notebook, gone when the call ends.

Shown by default where somebody is looking; nothing is shown of what is over soon, nor of what is part of something that
shows its own. ``progress=False`` of a call silences it and what it does; a function takes the place of the line. The
command line writes a line now and then where standard error is no terminal (``in_lines``).
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

Wanted = bool | Callable[..., Any] | None  # ``progress`` of a call: None where somebody looks, False never

SILENT_SECONDS = 0.5  # nothing is shown of what is over by then
SECONDS_BETWEEN = 0.1  # two updates of what is shown
SECONDS_BETWEEN_LINES = 10.0  # where standard error is no terminal

_lock = threading.Lock()
_lines_wanted = [False]
_under_way = 0  # calls that report: those inside another one are silent


class Progress:
    """Context manager; called with (done, total) or, with ``show``, told in other words.

    Parameters
    ----------
    label : str
        What is going on.
    unit : str
        What is counted.
    wanted : bool, callable or None
        True and None show it where somebody is looking, False does not; a callable is called in its place, with the
        arguments of ``__call__``.
    """

    def __init__(self, label: str, unit: str = "calls", wanted: Wanted = None) -> None:
        self._label, self._unit, self._wanted = label, unit, wanted
        self._line: _Line | None = None
        self._began = self._next = 0.0
        self._shown = False

    def __enter__(self) -> Progress:
        global _under_way
        with _lock:
            outer, _under_way = _under_way, _under_way + 1
        watched = is_watched()
        self._shown = (
            not outer and self._wanted is not False and not callable(self._wanted) and (watched or _lines_wanted[0])
        )
        if self._shown and not watched:
            self._line = _PlainLines(self._label)
        self._began = time.monotonic()
        self._next = self._began + SILENT_SECONDS
        return self

    def __call__(self, done: float, total: float, text: str = "") -> None:
        """So much of the total is done; ``text`` in place of the two numbers."""
        if callable(self._wanted):
            self._wanted(done, total)
        elif self._shown and (now := time.monotonic()) >= self._next:
            self._next = now + SECONDS_BETWEEN
            self._update(done, total, text or f"{done:,} of {total:,} {self._unit}")

    def show(self, text: str, total: float = 0.0, seconds: float = 0.0) -> None:
        """Say how far it is in words; of ``total`` seconds that it may take, so many are over."""
        if self._shown and (now := time.monotonic()) >= self._next:
            self._next = now + SECONDS_BETWEEN
            self._update(min(now - self._began, total), total, text, f", {seconds:.0f} of {total:g} s" if total else "")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        global _under_way
        with _lock:
            _under_way -= 1
        if self._line is not None:
            self._line.close()

    def _update(self, done: float, total: float, text: str, time_of_it: str = "") -> None:
        if self._line is None:
            self._line = _NotebookLine(self._label) if in_notebook() else _TerminalLine(self._label)
        self._line.update(done, total, text, time_of_it)


@contextlib.contextmanager
def in_lines() -> Iterator[None]:
    """Meanwhile what takes long writes a line now and then on standard error where nobody is looking: into a log."""
    before, _lines_wanted[0] = _lines_wanted[0], True
    try:
        yield
    finally:
        _lines_wanted[0] = before


def is_watched() -> bool:
    """Whether somebody sees what is shown: standard error is a terminal, or this is a notebook."""
    return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


class _Line:
    def update(self, done: float, total: float, text: str, time_of_it: str) -> None:
        """Show so much of ``total`` (0 where it is not known), words, and how much of the time was over by then."""
        raise NotImplementedError

    def close(self) -> None:
        """Take it away."""
        raise NotImplementedError


class _TerminalLine(_Line):
    def __init__(self, label: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[text]}"))
        self._bars = Bars(
            *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True, auto_refresh=False
        )
        self._task = self._bars.add_task(label, total=None, text="")
        self._bars.start()

    def update(self, done: float, total: float, text: str, time_of_it: str) -> None:
        self._bars.update(self._task, completed=done, total=total or None, text=text + time_of_it, refresh=True)

    def close(self) -> None:
        self._bars.stop()


class _PlainLines(_Line):
    """A line every ``SECONDS_BETWEEN_LINES``, also where nothing is heard for long."""

    def __init__(self, label: str) -> None:
        self._label, self._text, self._over = label, "", threading.Event()
        self._began = time.monotonic()
        threading.Thread(target=self._write, name="hexsched progress", daemon=True).start()

    def update(self, done: float, total: float, text: str, time_of_it: str) -> None:
        self._text = f": {text}"

    def close(self) -> None:
        self._over.set()

    def _write(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LINES):
            if sys.stderr is not None:
                seconds = time.monotonic() - self._began
                print(f"hexsched: {self._label}, {seconds:.0f} s{self._text}", file=sys.stderr, flush=True)


class _NotebookLine(_Line):
    """Plain text that is rewritten: rich needs ipywidgets for that, which not every notebook has."""

    def __init__(self, label: str) -> None:
        self._label, self._handle = label, None

    def update(self, done: float, total: float, text: str, time_of_it: str) -> None:
        share = f" {100 * done / total:.0f} %," if total else ""
        shown = {"text/plain": f"{self._label}:{share} {text}{time_of_it}"}
        if self._handle is None:
            from IPython.display import display

            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)
