"""A solver that runs in compiled code, so that Ctrl-C is heard while it does."""

from __future__ import annotations

import threading
from collections.abc import Callable


def run_interruptibly(work: Callable[[], object], stop: Callable[[], object]) -> None:
    """Do the work in a thread of its own, as Python hears of Ctrl-C between two lines of its own only.

    Parameters
    ----------
    work : callable
        What takes long and lets go of Python's lock. What it raises is raised here.
    stop : callable
        Called at Ctrl-C; it asks the work to end.
    """
    ended = threading.Event()  # Thread.join would do, but in Python 3.11 Ctrl-C makes it forget a running thread
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    while not ended.is_set():
        try:
            ended.wait(0.1)
        except KeyboardInterrupt:
            stop()
    if raised:
        raise raised[0]
