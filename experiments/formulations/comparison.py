"""Which solves a comparison has, and going through those that are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.formulations.child import solve_apart
from experiments.formulations.rows import Row, Task, write_rows
from hexsched.errors import InputError

if TYPE_CHECKING:
    from hexsched.model import Instance


def plan(
    problems: Mapping[str, Instance],
    objectives: Sequence[str],
    formulations: Sequence[str],
    *,
    time_limit: float,
    workers: int = 1,
    seed: int = 0,
    solvers: Sequence[str] = (),
) -> list[Task]:
    """All solves: small instances first, and formulations in turn on each, so that a slow hour hits them all alike.

    A formulation that cannot minimise an objective is left out there.

    Parameters
    ----------
    problems : dict of str to Instance
        By name.
    objectives, formulations : sequence of str
    solvers : sequence of str
        Formulations that can use several are solved with each of these that they can use; with their default where
        there are none. Those that can use none of them are solved with their default.

    Raises
    ------
    InputError
        For an unknown objective, formulation or solver, one that is not installed, a ``fluid`` instance, and where
        nothing is left to solve.
    """
    from experiments.library.names import digest
    from solvers.exact import FORMULATIONS
    from solvers.exact.milp.backends import backend
    from solvers.problem.objective import read_objective
    from solvers.problem.offline import fixed_problem

    aims = list(dict.fromkeys(read_objective(text) for text in objectives))
    methods = list(dict.fromkeys(FORMULATIONS.find(name).name for name in formulations))
    for name, problem in problems.items():
        try:
            fixed_problem(problem)
        except InputError as error:
            raise InputError(str(error), name) from None
    asked = list(dict.fromkeys(backend(name).name for name in solvers))
    crossed = {
        method: [name for name in asked if len(usable) > 1 and name in usable] or [""]
        for method in methods
        for usable in [FORMULATIONS.find(method).solvers]
    }
    tasks = [
        Task(name, digest(problem), problem.call_count, method, str(aim), time_limit, workers, seed, solver)
        for name, problem in sorted(problems.items(), key=lambda item: item[1].call_count)
        for aim in aims
        for method in methods
        if aim.kind in FORMULATIONS.find(method).objectives
        for solver in crossed[method]
    ]
    if not tasks:
        raise InputError("there is nothing to solve: none of the formulations can minimise any of the objectives")
    return tasks


def missing(tasks: Iterable[Task], rows: Iterable[Row]) -> list[Task]:
    """Tasks that have no row yet."""
    done = {row.task for row in rows}
    return [task for task in tasks if task not in done]


def run(
    tasks: Sequence[Task],
    problems: Mapping[str, Instance],
    rows: Sequence[Row] = (),
    folder: Path | None = None,
    on_start: Callable[[Task, int, int], None] = lambda task, done, total: None,
) -> list[Row]:
    """Solve what is missing, one after another, and write the table after each.

    Parameters
    ----------
    tasks : sequence of Task
    problems : dict of str to Instance
    rows : sequence of Row
        What is already known; kept, of other tasks too.
    folder : Path, optional
        Where ``formulations.csv`` is written.
    on_start : callable
        Called with the task, its position and how many there are.

    Returns
    -------
    list of Row
        Known and new.
    """
    from solvers.schedules.search import warm_up

    results = list(rows)
    todo = missing(tasks, results)
    if todo:
        warm_up()  # here, since a child has only so much time
    for position, task in enumerate(todo):
        on_start(task, position, len(todo))
        results.append(solve_apart(task, problems[task.instance]))
        if folder is not None:
            write_rows(folder, results)
    return results
