"""Running checks in a process of their own that begins with every library loaded, and with nothing of ours."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# loaded once, before the first fork: what takes long, and what numba needs for a dispatcher
import highspy  # noqa: F401
import hypothesis
import numba  # noqa: F401
import pandas as pd  # noqa: F401
import pulp  # noqa: F401
import pyarrow.parquet  # noqa: F401
import pytest
import scipy.integrate
import scipy.optimize
import scipy.sparse  # noqa: F401
from campaigns.mutation.interpreted import Loader, Marks, module_of
from campaigns.mutation.operators import Mutant, mutated
from hypothesis import Phase
from ortools.sat.python import cp_model  # noqa: F401

TESTS = Path(__file__).resolve().parents[2]
ROOT = TESTS.parent
MEMORY = 6 << 30  # bytes of data of a process: far above what any check takes
OURS = ("hexsched", "solvers", "experiments", "paper_figs")
PROFILE = "mutation"

KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"


@dataclass(frozen=True)
class Result:
    """What came of a mutant: ``KILLED``, ``SURVIVED`` or ``TIMED_OUT``, and by which check."""

    mutant: Mutant
    outcome: str
    by: str = ""


@dataclass
class Check:
    """A test: the CPU seconds that it takes, and the (file, line) pairs of the targets that it runs."""

    name: str
    seconds: float
    lines: set[tuple[str, int]] = field(default_factory=set)


def survey(
    files: Sequence[str], tests: Sequence[str], excluded: Sequence[str], first: Sequence[str], conftest: bool
) -> list[Check]:
    """Run the tests on what is not changed, and note what each of them runs of the files; the quickest come first.

    Raises
    ------
    RuntimeError
        When one of them fails, which says nothing of mutants.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "checks"
        process = os.fork()
        if process == 0:
            marks = Marks({file: (ROOT / file).read_text() for file in files})
            watch = _Watch(marks, excluded)
            code = _run_pytest(tests, watch, Loader(marks.trees, marks.hits), quiet=False, conftest=conftest)
            out.write_text(json.dumps([(c.name, c.seconds, sorted(c.lines)) for c in watch.checks]))
            os._exit(code)
        _, status = os.waitpid(process, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            raise RuntimeError("the checks fail on the code as it is")
        found = [Check(name, took, {(f, n) for f, n in lines}) for name, took, lines in json.loads(out.read_text())]

    def rank(check: Check) -> int:
        return next((k for k, text in enumerate(first) if text in check.name), len(first))

    return sorted(found, key=lambda check: (rank(check), check.seconds))


def judge(mutant: Mutant, checks: Sequence[Check], conftest: bool) -> Result:
    """Run the checks that reach the place of a mutant, until one of them fails."""
    chosen = reaching(mutant, checks)
    if not chosen:
        return Result(mutant, SURVIVED, "no check runs it")
    base = sum(c.seconds for c in chosen)
    allowed = 20.0 + 4.0 * base  # seconds of CPU; far more than what is not caught in a loop
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "by"
        process = os.fork()
        if process == 0:
            os.setpgid(0, 0)  # to be ended with all that it begins; of a session of its own Linux knows no nice value
            resource.setrlimit(resource.RLIMIT_CPU, (int(allowed), int(allowed) + 5))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            source = (ROOT / mutant.file).read_text()
            loader = Loader({module_of(mutant.file): mutated(source, mutant.number)})
            picked = _Picked([c.name for c in chosen], out)
            files = sorted({c.name.partition("::")[0] for c in chosen})
            os._exit(_run_pytest(files, picked, loader, quiet=True, conftest=conftest))
        code = _wait(process, 4 * allowed)
        by = out.read_text() if out.exists() else "while it is loaded"
    if code is None or code == -signal.SIGXCPU:
        return Result(mutant, TIMED_OUT, f"after {allowed:.0f} s of CPU")
    if code == 0:
        return Result(mutant, SURVIVED, f"{len(chosen)} checks run it")
    if code < 0:
        by = f"signal {-code}"
    return Result(mutant, KILLED, by)


def reaching(mutant: Mutant, checks: Sequence[Check]) -> list[Check]:
    """The checks that run the place of a mutant; all that run its module where no trace says which do."""
    places = {(mutant.file, line) for line in mutant.lines}
    if places and (chosen := [c for c in checks if places & c.lines]):
        return chosen
    # what is done once when a module is loaded, and what only compiled code runs
    return [c for c in checks if not places or any(file == mutant.file for file, _ in c.lines)]


def _wait(process: int, seconds: float) -> int | None:
    """The exit code of a process and the end of all that it began; None where it waited so long that it was ended.

    While it could run, and has no turn on a busy machine, no time counts: CPU is limited anyhow.
    """
    waited, pause = 0.0, 0.002
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if waited > seconds:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return None
        time.sleep(pause)
        if not _is_runnable(process):
            waited += pause
        pause = min(2 * pause, 0.05)


def _is_runnable(process: int) -> bool:
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "R"


def _run_pytest(tests: Sequence[str], plugin: object, loader: Loader, *, quiet: bool, conftest: bool) -> int:
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(TESTS)]
    sys.meta_path.insert(0, loader)
    assert not [name for name in sys.modules if name.split(".")[0] in OURS]
    hypothesis.settings.register_profile(
        PROFILE,
        derandomize=True,
        deadline=None,
        max_examples=25,
        database=None,
        phases=(Phase.explicit, Phase.generate),
    )
    if quiet:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(null, stream)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-n", "0", "--tb=no" if quiet else "--tb=short"]
    options += ["-p", "no:randomly", "-m", "", "--no-header", "-W", "ignore"]
    options += [] if conftest else ["--noconftest"]
    options += ["--hypothesis-profile", PROFILE]
    try:
        return int(pytest.main([*options, *(str(TESTS / test) for test in tests)], plugins=[plugin]))
    finally:
        sys.stdout.flush()


def _name(item: pytest.Item) -> str:
    return item.nodeid.removeprefix("tests/")


class _Watch:
    """A plugin that notes how long each test takes and which lines it runs."""

    def __init__(self, marks: Marks, excluded: Sequence[str]) -> None:
        self.checks: list[Check] = []
        self._marks, self._excluded = marks, excluded

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not any(text in item.nodeid for text in self._excluded)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        start = time.process_time()
        self._marks.begin()
        try:
            return (yield)
        finally:
            self.checks.append(Check(_name(item), time.process_time() - start, self._marks.lines()))


class _Picked:
    """A plugin that runs some tests, in a given order, and notes the one that fails."""

    def __init__(self, names: Sequence[str], out: Path) -> None:
        self._rank = {name: k for k, name in enumerate(names)}
        self._out = out

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if _name(item) in self._rank]
        items[:] = sorted(chosen, key=lambda item: self._rank[_name(item)])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._out.exists():
            self._out.write_text(report.nodeid.removeprefix("tests/"))
