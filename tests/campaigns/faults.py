"""Faults at random moments: kills, signals, full disks, small shared memory, clocks that jump, changed files.

    cd tests && ../.venv/bin/python -m campaigns.faults --faults 20
    cd tests && ../.venv/bin/python -m campaigns.faults --kinds signals,disk --seed 3 --faults 5

Each round brings a fault on a running command, at a moment drawn with the seed, and looks at what is left: an exit code
of those that are promised, no traceback, files whole, nothing lost that was there before. In the end the command is run
undisturbed, and what it leaves must be what a run without faults leaves, byte for byte where the model says so.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiny_grid import TINY, Inline, contents, plan_of, write_grid

from experiments.cli import BAD_INPUT, CHECK_FAILED, INTERRUPTED, OK
from experiments.formulations.rows import FORMULATIONS_CSV, read_rows
from experiments.grid.backend import Loss
from experiments.grid.plan import Plan
from experiments.grid.run import run_plan
from experiments.grid.work import Result
from experiments.library.archive import Entry, Key, read_archive
from experiments.store import Store, read_table, tables
from hexsched.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
READY = "ready"
PROGRAM = (
    f"import sys; from experiments.cli import main; print({READY!r}, file=sys.stderr, flush=True); sys.exit(main())"
)
PATIENCE = 300.0  # seconds for a command that is not disturbed: a machine may be busy
LARGER = TINY.replace("seeds: 2", "seeds: 5")
IMPROVED = "unary-chain-6-0"
COMPARED = ("unary-chain-6-0", "contended-chain-6-0")

# A clock that is set: every so often, by up to so many seconds. Time that only goes forward stays as it is.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static int (*real)(clockid_t, struct timespec *);
static long jump(void) {
  struct timespec now;
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  real(CLOCK_MONOTONIC, &now);
  const char *period = getenv("JUMP_MS"), *span = getenv("JUMP_SECONDS"), *seed = getenv("JUMP_SEED");
  if (!period || !span || !seed) return 0;
  unsigned long k = (now.tv_sec * 1000ul + now.tv_nsec / 1000000ul) / strtoul(period, 0, 10) + strtoul(seed, 0, 10);
  k = k * 6364136223846793005ul + 1442695040888963407ul;
  k ^= k >> 33; k *= 0xff51afd7ed558ccdul; k ^= k >> 33;
  long most = strtol(span, 0, 10);
  return (long)(k % (2 * most + 1)) - most;
}
int clock_gettime(clockid_t id, struct timespec *t) {
  long by = jump();
  int code = real(id, t);
  if (!code && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += by;
  return code;
}
int gettimeofday(struct timeval *t, void *zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec; t->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *t) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}
"""


class NotPossibleError(Exception):
    """This machine cannot bring the fault about."""


class LostError(Exception):
    """A fault that was not survived."""


@dataclass
class Round:
    """One round of a kind of fault.

    Attributes
    ----------
    folder : Path
        Its own.
    chance : Random
    faults : int
        Those that hit something that was running.
    """

    folder: Path
    chance: random.Random
    faults: int = 0

    def moment(self, seconds: float) -> None:
        """Wait until a moment within so many seconds."""
        time.sleep(self.chance.uniform(0.0, seconds))


@dataclass
class Running:
    """A command in a process group of its own, past its start."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, *argv: str, env: dict[str, str] | None = None, before: tuple[str, ...] = ()) -> Running:
        process = subprocess.Popen(
            [*before, sys.executable, "-c", PROGRAM, *argv],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
        running = cls(process)
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip() == READY:
                break
            running.lines.append(line)
        return running

    def over(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        """All of it at once, as a machine that goes down."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.end()

    def end(self) -> tuple[int, str, str]:
        try:
            out, err = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            raise LostError("it does not end") from None
        return self.process.returncode, out, "".join(self.lines) + err


def ended(running: Running, *codes: int) -> tuple[str, str]:
    """What a command has printed; it must end with one of the codes, and without a traceback."""
    code, out, err = running.end()
    if code not in codes or "Traceback" in err:
        raise LostError(f"exit code {code}: {err.strip()[-500:]}")
    return out, err


def grid_workers(process: subprocess.Popen[str]) -> list[int]:
    """Children of a process that have a group of their own: workers, and not what multiprocessing starts for itself."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            state, parent, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(parent) == process.pid and int(group) == int(stat.parent.name) and state != "Z":
                found.append(int(stat.parent.name))
    return found


def same(store: Path, expected: dict[str, bytes]) -> None:
    found = contents(store)
    if found != expected:
        apart = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise LostError(f"{len(apart)} files are not those of an undisturbed run: {', '.join(apart[:3])}")


def whole(store: Path) -> None:
    """Every cell that counts as done has all its files, and they can be read."""
    if not (store / "store.json").exists():
        return
    opened = Store.open(store)
    if opened.damaged(opened.done()):
        raise LostError("a finished cell has a damaged file")
    for table in tables():
        read_table(store, table)


_undisturbed: dict[str, dict[str, bytes]] = {}


def undisturbed(text: str = LARGER) -> dict[str, bytes]:
    """What the grid's store holds, computed in one go in this process."""
    if text not in _undisturbed:
        with tempfile.TemporaryDirectory() as folder:
            with Store.writing(Path(folder) / "s") as store:
                run_plan(plan_of(Path(folder), text), store, Inline())
            _undisturbed[text] = contents(Path(folder) / "s")
    return _undisturbed[text]


def grid(work: Round, *more: str, store: Path | None = None, **options: object) -> Running:
    path = write_grid(work.folder, LARGER)
    where = work.folder / "s" if store is None else store
    return Running.start("grid", "run", str(path), "--store", str(where), *more, **options)  # type: ignore[arg-type]


def grid_seconds() -> float:
    return 4.0  # about as long as the grid takes on an idle machine with compiled code


def kills(work: Round, faults: int) -> None:
    """A grid and its workers killed (SIGKILL), again and again; then left alone."""
    expected = undisturbed()
    for _ in range(faults):
        running = grid(work, "--workers", str(work.chance.randint(1, 3)))
        work.moment(grid_seconds())
        work.faults += not running.over()
        running.kill()
        whole(work.folder / "s")
    ended(grid(work), OK)
    same(work.folder / "s", expected)


class Replay(Inline):
    """A backend that has every result already, so that a run is what it writes and nothing else."""

    def __init__(self, results: Mapping[str, Result]) -> None:
        super().__init__()
        self.results = results

    def wait(self, seconds: float) -> list[Result | Loss]:
        return [self.results[cell.key] for cell in self.tasks.pop().cells]


def recorded(folder: Path) -> tuple[Plan, dict[str, Result]]:
    """The plan of a small grid, and the results of its cells."""
    results: dict[str, Result] = {}

    class Recording(Inline):
        def wait(self, seconds: float) -> list[Result | Loss]:
            found = super().wait(seconds)
            results.update({result.key: result for result in found if isinstance(result, Result)})
            return found

    plan = plan_of(folder, TINY)
    with Store.writing(folder / "recorded") as store:
        run_plan(plan, store, Recording())
    return plan, results


STEPS = 200  # on the disk, of a run that writes the whole grid: about so many


def steps(work: Round, faults: int) -> None:
    """A process killed, or told of an error, at any step that it takes on the disk: of syncs, renames and removals."""
    plan, results = recorded(work.folder)
    expected = contents(work.folder / "recorded")
    store = work.folder / "s"
    for _ in range(faults):
        last, wrong = work.chance.randrange(STEPS), work.chance.choice((0, errno.ENOSPC, errno.EIO, errno.EDQUOT))
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                _fail_at(last, wrong)
                with Store.writing(store) as opened:
                    run_plan(plan, opened, Replay(results))
                code = 0
            except InputError as error:
                code = 2 if os.strerror(wrong) in str(error) else 70
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code not in (0, -signal.SIGKILL if wrong == 0 else 2):
            raise LostError(f"exit code {code} after {os.strerror(wrong)} at step {last}")
        work.faults += code != 0
        whole(store)
        if code == 0:
            same(store, expected)
            shutil.rmtree(store)
    with Store.writing(store) as opened:
        run_plan(plan, opened, Replay(results))
    same(store, expected)


def _fail_at(last: int, wrong: int) -> None:
    """From that step on every one fails; where nothing is said to be wrong, the process dies of it."""
    left = itertools.count(last, -1)

    def failing(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if next(left) <= 0:
                if wrong == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                raise OSError(wrong, os.strerror(wrong))
            return function(*args, **options)

        return call

    for name in ("fsync", "replace", "mkdir", "unlink"):
        setattr(os, name, failing(getattr(os, name)))


def signals(work: Round, faults: int) -> None:
    """A grid stopped with Ctrl-C or SIGTERM, again and again; then left alone."""
    expected = undisturbed()
    for _ in range(faults):
        running = grid(work)
        work.moment(grid_seconds())
        work.faults += not running.over()
        sent = work.chance.choice((signal.SIGINT, signal.SIGTERM))
        if sent == signal.SIGINT and work.chance.random() < 0.5:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.process.pid, sent)  # as a terminal does
        else:
            running.process.send_signal(sent)
        ended(running, INTERRUPTED, OK)
        whole(work.folder / "s")
    ended(grid(work), OK)
    same(work.folder / "s", expected)


def workers(work: Round, faults: int) -> None:
    """Workers of a grid killed while it runs: it goes on with others."""
    expected = undisturbed()
    running = grid(work, "--workers", "2", "--json")
    for _ in range(faults):
        end = time.monotonic() + PATIENCE
        while not grid_workers(running.process) and not running.over() and time.monotonic() < end:
            time.sleep(0.01)
        work.moment(grid_seconds() / 4)
        alive = grid_workers(running.process)
        if alive:
            work.faults += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(work.chance.choice(alive), signal.SIGKILL)
    _, err = ended(running, OK, CHECK_FAILED, BAD_INPUT)
    # workers that die again and again before they are ready end the run; a cell over which two have died is a row
    if running.process.returncode == BAD_INPUT and "worker processes do not start" not in err:
        raise LostError(err.strip()[-500:])
    if running.process.returncode != OK:
        ended(grid(work, "--retry-failed"), OK)
    same(work.folder / "s", expected)


@contextlib.contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[None]:
    """A file system of its own at the path, so small."""
    path.mkdir(parents=True, exist_ok=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(argv, capture_output=True).returncode != 0:
        raise NotPossibleError("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True, capture_output=True)


def disk(work: Round, faults: int) -> None:
    """A disk that is full in the middle of a grid, and has room again: one line, and what was finished is kept."""
    expected = undisturbed()
    for each in range(faults):
        folder = work.folder / f"disk-{each}"
        with small_disk(folder, work.chance.randint(16, 500)):
            running = grid(work, store=folder / "s")
            _, err = ended(running, BAD_INPUT, OK)
            if running.process.returncode == BAD_INPUT:
                work.faults += 1
                lines = [line for line in err.splitlines() if "error" in line]
                if len(lines) != 1 or "No space left on device" not in lines[0]:
                    raise LostError(f"not one clear line: {err.strip()[-500:]}")
            whole(folder / "s")
            kept = contents(folder / "s")
            subprocess.run(["mount", "-o", "remount,size=100m", str(folder)], check=True, capture_output=True)
            ended(grid(work, store=folder / "s"), OK)
            if {name: data for name, data in contents(folder / "s").items() if name in kept} != kept:
                raise LostError("what was finished before is not what it was")
            same(folder / "s", expected)


def shm(work: Round, faults: int) -> None:
    """Shared memory (/dev/shm) of a page, or read-only, for a grid and for solves with processes of their own."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        raise NotPossibleError("mounts of one's own are not to be had here")
    expected = undisturbed()
    for each in range(faults):
        options = work.chance.choice(("size=4k", "size=4k,ro", "size=64k"))
        mount = f'mount -t tmpfs -o {options} tmpfs /dev/shm && exec "$@"'
        before = ("unshare", "-m", "sh", "-c", mount, "sh")
        store = work.folder / f"s{each}"
        ended(grid(work, store=store, before=before), OK)
        same(store, expected)
        solve = ("compare-formulations", COMPARED[0], "--formulations", "cpsat", "--time-limit", "1")
        ended(Running.start(*solve, "-o", str(work.folder / f"c{each}"), before=before), OK)
        work.faults += 2


_shims: dict[str, Path] = {}


def jumping(chance: random.Random) -> dict[str, str]:
    """An environment in which the time of day jumps."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NotPossibleError("there is no C compiler")
    if "clock" not in _shims:
        folder = Path(tempfile.mkdtemp(prefix="clock-"))
        (folder / "clock.c").write_text(CLOCK)
        made = ["-shared", "-fPIC", "-O1", "-o", str(folder / "clock.so"), str(folder / "clock.c"), "-ldl"]
        subprocess.run([compiler, *made], check=True)
        _shims["clock"] = folder / "clock.so"
    return {
        "LD_PRELOAD": str(_shims["clock"]),
        "JUMP_MS": str(chance.choice((50, 200, 1000))),
        "JUMP_SECONDS": str(chance.choice((5, 5000, 500_000_000))),
        "JUMP_SEED": str(chance.randrange(10**6)),
    }


def clock(work: Round, faults: int) -> None:
    """The time of day jumps, by up to sixteen years to and fro: the same bytes, and solves keep their limit."""
    expected = undisturbed()
    limit, slack = 2.0, 60.0  # seconds; a busy machine takes its time to start and to stop
    for each in range(faults):
        store = work.folder / f"s{each}"
        ended(grid(work, store=store, env=jumping(work.chance)), OK)
        same(store, expected)
        formulation = work.chance.choice(("cpsat", "milp_time_indexed", "milp_disjunctive"))
        problem = work.folder / "i.json"
        if not problem.exists():
            from experiments.library.names import instance
            from hexsched.model import write_instance

            write_instance(problem, instance("contended-dag-20-0"))
        argv = ("solve", str(problem), "--formulation", formulation, "--time-limit", str(limit), "--json")
        out, _ = ended(Running.start(*argv, env=jumping(work.chance)), OK)
        answer = json.loads(out)
        if answer["seconds"] > limit + slack or answer["objective"] is None:
            raise LostError(f"{formulation}: {answer['seconds']:.0f} s of {limit:g}, {answer['status']}")
        work.faults += 2


def no_worse(before: dict[Key, Entry], after: dict[Key, Entry]) -> None:
    for key, old in before.items():
        new = after.get(key)
        if new is None:
            raise LostError(f"the archive has lost {key}")
        if new.upper_bound > old.upper_bound or new.lower_bound < old.lower_bound:
            raise LostError(f"the archive has become worse at {key}")


def improve(work: Round, faults: int) -> None:
    """``library improve`` interrupted, stopped or killed: the archive is whole, never worse, and is gone on with."""
    archive = work.folder / "archive.csv"
    argv = ("library", "improve", IMPROVED, "--archive", str(archive), "--time-limit", "1", "--workers", "1", "--json")
    for _ in range(faults):
        before = read_archive(archive) if archive.exists() else {}
        running = Running.start(*argv)
        work.moment(8.0)
        sent = work.chance.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        work.faults += not running.over()
        if sent == signal.SIGKILL:
            running.kill()
        else:
            running.process.send_signal(sent)
            out, _ = ended(running, INTERRUPTED, OK)
            if running.process.returncode == INTERRUPTED and out and not json.loads(out)["interrupted"]:
                raise LostError("it does not say that it was interrupted")
        no_worse(before, read_archive(archive) if archive.exists() else {})
        if work.chance.random() < 0.3:
            archive.unlink(missing_ok=True)  # else there is soon nothing left to gain
    ended(Running.start(*argv), OK)
    ended(Running.start("library", "check", IMPROVED, "--archive", str(archive)), OK)


def compare(work: Round, faults: int) -> None:
    """``compare-formulations`` interrupted, stopped or killed: no row is lost or half written."""
    folder = work.folder / "c"
    argv = ("compare-formulations", *COMPARED, "--formulations", "cpsat,milp_disjunctive", "--time-limit", "0.5")
    for _ in range(faults):
        before = read_rows(folder) if (folder / FORMULATIONS_CSV).exists() else []
        running = Running.start(*argv, "-o", str(folder), "--resume")
        work.moment(12.0)
        sent = work.chance.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        work.faults += not running.over()
        if sent == signal.SIGKILL:
            running.kill()
        else:
            running.process.send_signal(sent)
            ended(running, INTERRUPTED, OK)
        after = read_rows(folder) if (folder / FORMULATIONS_CSV).exists() else []
        if after[: len(before)] != before:
            raise LostError("rows that were there are not there any more")
        if len(after) == 2 * len(COMPARED):
            shutil.rmtree(folder)
    ended(Running.start(*argv, "-o", str(folder), "--resume"), OK)
    if len(read_rows(folder)) != 2 * len(COMPARED):
        raise LostError("the comparison is not complete")


def damage(work: Round, faults: int) -> None:
    """Files of a store changed, cut short or removed, and their times set back: found, and computed again."""
    expected = undisturbed()
    store = work.folder / "s"
    ended(grid(work), OK)
    for _ in range(faults):
        files = sorted(path for path in store.rglob("*.parquet") if path.parent.name != "timings")
        for path in work.chance.sample(files, 3):
            data = path.read_bytes()
            place = work.chance.randrange(len(data))
            how = work.chance.choice(("flip", "cut", "remove", "time"))
            if how == "flip":
                path.write_bytes(
                    data[:place] + bytes([data[place] ^ (1 << work.chance.randrange(8))]) + data[place + 1 :]
                )
            elif how == "cut":
                path.write_bytes(data[:place])
            elif how == "remove":
                path.unlink()
            else:
                os.utime(path, (work.chance.uniform(0, 4e9),) * 2)
            work.faults += 1
        ended(grid(work, "--workers", "1"), OK)
        same(store, expected)


def cluster(work: Round) -> tuple[Path, subprocess.Popen[bytes], list[subprocess.Popen[bytes]]]:
    """A Dask scheduler of this machine with two workers, and its file."""

    def spawn(module: str, *argv: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *argv],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    file = work.folder / f"scheduler-{work.chance.randrange(10**9)}.json"
    local = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
    scheduler = spawn("dask_scheduler", *local, "--scheduler-file", str(file))
    end = time.monotonic() + PATIENCE
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.02)
    argv = ("--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard")
    where = ("--local-directory", str(work.folder / "scratch"))
    return file, scheduler, [spawn("dask_worker", *argv, *where, "--name", str(k)) for k in range(2)]


def dask(work: Round, faults: int) -> None:
    """A Dask grid whose workers or whose scheduler are killed: gone on with on another cluster, the same bytes."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise NotPossibleError("Dask is not installed") from None
    expected = undisturbed()
    for each in range(faults):
        store = work.folder / f"s{each}"
        hit_scheduler = work.chance.random() < 0.5
        file, scheduler, those = cluster(work)
        try:
            running = grid(work, "--dask", str(file), store=store)
            work.moment(grid_seconds() + 4.0)
            work.faults += not running.over()
            (scheduler if hit_scheduler else work.chance.choice(those)).kill()
            ended(running, BAD_INPUT if hit_scheduler else OK, OK)
        finally:
            for process in (*those, scheduler):
                process.kill()
                process.wait()
        whole(store)
        ended(grid(work, store=store), OK)
        same(store, expected)


KINDS: dict[str, Callable[[Round, int], None]] = {
    each.__name__: each for each in (steps, kills, signals, workers, disk, shm, clock, improve, compare, damage, dask)
}
ROUND = 5  # faults of a round at most: then it begins from nothing
MANY = 200  # the same where each takes no time


@dataclass
class Tally:
    """What came of a kind of fault."""

    faults: int = 0
    lost: list[str] = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0


def bring(kind: str, faults: int, seed: int, keep: Path | None = None) -> Tally:
    """Bring on so many faults of a kind."""
    tally, began, number = Tally(), time.monotonic(), 0
    while faults > 0 and not tally.note:
        now = min(faults, MANY if kind == steps.__name__ else ROUND)
        folder = Path(tempfile.mkdtemp(prefix=f"faults-{kind}-"))
        work = Round(folder, random.Random(f"{seed}-{kind}-{number}"))
        try:
            KINDS[kind](work, now)
        except NotPossibleError as error:
            tally.note = str(error)
        except Exception as error:
            tally.lost.append(f"seed {seed}, round {number}: {type(error).__name__}: {error}")
            if keep is not None:
                shutil.copytree(folder, keep / folder.name, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        tally.faults += work.faults
        faults, number = faults - now, number + 1
    tally.seconds = time.monotonic() - began
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"with commas between; of {', '.join(KINDS)}")
    parser.add_argument("--faults", type=int, default=10, help="of each kind; those that come too late do not count")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for what is left of rounds that were not survived")
    options = parser.parse_args()
    failed = False
    print(f"{'kind':<10}{'faults':>8}{'lost':>6}{'seconds':>9}")
    for kind in options.kinds.split(","):
        tally = bring(kind, options.faults, options.seed, options.keep)
        print(f"{kind:<10}{tally.faults:>8}{len(tally.lost):>6}{tally.seconds:>9.0f}  {tally.note}", flush=True)
        for line in tally.lost:
            print(f"    {line}", flush=True)
        failed |= bool(tally.lost)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
