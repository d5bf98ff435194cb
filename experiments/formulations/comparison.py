"""Which solves a comparison has, and going through those that are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.formulations.child import solve_apart
from experiments.formulations.rows import Row, Task, write_rows
from hexsched.errors import InputError
from solvers.brackets.choice import Arm, read_arm
from solvers.defaults import AUTO

if TYPE_CHECKING:
    from hexsched.model import Instance
    from solvers.problem.objective import Objective


def crossed(formulations: Sequence[str], solvers: Iterable[str] = ()) -> list[Arm]:
    """The arms to compare: formulations that can use several solvers with each of those asked for that they can use.

    Raises
    ------
    InputError
        For an unknown formulation, switch or solver, and one that is named and not installed.
    """
    from experiments.formulations.arms import expand_arms
    from solvers.exact import FORMULATIONS
    from solvers.exact.milp.backends import backend

    asked = list(dict.fromkeys(backend(name).name for name in solvers))
    arms: list[Arm] = []
    named = {arm for text in formulations if read_arm(text).formulation in FORMULATIONS for arm in expand_arms([text])}
    for arm in expand_arms(formulations):
        one = FORMULATIONS[arm.formulation] if arm.formulation != AUTO else None
        if one is not None and not one.available():
            if arm in named:
                one.check_installed()
            continue  # a group stands for what there is
        usable = [] if arm.solver else _usable(arm, asked)
        arms += [arm._replace(solver=solver) for solver in usable] or [arm]
    return arms


def passed_over(formulations: Sequence[str]) -> list[str]:
    """The formulations in groups such as ``exact`` that are not compared, as their solver is not installed."""
    from experiments.formulations.arms import expand_arms
    from solvers.exact import FORMULATIONS

    names = dict.fromkeys(arm.formulation for arm in expand_arms(formulations) if arm.formulation != AUTO)
    return [name for name in names if not FORMULATIONS[name].available()]


def unaffected(arms: Iterable[Arm], solvers: Iterable[str]) -> list[str]:
    """The formulations that can use none of the solvers asked for, so that they are solved with their own."""
    asked = list(solvers)
    return list(dict.fromkeys(arm.formulation for arm in arms if asked and not _usable(arm, asked)))


def plan(
    problems: Mapping[str, Instance],
    objectives: Sequence[str],
    arms: Sequence[Arm],
    *,
    time_limit: float,
    workers: int = 1,
    seeds: Sequence[int] = (0,),
) -> list[Task]:
    """All solves: small instances first, and formulations in turn on each, so that a slow hour hits them all alike.

    A formulation that cannot minimise an objective is left out there.

    Parameters
    ----------
    problems : dict of str to Instance
        By name.
    objectives : sequence of str
    arms : sequence of Arm
    seeds : sequence of int
        Of the solvers.

    Raises
    ------
    InputError
        For an unknown objective, a ``fluid`` instance, and where nothing is left to solve.
    """
    from experiments.library.names import digest
    from solvers.problem.objective import read_objective
    from solvers.problem.offline import fixed_problem

    aims = list(dict.fromkeys(read_objective(text) for text in objectives))
    for name, problem in problems.items():
        try:
            fixed_problem(problem)
        except InputError as error:
            raise InputError(str(error), name) from None
    tasks = [
        Task(name, sha256, problem.call_count, method, str(aim), time_limit, workers, seed, arm.solver or "")
        for name, problem in sorted(problems.items(), key=lambda item: item[1].call_count)
        for sha256 in [digest(problem)]
        for aim in aims
        for seed in seeds
        for arm in arms
        for method in [str(arm._replace(solver=None))]
        if can_minimise(arm, aim)
    ]
    if not tasks:
        raise InputError("there is nothing to solve: none of the formulations can minimise any of the objectives")
    return tasks


def can_minimise(arm: Arm, aim: Objective) -> bool:
    """Whether the formulation has this objective; ``auto`` has all."""
    from solvers.exact import FORMULATIONS

    return arm.formulation == AUTO or aim.kind in FORMULATIONS.find(arm.formulation).objectives


def _usable(arm: Arm, solvers: Sequence[str]) -> list[str]:
    """Those of the solvers that its formulation can choose."""
    from solvers.exact import FORMULATIONS

    usable = () if arm.formulation == AUTO else FORMULATIONS.find(arm.formulation).solvers
    return [name for name in solvers if len(usable) > 1 and name in usable]


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
