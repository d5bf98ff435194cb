"""Grids on real processes: killed, interrupted, with workers that die; the store ends the same."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_grid import RUNS, SEARCHES, TINY, Inline, contents, plan_of, write_grid

from experiments.cli import INTERRUPTED, OK, main
from experiments.grid.run import run_plan
from experiments.store import Store, read_table

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "import sys; from experiments.cli import main; sys.exit(main())"]
PATIENCE = 120.0  # seconds, only ever used up by a failure

# A policy whose process is killed: always, or while a file is there, which it takes with it.
DEADLY = """
import os, signal
from pathlib import Path
from hexsched.policies import order

@order("deadly", summary="kills its process")
def deadly(call, now):
    if {always} or Path({once!r}).exists():
        Path({once!r}).unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.0
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the tiny grid, computed in one go in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with Store.writing(folder / "s") as store:
        run_plan(plan_of(folder), store, Inline())
    return folder / "s"


def start(grid: Path, store: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "grid", "run", str(grid), "--store", str(store), *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def done(store: Path) -> int:
    return sum(1 for table in ("runs", "loads") for _ in (store / table).glob("*.parquet"))


def wait_until(condition, process: subprocess.Popen[str]) -> None:
    """Until it holds, or the process is over."""
    end = time.monotonic() + PATIENCE
    while not condition() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def kill_group(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    finish(process)


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.campaign)])
def test_killed_at_random_moments_the_store_ends_the_same(tmp_path, undisturbed, kills):
    """Several times with SIGKILL, each after some more progress and a while; then left alone."""
    grid, store = write_grid(tmp_path), tmp_path / "s"
    chance = random.Random(2605)
    marks = sorted(chance.randrange(RUNS + SEARCHES - 1) for _ in range(kills))
    killed, seen = 0, []
    for mark in marks:
        process = start(grid, store, "--workers", "2")
        wait_until(lambda mark=mark: done(store) >= mark, process)
        time.sleep(chance.expovariate(1 / 0.02))
        killed += process.poll() is None
        kill_group(process)
        seen.append(done(store))
    assert killed == kills  # each hit a running grid
    assert seen[-1] < RUNS + SEARCHES
    process = start(grid, store, "--workers", "2", "--json")
    code, out, err = finish(process)
    assert code == OK, err
    assert json.loads(out)["already_done"] == seen[-1]
    assert contents(store) == contents(undisturbed)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_the_same_bytes(tmp_path, undisturbed, workers):
    assert (
        main(["grid", "run", str(write_grid(tmp_path)), "--store", str(tmp_path / "s"), "--workers", str(workers)]) == 0
    )
    assert contents(tmp_path / "s") == contents(undisturbed)


def test_ctrl_c_stops_at_once_and_keeps_what_is_finished(tmp_path, undisturbed):
    grid, store = write_grid(tmp_path, TINY.replace("seeds: 2", "seeds: 300")), tmp_path / "s"
    process = start(grid, store)
    wait_until(lambda: done(store) >= 5, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of the group
    code, out, err = finish(process)
    assert code == INTERRUPTED, err
    assert out == ""
    *_, kept, last = err.rstrip().splitlines()
    assert last == "hexsched: interrupted"
    assert kept.endswith(f"finished cells are kept in {store}; the same command goes on from there")
    assert "Traceback" not in err
    finished = done(store)
    assert 5 <= finished < 300 * (RUNS + SEARCHES) // 2
    again = {name: data for name, data in contents(undisturbed).items() if (store / name).exists()}
    assert again
    assert {name: (store / name).read_bytes() for name in again} == again
    with Store.writing(store):  # the lock is free
        assert done(store) == finished


def deadly_grid(tmp_path: Path, always: bool) -> Path:
    (tmp_path / "deadly.py").write_text(DEADLY.format(always=always, once=str(tmp_path / "once")))
    text = TINY.replace("hexagent", "deadly") + "plugins: deadly.py\nonly: [{workload: react, load: 'rate:1'}]\n"
    return write_grid(tmp_path, text)


@pytest.mark.campaign  # tests/test_grid.py has it without new processes
def test_a_worker_that_dies_once_costs_nothing(tmp_path):
    (tmp_path / "once").touch()
    code, out, err = finish(start(deadly_grid(tmp_path, always=False), tmp_path / "s", "--allow-plugins", "--json"))
    assert not (tmp_path / "once").exists()
    assert code == OK, err
    assert json.loads(out)["computed"] == 4
    assert read_table(tmp_path / "s", "errors").empty


def test_a_cell_that_kills_its_worker_is_a_row_and_the_others_are_done(tmp_path):
    code, out, err = finish(start(deadly_grid(tmp_path, always=True), tmp_path / "s", "--allow-plugins", "--json"))
    assert code == 1, err
    record = json.loads(out)
    assert (record["computed"], record["failed"]) == (2, 2)
    errors = read_table(tmp_path / "s", "errors")
    assert set(errors["error"]) == {"the worker process died (signal SIGKILL), 2 times"}
    assert set(errors["attempts"]) == {2}
    assert set(read_table(tmp_path / "s", "runs")["policy"]) == {"fcfs"}


def test_workers_do_not_outlive_a_killed_run(tmp_path):
    grid, store = write_grid(tmp_path, TINY.replace("seeds: 2", "seeds: 300")), tmp_path / "s"
    process = start(grid, store)
    wait_until(lambda: done(store) >= 1, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list the children of a process")
    workers = [int(pid) for pid in children.read_text().split()]
    assert len(workers) >= 2
    process.kill()  # alone, not its group
    finish(process)
    end = time.monotonic() + PATIENCE
    while any(_alive(pid) for pid in workers):
        assert time.monotonic() < end
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_two_runs_on_one_store(tmp_path):
    grid, store = write_grid(tmp_path, TINY.replace("seeds: 2", "seeds: 300")), tmp_path / "s"
    process = start(grid, store)
    try:
        wait_until(lambda: done(store) >= 1, process)
        code, _, err = finish(start(grid, store))
        assert code == 2
        assert "another process is writing to this store" in err
        assert err.count("\n") == 1
    finally:
        kill_group(process)
