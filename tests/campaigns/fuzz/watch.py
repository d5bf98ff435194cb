"""Workers and who watches them: one that crashes or hangs is told with the input it was at, and replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path

from campaigns.fuzz.findings import ATTEMPTS, SECONDS, Finding
from campaigns.fuzz.slot import Slot
from campaigns.fuzz.worker import Job, Report, work

POLL = 0.25  # seconds between two looks
STUCK = 60.0  # seconds that an input may take in which no CPU is used: it waits for something
ATTEMPTS_OF_HANGS = 8  # runs to make an input smaller that takes long
PER_SECOND = os.sysconf("SC_CLK_TCK")


class Worker:
    """A process that does jobs, and what is known of the input it is at."""

    def __init__(self, slot_path: Path, marked: bool = True) -> None:
        slot_path.unlink(missing_ok=True)
        self.slot = Slot(slot_path)
        self.job: Job | None = None
        self._at: tuple[int | None, float] = (None, 0.0)  # input, and CPU at which it was first seen
        self._moved = (-1.0, 0.0)  # CPU, and the time at which it was seen to grow: a busy machine gives little
        context = multiprocessing.get_context("spawn")
        self.connection, inside = context.Pipe()
        self.process = context.Process(target=work, args=(inside, slot_path, marked), daemon=True)
        self.process.start()
        inside.close()

    def do(self, job: Job) -> None:
        """Give it a job."""
        self.job, self._at = job, (None, 0.0)
        self.connection.send(job)

    def hangs(self) -> str:
        """For how long the input at hand runs, where that is too long; empty otherwise."""
        number, cpu, now = self.slot.number(), self._cpu(), time.monotonic()
        if number is None or number != self._at[0]:
            self._at = number, cpu
        if cpu != self._moved[0] or number is None:
            self._moved = cpu, now
        used, passed = cpu - self._at[1], now - self._moved[1]
        if used > 2 * SECONDS:  # twice, since it may have been replaced by one of its number between two looks
            return f"more than {used:.1f} s of CPU"
        return f"no end, and no CPU for {passed:.0f} s" if passed > STUCK else ""

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    def _cpu(self) -> float:
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / PER_SECOND


def campaign(
    jobs: Sequence[Job], workers: int, folder: Path, told: Callable[[Report], None], marked: bool = True
) -> None:
    """Do all jobs on so many workers; ``told`` hears what happens, findings of lost workers among it."""
    waiting = list(reversed(jobs))
    running: list[Worker] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                worker = Worker(folder / f"slot-{len(running)}-{time.monotonic_ns()}", marked)
                worker.do(waiting.pop())
                running.append(worker)
            ready = wait([worker.connection for worker in running], POLL)
            for worker in list(running):
                if worker.connection in ready:
                    done = _listen(worker, told)
                    if done is True and waiting:
                        worker.do(waiting.pop())
                    elif done is not False:
                        running.remove(worker)
                        if done is None:
                            _lost(worker, _crash(worker), waiting, folder, told, marked)
                        worker.stop()
                elif what := worker.hangs():
                    running.remove(worker)
                    worker.stop()
                    _lost(worker, ("hang", what), waiting, folder, told, marked)
    finally:
        for worker in running:
            worker.stop()


def _listen(worker: Worker, told: Callable[[Report], None]) -> bool | None:
    """Whether the job is done; None where the worker is gone."""
    try:
        report = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        return None
    told(report)
    return bool(report.done)


def _crash(worker: Worker) -> tuple[str, str]:
    worker.process.join()
    code = worker.process.exitcode or 0
    return "crash", f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def _lost(
    worker: Worker,
    what: tuple[str, str],
    waiting: list[Job],
    folder: Path,
    told: Callable[[Report], None],
    marked: bool,
) -> None:
    """Keep the input that a worker was lost at, and go on behind it."""
    job, at = worker.job, worker.slot.running()
    assert job is not None
    if at is None:
        raise RuntimeError(f"the worker of {job.reader} {what[1]}, and not in an input")
    number, data = at
    signature = what[1] if what[0] == "crash" else "no end"
    found = Finding(job.reader, number, job.seed, what[0], signature, what[1])
    if not (job.out / "findings" / found.name).exists():
        found.save(job.out / "findings", data, data)  # before anything is tried with it
        attempts = ATTEMPTS if what[0] == "crash" else ATTEMPTS_OF_HANGS
        smallest = _smallest(replace(job, lost=data, attempts=attempts), folder, marked)
        found.save(job.out / "findings", data, smallest or data)
    told(Report(job.reader, inputs=1, findings=Counter([found.name])))
    waiting.append(replace(job, start=number + 1))


def _smallest(job: Job, folder: Path, marked: bool) -> bytes:
    """What a worker makes of the input that another one was lost at; nothing where it is lost as well."""
    worker = Worker(folder / f"slot-once-{time.monotonic_ns()}", marked)
    made: list[bytes] = []
    try:
        worker.do(job)
        _listen(worker, lambda report: made.append(report.smallest))
        return b"".join(made)
    finally:
        worker.stop()
