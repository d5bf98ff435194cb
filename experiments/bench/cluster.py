"""What a grid on Dask costs its scheduler: memory and CPU as cells finish, while workers go and come.

``python -m experiments.bench.cluster --cells 2000 --workers 2`` starts all of it on this machine. A third of the way
through, a worker is killed; half way through, another one starts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

GRID = """\
clusters: demo
workloads: {workload}
workflows: {workflows}
loads: "rate:1"
policies: [fcfs, hexagent]
seeds: {seeds}
"""
POLL_SECONDS = 0.2
PATIENCE = 120.0


def study(
    cells: int, workers: int, workload: str = "react", workflows: int = 5, points: int = 10
) -> list[dict[str, float]]:
    """Run a grid of that many small cells, and look at scheduler and client as it goes on.

    Parameters
    ----------
    cells, workers : int
    workload : str
    workflows : int
        In every cell.
    points : int
        How often to look, evenly over the cells.

    Returns
    -------
    list of dict
        ``cells`` done, ``seconds`` since the grid started, resident memory in MB of ``scheduler``, ``client`` and the
        largest ``worker``, ``scheduler_cpu`` and ``client_cpu`` seconds so far, and ``workers`` that run.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as processes:
        here = Path(folder)
        file = here / "scheduler.json"
        start = Starter(processes)
        scheduler = start(*_dask("scheduler"), "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        _wait_for(file.exists)

        def worker(name: int) -> subprocess.Popen[bytes]:
            where = "--local-directory", str(here / f"w{name}"), "--name", str(name)
            return start(*_dask("worker"), "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", *where)

        running = [worker(k) for k in range(workers)]
        grid, store = here / "grid.yaml", here / "store"
        grid.write_text(GRID.format(workload=workload, workflows=workflows, seeds=-(-cells // 2)))
        code = "import sys; from experiments.cli import main; sys.exit(main())"
        client = start("-c", code, "grid", "run", str(grid), "--store", str(store), "--dask", str(file))
        rows: list[dict[str, float]] = []
        began, killed, came = time.monotonic(), False, False
        while client.poll() is None:
            time.sleep(POLL_SECONDS)
            done = _files(store / "runs")
            if not killed and done >= cells // 3:
                running.pop(0).kill()
                killed = True
            if not came and done >= cells // 2:
                running.append(worker(workers))
                came = True
            if done >= len(rows) * cells / points:
                memory = [_memory_mb(one.pid) for one in (scheduler, client)]
                rows.append(
                    {
                        "cells": done,
                        "seconds": time.monotonic() - began,
                        "scheduler": memory[0],
                        "client": memory[1],
                        "worker": max(_memory_mb(one.pid) for one in running),
                        "scheduler_cpu": _cpu_seconds(scheduler.pid),
                        "client_cpu": _cpu_seconds(client.pid),
                        "workers": len(running),
                    }
                )
        if client.returncode:
            raise RuntimeError(f"the grid ended with {client.returncode}")
        rows.append({"cells": _files(store / "runs"), "seconds": time.monotonic() - began})
        rows[-1] |= {"scheduler": _memory_mb(scheduler.pid), "scheduler_cpu": _cpu_seconds(scheduler.pid)}
        return rows


class Starter:
    """Starts Python processes, and ends them with the stack."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def __call__(self, *argv: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self._stack.enter_context(_ended(process))


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _dask(what: str) -> tuple[str, ...]:
    return "-m", f"distributed.cli.dask_{what}", "--no-dashboard"


def _wait_for(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError("the Dask scheduler did not start")
        time.sleep(0.05)


def _files(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*.parquet")) if folder.is_dir() else 0


def _memory_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0.0


def _cpu_seconds(pid: int) -> float:
    with contextlib.suppress(OSError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def main() -> None:
    """Print a line for every look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--workload", default="react")
    parser.add_argument("--workflows", type=int, default=5)
    given = parser.parse_args()
    for row in study(given.cells, given.workers, given.workload, given.workflows):
        print("  ".join(f"{name} {value:.1f}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
