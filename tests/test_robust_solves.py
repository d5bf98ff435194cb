"""What happens when a solver does not end as it should: a clear status, and nothing lost."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from instances import call, one_pair, workflow
from reference import serial_schedule

from experiments.cli import BAD_INPUT, main
from hexsched.errors import InputError
from hexsched.model import Instance, write_instance
from hexsched.simulator import simulate
from hexsched.verifier import verify
from solvers import exact
from solvers.bounds import cheap
from solvers.brackets import isolation
from solvers.brackets.solve import solve_with
from solvers.exact.parts.formulation import Formulation
from solvers.problem.bracket import Bracket, ContradictionError
from solvers.problem.certificate import offer
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome

pytestmark = pytest.mark.skipif(not isolation.AVAILABLE, reason="solves are not isolated here")

FLOWS = tuple(workflow(f"w{k}", 0.0, call("a", 5 + k, 20 + 3 * k), call("b", 9, 15, "a")) for k in range(4))
INSTANCE = one_pair(*FLOWS, decode_model="fixed", max_batch=2)
GOOD = simulate(INSTANCE, "hexagent").schedule
BOUND = 1.75  # of max_ratio; above what needs no solver, and below what GOOD has

Solve = Callable[[OfflineProblem, Bracket, Options], Outcome]


def die(number: int) -> NoReturn:
    """As a solver does, without the traces that pytest would have printed."""
    faulthandler.disable()
    os.kill(os.getpid(), number)
    time.sleep(60)
    raise AssertionError("it lives")


def dies_by(number: int) -> Solve:
    """A formulation that finds a schedule, proves a bound and is killed."""

    def formulation(problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
        offer(problem, bracket, GOOD, "test")
        bracket.prove(BOUND, "test")
        die(number)

    return formulation


def with_formulation(formulation: Solve) -> None:
    """Have it known as ``test``."""
    exact.FORMULATIONS.put(Formulation(name="test", summary="", citation="", solve=formulation))


def alone(instance: Instance = INSTANCE, **options: Any) -> Any:
    """Solve with ``test`` from nothing."""
    return solve_with(instance, "test", options=Options(**options), start_policies=())


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_what_was_found_before_a_crash_is_kept(number: int) -> None:
    with_formulation(dies_by(number))
    result = alone(time_limit=5)
    assert result.status == "unknown"
    assert signal.Signals(number).name in result.message
    assert result.schedule is not None
    assert verify(INSTANCE, result.schedule).ok
    assert result.objective == pytest.approx(verify(INSTANCE, GOOD).metrics.max_ratio)
    assert (result.lower_bound, result.bound_source) == (BOUND, "test (solver)")
    assert [row.bound for row in result.series] == [None, BOUND]


def test_a_crash_before_anything_is_found_leaves_the_warm_start() -> None:
    def formulation(*_: object) -> Outcome:
        die(signal.SIGABRT)

    with_formulation(formulation)
    result = solve_with(INSTANCE, "test")
    assert result.status == "unknown"
    assert result.bound_source in {bound.name for bound in cheap()}
    assert result.schedule is not None
    assert "test crashed: it was killed by signal SIGABRT" in result.message
    serial = serial_schedule(INSTANCE, np.random.default_rng(0))
    kept = alone(warm_start=serial)
    assert kept.objective <= verify(INSTANCE, serial).metrics.max_ratio  # re-timed, it may be better


@pytest.mark.parametrize("code", [0, 3])
def test_a_solver_that_leaves_the_process(code: int) -> None:
    with_formulation(lambda *_: os._exit(code))
    result = alone()
    assert result.status == "unknown"
    assert result.message == f"test crashed: it ended without a result (exit code {code})"


def test_a_solver_that_never_ends_is_stopped() -> None:
    def formulation(problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
        offer(problem, bracket, GOOD, "test")
        time.sleep(60)
        raise AssertionError("it was left alone")

    with_formulation(formulation)
    result = alone(time_limit=0.1, overtime=0.2)
    assert result.status == "feasible"
    assert "did not end at its time limit" in result.message
    assert result.objective is not None


def test_a_solver_that_takes_too_much_memory_is_stopped_and_what_it_has_proved_is_kept() -> None:
    def formulation(problem: OfflineProblem, bracket: Bracket, options: Options) -> Outcome:
        offer(problem, bracket, GOOD, "test")
        bracket.prove(BOUND, "test")
        held = np.ones(int(options.memory) // 4)  # twice as many bytes as it may take
        time.sleep(60)
        raise AssertionError(f"it was left alone with {held.nbytes} bytes")

    with_formulation(formulation)
    result = alone(time_limit=60, memory=1e9)
    assert result.status == "feasible"
    assert "more than 1 GB of memory" in result.message
    assert (result.lower_bound, result.bound_source) == (BOUND, "test (solver)")
    assert result.schedule is not None


@pytest.mark.parametrize("error", [InputError("wrong", "file"), ContradictionError("too high")])
def test_errors_that_are_not_the_solvers_go_up(error: Exception) -> None:
    def formulation(*_: object) -> Outcome:
        raise error

    with_formulation(formulation)
    with pytest.raises(type(error), match=str(error)):
        alone()


def test_an_error_that_cannot_be_sent_is_told_all_the_same() -> None:
    class LocalError(Exception):
        """Which pickle cannot find."""

    def work(_: isolation.Tell) -> None:
        raise LocalError("out of paper")

    with pytest.raises(RuntimeError, match="LocalError: out of paper"):
        isolation.in_child(work, lambda _: None, 10)


def test_messages_arrive_whole_and_in_order() -> None:
    sent = [bytes(size) for size in (1, 10, 300_000, 3, 70_000)]  # more than a pipe holds
    heard: list[bytes] = []
    assert isolation.in_child(lambda tell: [tell(each) for each in sent], heard.append, 10) == [None] * len(sent)
    assert heard == sent


def test_nothing_the_solver_started_outlives_it() -> None:
    def work(tell: isolation.Tell) -> None:
        tell(subprocess.Popen(["sleep", "60"]).pid)
        die(signal.SIGABRT)

    heard: list[int] = []
    with pytest.raises(isolation.CrashedError, match="SIGABRT"):
        isolation.in_child(work, heard.append, 10)
    until = time.monotonic() + 5
    while _runs(heard[0]) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _runs(heard[0])


def test_switched_off_it_stays_in_this_process() -> None:
    seen: list[int] = []

    def formulation(*_: object) -> Outcome:
        seen.append(os.getpid())
        return Outcome()

    with_formulation(formulation)
    alone(isolate=False)
    assert seen == [os.getpid()]
    alone()
    assert len(seen) == 1


STUBBORN = """
import os, signal, sys, time
from dataclasses import replace
from hexsched.model import read_instance
from solvers import exact
from solvers.problem.result import Options
from solvers.brackets.solve import solve_with

def formulation(problem, bracket, options):
    if sys.argv[2] == "deaf":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    bracket.prove(1.0, "test")
    print(os.getpid(), flush=True)
    time.sleep(60)

exact.FORMULATIONS.put(replace(exact.FORMULATIONS.find("cpsat"), name="test", solve=formulation))
result = solve_with(read_instance(sys.argv[1]), "test", options=Options(time_limit=30))
print(result.status, result.message, result.objective is not None, flush=True)
"""


def started(tmp_path: Path, how: str) -> tuple[subprocess.Popen[str], int]:
    """A program that solves until it is stopped, and the process that does the solving."""
    write_instance(tmp_path / "i.json", INSTANCE)
    running = subprocess.Popen(
        [sys.executable, "-c", STUBBORN, str(tmp_path / "i.json"), how], stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    return running, int(running.stdout.readline())


def test_ctrl_c_reaches_the_child_and_keeps_what_it_found(tmp_path: Path) -> None:
    running, _ = started(tmp_path, "polite")
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=30)
    assert out.split() == ["feasible", "interrupted", "True"]


def test_a_second_ctrl_c_ends_a_deaf_solver(tmp_path: Path) -> None:
    running, child = started(tmp_path, "deaf")
    running.send_signal(signal.SIGINT)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=30)
    assert out.split() == ["feasible", "interrupted", "True"]
    assert not _runs(child)


def test_the_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    running, child = started(tmp_path, "polite")
    running.kill()
    running.communicate(timeout=30)
    until = time.monotonic() + 10
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _runs(child)


@pytest.mark.parametrize("solver", ["Gurobi", "CPLEX"])
def test_missing_solver_is_one_line(solver: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from solvers.exact.milp.backends import BACKENDS

    if BACKENDS[solver].available():
        pytest.skip(f"{solver} is installed")
    write_instance(tmp_path / "i.json", INSTANCE)
    words = ["solve", str(tmp_path / "i.json"), "--formulation", "milp_disjunctive", "--solver", solver]
    assert main(words) == BAD_INPUT
    written = capsys.readouterr()
    assert written.err.startswith(f"hexsched: error: solver {solver} is not installed; installed: ")
    assert written.err.count("\n") == 1


def test_a_call_that_fits_nowhere_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "i.json"
    write_instance(path, INSTANCE)
    content = json.loads(path.read_text())
    content["decode"][0]["kv_capacity_tokens"] = 12
    path.write_text(json.dumps(content))
    assert main(["solve", str(path)]) == BAD_INPUT
    written = capsys.readouterr()
    assert "fit" in written.err
    assert written.err.count("\n") == 1


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
