"""Work in a child process, so that a solver that crashes takes nothing with it.

The child is a fork: it has the instance and the compiled code at once (a new interpreter takes a CPU second to load
them), and it can be stopped whatever it is doing. It is in a process group of its own, so that Ctrl-C reaches it once,
from here, and that nothing it started outlives it. What it tells before it dies is kept.

Only on Linux; elsewhere a fork that has not called ``exec`` is unsafe or unknown, and work is done in this process.
"""

from __future__ import annotations

import math
import os
import pickle
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from solvers.problem.memory import RESERVE, memory_of_all

AVAILABLE = sys.platform == "linux"
AFTER_INTERRUPT = 15.0  # seconds in which work must end after Ctrl-C
LOOK = 0.1  # seconds between looks at the time and the memory of a child

Tell = Callable[[Any], None]


class CrashedError(Exception):
    """The child ended without a result; the message says how."""


class StoppedError(Exception):
    """The child was stopped because it took more time or memory than it may; the message says which."""


def in_child(work: Callable[[Tell], Any], hear: Tell, patience: float, memory: float = math.inf) -> Any:
    """What ``work`` returns, from a child process.

    Parameters
    ----------
    work : callable
        Gets a function that sends any object that can be pickled to ``hear`` of this process, at once.
    hear : callable
    patience : float
        Seconds after which the child is killed.
    memory : float
        Bytes of main memory, of the child and of what it started, above which it is killed. It is killed as well when
        there is next to none left for anybody (``solvers.problem.memory.RESERVE``).

    Raises
    ------
    CrashedError
        When the child died.
    StoppedError
        When it had no time left, or took too much memory.
    KeyboardInterrupt
        When Ctrl-C, which the child gets as one of its own, did not bring it to return something soon, or came again.
    Exception
        What ``work`` or ``hear`` raised.
    """
    with _Interrupts() as interrupts:
        outcome, status = _converse(work, hear, _Limits(patience, memory), interrupts)
    if outcome is None:
        if interrupts.count:
            raise KeyboardInterrupt
        raise CrashedError(_cause(status))
    kind, content = outcome
    if kind == "raised":
        raise content
    return content


class _Interrupts:
    """Counts Ctrl-C instead of raising KeyboardInterrupt, which would come between a fork and what takes care of it.

    Other threads than the main one never see Ctrl-C, and where it is ignored it stays so.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: Any = None

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._another)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _another(self, *_: object) -> None:
        self.count += 1


def _converse(
    work: Callable[[Tell], Any], hear: Tell, limits: _Limits, interrupts: _Interrupts
) -> tuple[tuple[str, Any] | None, int]:
    """What the child sent last ("result" or "raised", and what), and the status it left with."""
    ours, theirs = os.pipe()
    lifeline, held = os.pipe()  # its end here closes when this process dies
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are threads
        pid = os.fork()
    if pid == 0:
        try:  # whatever happens, the child never returns from here
            os.close(ours)
            os.close(held)
            _be_the_child(work, theirs, lifeline, interrupts)
        finally:
            os._exit(1)
    os.close(theirs)
    os.close(lifeline)
    with suppress(OSError):  # the child does the same; whoever is first
        os.setpgid(pid, pid)
    listener = _Listener(pid, ours, hear)
    try:
        _wait(listener, limits, interrupts)
    finally:
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)  # it has ended, or must
        status = os.waitpid(pid, 0)[1]
        listener.ended.wait()
        os.close(ours)
        os.close(held)
    return listener.outcome, status


class _Listener(threading.Thread):
    """Hears a child in a thread of its own, where Ctrl-C cannot cut a message in two.

    Attributes
    ----------
    outcome : (str, object) or None
        "result" and what it is, or "raised" and the exception; None while and when there is none.
    """

    def __init__(self, pid: int, pipe: int, hear: Tell) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.outcome: tuple[str, Any] | None = None
        self.ended = threading.Event()  # join() would do, but in Python 3.11 Ctrl-C makes it forget a running thread
        self._pipe, self._hear = pipe, hear
        self.start()

    def run(self) -> None:
        try:
            while self.outcome is None and (message := self._message()) is not None:
                kind, content = message
                if kind == "message":
                    self._hear(content)
                else:
                    self.outcome = kind, content
        except Exception as error:  # of ``hear``
            self.outcome = "raised", error
        finally:
            self.ended.set()

    def _message(self) -> tuple[str, Any] | None:
        head = self._read(8)
        body = None if head is None else self._read(int.from_bytes(head, "little"))
        return None if body is None else pickle.loads(body)

    def _read(self, size: int) -> bytes | None:
        """So many bytes, or None when there is no child any more that could send them."""
        got = b""
        while len(got) < size:
            if select.select([self._pipe], [], [], 0.2)[0]:
                more = os.read(self._pipe, size - len(got))
                if not more:
                    return None
                got += more
            elif _ended(self.pid):  # with another thread's child, forked meanwhile, at the other end of the pipe
                return None
        return got


def _ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


class _Limits(NamedTuple):
    """How far a child may go.

    Attributes
    ----------
    patience : float
        Seconds.
    memory : float
        Bytes.
    """

    patience: float
    memory: float


def _wait(listener: _Listener, limits: _Limits, interrupts: _Interrupts) -> None:
    """Until the child ends, and no longer than its limits let it; a first Ctrl-C is passed on, a second is final."""
    until, passed_on = time.monotonic() + limits.patience, False
    while not listener.ended.wait(LOOK):
        if interrupts.count and not passed_on:
            passed_on, until = True, min(until, time.monotonic() + AFTER_INTERRUPT)
            with suppress(OSError):
                os.kill(listener.pid, signal.SIGINT)
        if interrupts.count > 1:
            return
        if time.monotonic() > until:
            if interrupts.count:
                return
            raise StoppedError("it did not end at its time limit and was stopped")
        if math.isfinite(limits.memory) and memory_of(listener.pid) > limits.memory:
            raise StoppedError(f"it took more than {limits.memory / 1e9:g} GB of memory and was stopped")
        if memory_of_all() < RESERVE:
            raise StoppedError(f"less than {RESERVE / 1e9:g} GB of memory was left for all and it was stopped")


def memory_of(pid: int) -> int:
    """Bytes of main memory that a process and its descendants take; what they share with others is counted too."""
    total = 0
    with suppress(OSError, ValueError):  # they may end meanwhile
        total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += sum(memory_of(int(child)) for child in (thread / "children").read_text().split())
    return total


def _be_the_child(work: Callable[[Tell], Any], pipe: int, lifeline: int, interrupts: _Interrupts) -> None:
    """Do the work and send what comes of it; leaves by ``os._exit``, as what else happens at exit is the parent's."""
    with suppress(OSError):
        os.setpgid(0, 0)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if interrupts.count:
        os._exit(0)
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    lock = threading.Lock()  # solvers call back from threads of theirs

    def send(kind: str, content: Any) -> None:
        message = pickle.dumps((kind, content), pickle.HIGHEST_PROTOCOL)
        with lock:
            _write(pipe, len(message).to_bytes(8, "little") + message)

    outcome: tuple[str, Any]
    try:
        outcome = "result", work(lambda content: send("message", content))
    except Exception as error:
        outcome = "raised", _portable(error)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from here on there is nothing left to interrupt
    send(*outcome)
    os._exit(0)


def _die_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _write(pipe: int, content: bytes) -> None:
    while content:
        content = content[os.write(pipe, content) :]


def _portable(error: Exception) -> Exception:
    """The error itself where it survives pickling, else one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _cause(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = str(number)
        hint = ", perhaps for want of memory" if number in (signal.SIGKILL, signal.SIGABRT) else ""
        return f"it was killed by signal {name}{hint}"
    return f"it ended without a result (exit code {os.waitstatus_to_exitcode(status)})"
