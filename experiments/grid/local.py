"""Local processes. Each is asked for one task at a time, so that when one dies it is known over which cell."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from experiments.grid.backend import Loss
from experiments.grid.cell import Cell
from experiments.grid.work import OtherCodeError, Result, Task, run_task, warm_up
from hexsched.errors import InputError

READY = "ready"
OVER = "over"
MOST_FAILED_STARTS = 3  # one after another, of processes that die before they are ready


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    task: Task | None = None
    left: deque[Cell] = field(default_factory=deque)


class LocalBackend:
    """A number of processes on this machine.

    The first one compiles the engine if need be; the others start when that is in the cache.
    """

    def __init__(self, workers: int) -> None:
        self._wanted = workers
        self._failed_starts = 0
        self._workers: list[_Worker] = [_start()]

    def room(self) -> int:
        return sum(worker.ready and worker.task is None for worker in self._workers)

    def submit(self, task: Task) -> None:
        worker = next(worker for worker in self._workers if worker.ready and worker.task is None)
        worker.task, worker.left = task, deque(task.cells)
        with contextlib.suppress(OSError):  # it has died; ``wait`` will see
            worker.connection.send(task)

    def wait(self, seconds: float) -> list[Result | Loss]:
        events: list[Result | Loss] = []
        ready = wait([worker.connection for worker in self._workers], seconds)
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            try:
                while worker.connection.poll():
                    events += self._heard(worker, worker.connection.recv())
            except (EOFError, OSError):
                events += self._bury(worker)
        return events

    def close(self) -> None:
        for worker in self._workers:
            _kill(worker.process)
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()

    def _heard(self, worker: _Worker, message: object) -> list[Result]:
        if isinstance(message, Result):
            worker.left.popleft()
            return [message]
        if isinstance(message, OtherCodeError):
            raise InputError(
                f"the code has changed since the run began, run again; finished cells are kept ({message})"
            )
        if isinstance(message, Exception):
            raise message
        worker.task = None
        if message == READY:
            worker.ready = True
            self._failed_starts = 0
            while len(self._workers) < self._wanted:
                self._workers.append(_start())
        return []

    def _bury(self, worker: _Worker) -> list[Result | Loss]:
        _kill(worker.process)  # it is dead, but a solver it had started may not be
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        code = worker.process.exitcode or 0
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                raise InputError(f"worker processes do not start: {reason}; finished cells are kept")
            time.sleep(self._failed_starts)  # whatever it is, memory perhaps, may pass
        self._workers.append(_start())
        if worker.task is None:
            return []
        cells = tuple(worker.left)
        return [Loss(cells, cells[0], worker.task.rate, f"the worker process died ({reason})")] if cells else []


def _start() -> _Worker:
    # Not fork: solvers and numba have threads. A worker that has the parent's end would outlive it, waiting for ever.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), name="hexsched grid worker")
    with _interrupts_held():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C is for the process in front, not its workers: they are started with it blocked, and stay so."""
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # starting it unblocks the signal again, so that has to happen before
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _kill(process: BaseProcess) -> None:
    """A worker and what it has started."""
    assert process.pid is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(process.pid) == process.pid:  # else it has not got as far as a group of its own
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _work(connection: Connection) -> None:
    """A worker's life: until its parent is gone."""
    os.setsid()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        warm_up()
        connection.send(READY)
        while True:
            task = connection.recv()
            try:
                for result in run_task(task):
                    connection.send(result)
            except Exception as error:
                connection.send(error)
            connection.send(OVER)


def _die_with_parent() -> None:
    """Nobody waits for a result any more: not even that of a solver that would take another minute."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.killpg(os.getpgrp(), signal.SIGKILL)
