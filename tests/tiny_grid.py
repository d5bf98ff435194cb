"""A grid of seconds, a backend without processes, and stores compared: what the tests of grids share."""

from __future__ import annotations

from pathlib import Path

from experiments.grid.backend import Loss
from experiments.grid.plan import Plan, make_plan
from experiments.grid.spec import read_grid
from experiments.grid.work import Result, Task, run_task
from experiments.store import tables

TINY = """\
clusters: demo
workloads: [react, bfcl]
workflows: 5
loads: ["rate:1", "stress:1.5"]
policies: [fcfs, hexagent]
seeds: 2
"""
RUNS, SEARCHES = 16, 4  # cells of it

NOT_TIMED = tuple(table for table in tables() if table != "timings")  # of a grid of kind simulate


class Inline:
    """A backend that computes in this process, a task at a time."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.computed: list[str] = []
        self.closed = False

    def room(self) -> int:
        return 1 - len(self.tasks)

    def submit(self, task: Task) -> None:
        self.tasks.append(task)

    def wait(self, seconds: float) -> list[Result | Loss]:
        results = list(run_task(self.tasks.pop()))
        self.computed += [result.key for result in results]
        return [*results]

    def close(self) -> None:
        self.closed = True


def write_grid(folder: Path, text: str = TINY, name: str = "tiny.yaml") -> Path:
    """A grid file."""
    path = folder / name
    path.write_text(text)
    return path


def plan_of(folder: Path, text: str = TINY, **options: bool) -> Plan:
    """The plan of a grid with this text."""
    return make_plan(read_grid(str(write_grid(folder, text))), **options)


def contents(store: Path) -> dict[str, bytes]:
    """Every file of a store that does not depend on the clock, by its path in it."""
    folders = (*NOT_TIMED, "schedules")
    return {str(p.relative_to(store)): p.read_bytes() for name in folders for p in (store / name).glob("*")}
