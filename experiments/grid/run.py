"""Running a plan into a store: what is ready is computed, what is computed is written, and nothing is lost."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from experiments.grid.backend import Backend, Loss
from experiments.grid.cell import Cell
from experiments.grid.kinds import KINDS
from experiments.grid.plan import Plan
from experiments.grid.work import Result, Task, error_files
from experiments.store.reading import read_cells
from experiments.store.schema import ERRORS
from experiments.store.store import CellFiles, Store
from hexsched.errors import InputError

CELLS_A_TASK = 8  # at most: cells of a task share an instance, but large tasks leave processes idle at the end
SECONDS_TO_WAIT = 0.25  # for results, before progress is shown again
ATTEMPTS = 2  # at a cell over which its process dies


@dataclass
class Outcome:
    """How a run went.

    Attributes
    ----------
    done, failed : int
        Cells computed and cells that failed in this run.
    skipped : int
        Cells that failed in an earlier run and were not tried again.
    faults : list of (str, str)
        Description and fault of results that are stored but not right.
    errors : list of (str, str)
        Description and error of cells that failed in this run.
    computing : bool
        Whether a process has been given a cell; before, they load the engine, or compile it.
    """

    done: int = 0
    failed: int = 0
    skipped: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    computing: bool = False


def run_plan(
    plan: Plan,
    store: Store,
    backend: Backend,
    *,
    retry_failed: bool = False,
    on_progress: Callable[[Outcome, int], None] = lambda outcome, total: None,
) -> Outcome:
    """Compute what the store does not have yet.

    Parameters
    ----------
    plan : Plan
    store : Store
        Open for writing.
    backend : Backend
        Closed in the end, whatever happens.
    retry_failed : bool
        Try cells again that failed in an earlier run.
    on_progress : callable
        Called with the outcome so far and the number of cells of this run.
    """
    with contextlib.closing(backend):
        return _Runner(plan, store, backend, retry_failed, on_progress).run()


class _Runner:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        backend: Backend,
        retry_failed: bool,
        on_progress: Callable[[Outcome, int], None],
    ) -> None:
        state = plan.progress(store, whole=True)
        store.remove(state.damaged)
        self.plan, self.store, self.backend, self.on_progress = plan, store, backend, on_progress
        failures = read_cells(store, ERRORS, state.failed)
        self.attempts = dict(zip(failures["key"].to_pylist(), failures["attempts"].to_pylist(), strict=True))
        self.outcome = Outcome(skipped=0 if retry_failed else len(state.failed))
        self.missing = state.to_do | (state.failed if retry_failed else set())
        self.total = len(self.missing)
        loads = KINDS["load"].marker
        searches = read_cells(store, loads, state.done & store.keys(loads))
        self.rates = dict(zip(searches["key"].to_pylist(), searches["rate"].to_pylist(), strict=True))
        self.deaths: dict[str, int] = {}
        self.ready: deque[Task] = deque()
        self.waiting: dict[str, list[Cell]] = {}  # by the load search they wait for
        self._sort(state.failed - self.missing)

    def run(self) -> Outcome:
        self.on_progress(self.outcome, self.total)
        while self.missing:
            for _ in range(min(self.backend.room(), len(self.ready))):
                self.backend.submit(self.ready.popleft())
                self.outcome.computing = True
            files: list[CellFiles] = []
            for event in self.backend.wait(SECONDS_TO_WAIT):
                files += self._retry(event) if isinstance(event, Loss) else self._finished(event)
            if files:
                self.store.write(files)
            self.on_progress(self.outcome, self.total)
        self.store.check_same()
        lost = self.plan.progress(self.store).to_do
        if lost:
            raise InputError(f"{len(lost):,} finished cells are not in the store any more; run again", self.store.path)
        return self.outcome

    def _sort(self, left_failed: set[str]) -> None:
        """Put the missing cells in line; those that need a load search which failed before count as skipped."""
        groups: dict[tuple[str, object], list[Cell]] = {}
        for key, cell in self.plan.cells.items():
            if key not in self.missing:
                continue
            needed = cell.needs
            if needed is None or needed.key in self.rates:
                groups.setdefault((cell.kind.name, cell.group), []).append(cell)
            elif needed.key in left_failed:
                self.missing.discard(key)
                self.outcome.skipped += 1
                self.total -= 1
            else:
                self.waiting.setdefault(needed.key, []).append(cell)
        for cells in groups.values():
            self.ready.extend(self._tasks(cells))

    def _tasks(self, cells: list[Cell]) -> Iterator[Task]:
        for first in range(0, len(cells), CELLS_A_TASK):
            part = tuple(cells[first : first + CELLS_A_TASK])
            needed = part[0].needs
            yield self._task(part, None if needed is None else self.rates[needed.key])

    def _task(self, cells: tuple[Cell, ...], rate: float | None) -> Task:
        return Task(cells, rate, str(self.plan.folder.resolve()))

    def _finished(self, result: Result) -> list[CellFiles]:
        if result.key not in self.missing:  # the cluster computed it twice
            return []
        cell = self.plan.cells[result.key]
        if result.files is None:
            return self._failed(cell, result.error)
        self.missing.discard(result.key)
        self.outcome.done += 1
        if result.fault:
            self.outcome.faults.append((cell.description, result.fault))
        if result.rate is not None:
            self.rates[result.key] = result.rate
            # in front: the instance is still in that process's memory, and finished cells are safe cells
            self.ready.extendleft(reversed(list(self._tasks(self.waiting.pop(result.key, [])))))
        return [result.files]

    def _failed(self, cell: Cell, error: str, tries: int = 1) -> list[CellFiles]:
        self.missing.discard(cell.key)
        self.outcome.failed += 1
        self.outcome.errors.append((cell.description, error))
        files = [error_files(cell, error, self.attempts.get(cell.key, 0) + tries)]
        for other in self.waiting.pop(cell.key, []):
            files += self._failed(other, f"its load search failed: {error}", tries=0)
        return files

    def _retry(self, loss: Loss) -> list[CellFiles]:
        files: list[CellFiles] = []
        again = [cell for cell in loss.cells if cell.key in self.missing]
        if loss.culprit is not None and loss.culprit in again:
            again.remove(loss.culprit)
            deaths = self.deaths[loss.culprit.key] = self.deaths.get(loss.culprit.key, 0) + 1
            if deaths < ATTEMPTS:
                self.ready.appendleft(self._task((loss.culprit,), loss.rate))
            else:
                files = self._failed(loss.culprit, f"{loss.reason}, {deaths} times", deaths)
        if loss.culprit is not None and again:
            self.ready.appendleft(self._task(tuple(again), loss.rate))
        elif again:  # nobody knows which one it was: one by one it will show
            self.ready.extendleft(self._task((cell,), loss.rate) for cell in reversed(again))
        return files
