"""The loop over the inputs of a reader; it runs in a process of its own, which an input may crash or hang."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from campaigns.fuzz import branches, texts
from campaigns.fuzz.findings import GROWTH, SECONDS, BreachError, Finding, signature_of, smaller
from campaigns.fuzz.slot import LARGEST, Slot

ADDRESS_SPACE = 4 * 2**30  # bytes that a worker may take beyond what it begins with
REPORTS = 2.0  # seconds between two reports
LATEST = 40  # of what was kept: every other input is made of one of these
LARGEST_KEPT = 30_000  # bytes of an input that others are made of
RIGHT = 0.7  # share of inputs that are made of accepted ones
REPEATED = 1 / 400  # share of inputs with a stretch of them repeated to some 100 kB


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    Attributes
    ----------
    reader : str
    seed : int
    start, inputs : int
        Numbers of the inputs: from the one, up to and without the other.
    seconds : float
        Of CPU, after which no further input is begun.
    out : Path
        Where findings go, and inputs that reached something new.
    corpus : Path, optional
        Further examples, in a folder a reader.
    lost : bytes, optional
        An input that a worker was lost at: it is made smaller, each try in a process of its own, and that is all.
    attempts : int
        How often for that.
    """

    reader: str
    seed: int
    start: int
    inputs: int
    seconds: float
    out: Path
    corpus: Path | None = None
    lost: bytes | None = None
    attempts: int = 0


@dataclass
class Report:
    """How far a worker is with a job."""

    reader: str
    done: bool = False
    inputs: int = 0
    accepted: int = 0
    kept: int = 0
    branches: int = 0
    cpu: float = 0.0
    findings: Counter[str] = field(default_factory=Counter)
    smallest: bytes = b""


def work(connection: Connection, slot_path: Path, marked: bool = True) -> None:
    """Do the jobs that come in, one after another, until None comes; reports go out."""
    if marked:
        branches.install()
    warnings.simplefilter("ignore")
    from campaigns.fuzz.planted import planted
    from campaigns.fuzz.readers import readers, warm

    known, slot = {**readers(), **planted()}, Slot(slot_path)
    with scratch() as folder:
        warm()
        soft = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
        with contextlib.suppress(EOFError, BrokenPipeError):  # whoever watched is gone
            while (job := connection.recv()) is not None:
                run(job, known[job.reader], slot, folder, connection)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a reader's files, in memory where there is one, that relative names are looked for in."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if os.access(memory, os.W_OK) else None))
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


class Inputs:
    """The inputs of a reader: the n-th follows from seed, name and n, and from what was kept before it."""

    def __init__(self, reader, seed: int, folder: Path, more: list[bytes]) -> None:  # type: ignore[no-untyped-def]
        self._reader, self._seed, self._rng = reader, seed, Random()
        self.pool: list[bytes] = [*reader.examples(folder), *more]
        self.examples = len(self.pool)
        self.accepted = list(self.pool)  # these lead further than what is refused

    def keep(self, data: bytes, accepted: bool) -> None:
        """Make others of this one too."""
        self.pool.append(data)
        if accepted:
            self.accepted.append(data)

    def make(self, number: int, words: list[str]) -> bytes:
        """The input of a number; the first are the examples as they are."""
        if number < self.examples:
            return self.pool[number]
        rng = self._rng
        rng.seed(f"{self._seed}/{self._reader.name}/{number}")
        pool = self.pool
        if rng.random() < RIGHT:
            pool = self.accepted
        base = pool[-1 - rng.randrange(min(LATEST, len(pool)))] if rng.random() < 0.5 else rng.choice(pool)
        data = self._reader.change(base, rng.choice(self.pool), rng, words)
        if rng.random() < REPEATED:
            data = texts.repeated(data, rng)
        return data[:LARGEST]


def run(job: Job, reader, slot: Slot, folder: Path, connection: Connection) -> None:  # type: ignore[no-untyped-def]
    """Run the inputs of a job; a ``Report`` now and then, and at the end."""
    from campaigns.fuzz.readers import given

    if job.lost is not None:
        smallest = smaller(job.lost, lambda less: _ends_its_process(reader, less, folder), job.attempts)
        connection.send(Report(job.reader, done=True, smallest=smallest))
        return
    queue = job.out / "kept" / job.reader
    queue.mkdir(parents=True, exist_ok=True)
    inputs = Inputs(reader, job.seed, folder, list(given(job.corpus, job.reader)))
    reached, report = branches.Reached(), Report(job.reader)
    for path in sorted(queue.iterdir()):  # a worker before this one was lost
        inputs.keep(path.read_bytes(), False)
    for data in list(inputs.pool) if job.start else ():
        reached.begin()
        _, accepted = attempt(reader, data, folder)
        reached.adds()
        if accepted and data not in inputs.accepted:
            inputs.accepted.append(data)
    began = cpu = time.process_time()
    told = time.monotonic()
    resident = _resident()
    peak = _peak()
    for number in range(job.start, job.inputs):
        if time.process_time() - began > job.seconds:
            break
        data = inputs.make(number, reached.words)
        slot.begin(number, data)
        reached.begin()
        start = time.process_time()
        error, accepted = attempt(reader, data, folder)
        took = time.process_time() - start
        slot.end()
        report.inputs += 1
        report.accepted += accepted
        if reached.adds() and len(data) <= LARGEST_KEPT:
            inputs.keep(data, accepted)
            (queue / f"{number:09d}").write_bytes(data)
        found = None
        if error is not None:
            signature = signature_of(error)
            what = "breach" if isinstance(error, BreachError) else "traceback"
            text = "".join(traceback.format_exception(error))
            found = Finding(job.reader, number, job.seed, what, signature, text[-6000:])
        elif took > SECONDS:
            found = Finding(job.reader, number, job.seed, "hang", "longer than allowed", f"{took:.2f} s of CPU")
        elif _peak() > peak:
            peak = _peak()
            if peak - resident > GROWTH:
                grown = f"{(peak - resident) / 2**20:.0f} MiB"
                found = Finding(job.reader, number, job.seed, "memory", "more than allowed", grown)
        if found is not None:
            if not (job.out / "findings" / found.name).exists():
                _keep(found, data, reader, folder, job)
            report.findings[found.name] += 1
        if time.monotonic() - told > REPORTS:
            told = time.monotonic()
            _send(connection, report, inputs, reached, cpu)
            cpu = time.process_time()
    report.done = True
    _send(connection, report, inputs, reached, cpu)


def attempt(reader, data: bytes, folder: Path) -> tuple[Exception | None, bool]:  # type: ignore[no-untyped-def]
    """Have a reader read an input: what it must not raise, and whether it took the input."""
    from hexsched.errors import InputError
    from hexsched.simulator.run import UnservedError

    try:
        reader.read(data, folder)
    except UnservedError as error:
        return error, False
    except InputError as error:
        return (error, False) if "\n" in str(error) else (None, False)
    except Exception as error:
        return error, False
    return None, True


def _ends_its_process(reader, data: bytes, folder: Path) -> bool:  # type: ignore[no-untyped-def]
    """Whether an input crashes the process that it runs in, or takes too long."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))  # of the child alone; a signal ends it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        attempt(reader, data, folder)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def _keep(found: Finding, data: bytes, reader, folder: Path, job: Job) -> None:  # type: ignore[no-untyped-def]
    def shows(less: bytes) -> bool:
        error, _ = attempt(reader, less, folder)
        return error is not None and signature_of(error) == found.signature

    smallest = smaller(data, shows) if found.what in ("traceback", "breach") else data
    found.save(job.out / "findings", data, smallest)


def _send(connection: Connection, report: Report, inputs: Inputs, reached: branches.Reached, cpu: float) -> None:
    """Tell what has happened since the last time."""
    report.kept, report.branches, report.cpu = len(inputs.pool), len(reached), time.process_time() - cpu
    connection.send(report)
    report.inputs = report.accepted = 0
    report.findings = Counter()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
