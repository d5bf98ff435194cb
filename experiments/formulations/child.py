"""One solve in a process of its own, so that a solver that crashes or fills the memory takes nothing else along."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from multiprocessing import connection, get_context, parent_process
from typing import TYPE_CHECKING, Any

from experiments.environment import as_text
from experiments.formulations.rows import Row, Task, share_above

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from hexsched.model import Instance

# A solve is ended after GRACE + GRACE_FACTOR * time limit: later than ``solvers.brackets.solve`` itself ends a
# formulation that does not keep its limit, and then still has the schedule that it started from.
GRACE = 90.0  # seconds
GRACE_FACTOR = 2.0  # seconds a second of time limit
SIGNALS = {-number: signal.Signals(number).name for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)}


def solve_apart(task: Task, problem: Instance) -> Row:
    """Solve in a child process.

    Returns
    -------
    Row
        Status ``unknown`` and a message where the child died or had to be ended, or ``solvers.brackets.solve`` raised.
    """
    context = get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(theirs, task, problem.to_bytes()))
    began = time.perf_counter()
    child.start()
    theirs.close()  # so that the death of the child ends the pipe
    try:
        answer = _answer(mine, GRACE + GRACE_FACTOR * task.time_limit)
    finally:
        _end(child)
        mine.close()
    if isinstance(answer, dict):
        return Row(**task._asdict(), **answer)
    return _failed(task, time.perf_counter() - began, answer or _death(child.exitcode))


def _answer(pipe: Connection, seconds: float) -> dict[str, Any] | str:
    """What the child sends, or why nothing came; empty where it died."""
    if not pipe.poll(seconds):
        return f"ended after {seconds:g} s, as it went far beyond its time limit"
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return ""


def _end(child: BaseProcess) -> None:
    """Leave neither the child nor a solver that it started behind."""
    child.join(1.0)
    if child.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    if child.is_alive():
        child.kill()
    child.join()


def _death(exitcode: int | None) -> str:
    how = f"killed by {SIGNALS.get(exitcode or 0, f'signal {-exitcode}')}" if exitcode and exitcode < 0 else ""
    out_of_memory = ", perhaps for want of memory" if exitcode == -signal.SIGKILL else ""
    return f"the solving process was {how}{out_of_memory}" if how else f"the solving process ended with code {exitcode}"


def _failed(task: Task, seconds: float, message: str) -> Row:
    return Row(
        **task._asdict(),
        status="unknown",
        seconds=seconds,
        cpu_seconds=None,
        seconds_to_optimal=None,
        value=None,
        lower_bound=None,
        bound_source="",
        gap=None,
        root_bound=None,
        root_gap=None,
        variables=None,
        constraints=None,
        nonzeros=None,
        message=message,
        environment=as_text(),
    )


def _work(pipe: Connection, task: Task, data: bytes) -> None:
    """The child: its own process group, so that Ctrl-C reaches the parent alone, which ends the whole group."""
    os.setpgrp()
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        pipe.send(_measured(task, data))
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {' '.join(str(error).split())}")


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.killpg(os.getpgrp(), signal.SIGKILL)


def _measured(task: Task, data: bytes) -> dict[str, Any]:
    """The columns of ``Row`` after those of the task."""
    from experiments.formulations.measure import measure
    from hexsched.model import Instance
    from solvers.problem.result import Options
    from solvers.schedules.search import warm_up

    problem = Instance.from_bytes(data)
    warm_up()  # loads compiled code, which is no part of a formulation
    options = Options(time_limit=task.time_limit, workers=task.workers, seed=task.seed)
    began, used = time.perf_counter(), cpu_seconds_used()
    columns, _ = measure(problem, task.arm, task.objective, options)
    seconds, cpu_seconds = time.perf_counter() - began, cpu_seconds_used() - used
    return {
        **columns,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "seconds_to_optimal": seconds if columns["status"] == "optimal" else None,
        "gap": share_above(columns["value"], columns["lower_bound"]),
        "root_gap": share_above(columns["value"], columns["root_bound"]),
        "environment": as_text(),
    }


def cpu_seconds_used() -> float:
    """Of this process with its threads, and of children that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)
