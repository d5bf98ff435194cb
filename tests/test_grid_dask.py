"""Grids on a real Dask cluster: a scheduler and two workers on this machine, one of them killed midway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_grid import TINY, Inline, contents, plan_of, write_grid

from experiments.cli import BAD_INPUT, OK, main
from experiments.grid.run import run_plan
from experiments.store import Store, read_table

pytest.importorskip("distributed")

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0  # seconds, only ever used up by a failure
LARGER = TINY.replace("seeds: 2", "seeds: 8")
CELLS = 16 * 4 + 4 * 4  # of it


def spawn(module: str, *argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{module}", *argv],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A scheduler's file, and its process."""
    file = tmp_path / "scheduler.json"
    process = spawn("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show",
                    "--scheduler-file", str(file))  # fmt: skip
    try:
        wait_for(lambda: is_json(file))
        yield file, process
    finally:
        end(process)


@pytest.fixture
def workers(scheduler: tuple[Path, subprocess.Popen[bytes]], tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two worker processes without nannies, so that a killed one stays dead."""
    argv = ("--scheduler-file", str(scheduler[0]), "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--local-directory", str(tmp_path / "scratch"))  # fmt: skip
    processes = [spawn("dask_worker", *argv, "--name", name) for name in ("a", "b")]
    try:
        yield processes
    finally:
        for process in processes:
            end(process)


def is_json(file: Path) -> bool:
    """Whether it is there and written to the end."""
    try:
        json.loads(file.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return True


def wait_for(condition) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


def start(grid: Path, store: Path, address: str) -> subprocess.Popen[str]:
    code = "import sys; from experiments.cli import main; sys.exit(main())"
    argv = ["grid", "run", str(grid), "--store", str(store), "--dask", address, "--json"]
    return subprocess.Popen(
        [sys.executable, "-c", code, *argv], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def done(store: Path) -> int:
    return sum(1 for table in ("runs", "loads") for _ in (store / table).glob("*.parquet"))


def test_a_cluster_that_loses_a_worker_gives_the_same_bytes(tmp_path, scheduler, workers):
    grid, store = write_grid(tmp_path, LARGER), tmp_path / "s"
    process = start(grid, store, str(scheduler[0]))
    wait_for(lambda: done(store) >= 8 or process.poll() is not None)
    assert process.poll() is None
    workers[0].send_signal(signal.SIGKILL)
    at_death = done(store)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == OK, err
    assert at_death < CELLS
    assert json.loads(out)["computed"] == CELLS
    with Store.writing(tmp_path / "alone") as alone:
        run_plan(plan_of(tmp_path, LARGER), alone, Inline())
    assert contents(store) == contents(tmp_path / "alone")


def test_a_scheduler_that_goes_away_is_told_and_the_rest_is_done_elsewhere(tmp_path, scheduler, workers):
    grid, store = write_grid(tmp_path, TINY.replace("seeds: 2", "seeds: 200")), tmp_path / "s"
    address = json.loads(scheduler[0].read_text())["address"]
    process = start(grid, store, address)
    wait_for(lambda: done(store) >= 4 or process.poll() is not None)
    scheduler[1].kill()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == BAD_INPUT
    assert "finished cells are kept" in err.splitlines()[-1]
    assert "Traceback" not in err
    finished = done(store)
    assert finished >= 4
    assert len(read_table(store, "runs")) + len(read_table(store, "loads")) == finished
    assert main(["grid", "status", "--store", str(store)]) == OK


def test_workers_with_other_code_are_refused(tmp_path, scheduler, workers, monkeypatch, capsys):
    for module in ("code", "cell"):
        monkeypatch.setattr(f"experiments.grid.{module}.code_version", lambda kind: "0123abcd")
    argv = ["grid", "run", str(write_grid(tmp_path)), "--store", str(tmp_path / "s"), "--dask", str(scheduler[0])]
    assert main(argv) == BAD_INPUT
    assert "the Dask workers have another version of hexsched: code version" in capsys.readouterr().err
    assert done(tmp_path / "s") == 0


@pytest.mark.campaign
def test_the_study_of_a_cluster_sees_a_worker_go_and_another_come():
    from experiments.bench.cluster import study

    rows = study(cells=60, workers=2)
    assert rows[-1]["cells"] == 60
    assert {row["workers"] for row in rows[:-1]} == {1, 2}
    assert all(row["scheduler"] > 0 for row in rows)
