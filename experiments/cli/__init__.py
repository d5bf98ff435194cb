"""The command line ``hexsched``: arguments in, one of a few exit codes out."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence

OK = 0
CHECK_FAILED = 1
BAD_INPUT = 2
INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h: a bug, which must not read as a failed check
INTERRUPTED = 130

NO_ROOM = ("failed to map segment", "Cannot allocate memory", "cannot allocate memory")  # a library's words for it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process when left out.

    Returns
    -------
    int
        The exit code: 0, 1 a check failed, 2 bad input or usage (a line on standard error says what), 130 interrupted.
    """
    try:
        with _stop_like_interrupt():
            # Imported here so that Ctrl-C while modules load ends like Ctrl-C at any other time.
            from experiments.cli.app import run

            return run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        print("hexsched: interrupted", file=sys.stderr)
        return INTERRUPTED
    except MemoryError as error:
        return _out_of_memory(error)
    except Exception as error:
        if isinstance(error, ImportError) and any(sign in str(error) for sign in NO_ROOM):
            return _out_of_memory(error)
        traceback.print_exc()
        return INTERNAL_ERROR


def _out_of_memory(error: Exception) -> int:
    why = " ".join(str(error).split())
    print(f"hexsched: error: there is not enough memory{f': {why}' if why else ''}", file=sys.stderr)
    return BAD_INPUT


@contextlib.contextmanager
def _stop_like_interrupt() -> Iterator[None]:
    """SIGTERM, which batch systems and containers send, does as Ctrl-C does: what is best so far is written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(*_: object) -> None:
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGINT)  # to whoever takes Ctrl-C at present

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
