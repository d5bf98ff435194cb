"""Measuring how long formulations take on the library: what ``--formulation auto`` is learnt from."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.formulations.child import cpu_seconds_used
from experiments.library.names import instance, split_of
from hexsched.model.files import write_bytes
from solvers.brackets.choice import Arm, Timed, Times, Tree, read_arm

SOLVERS = ("ortools", "highspy")


class Measurement(NamedTuple):
    """What is to be measured."""

    instance: str
    objective: str
    arm: Arm


def plan(names: Sequence[str], objectives: Sequence[str], arms: Sequence[str]) -> list[Measurement]:
    """All measurements, arms in turn on each problem, so that a slow hour hits them all alike.

    Raises
    ------
    InputError
        For what is no objective, and arms that are none or cannot minimise it.
    """
    from solvers.exact import FORMULATIONS
    from solvers.problem.objective import read_objective

    read = [read_arm(text) for text in arms]
    kinds = {arm: FORMULATIONS.find(arm.formulation).objectives for arm in read}
    aims = [read_objective(text) for text in objectives]
    return [
        Measurement(name, str(aim), arm) for name in names for aim in aims for arm in read if aim.kind in kinds[arm]
    ]


def measure(what: Measurement, time_limit: float, workers: int = 1, seed: int = 0) -> Timed:
    """Solve once; the time is CPU time, so that others on the machine do not count.

    Raises
    ------
    InputError
        When the arm has a solver or a switch that there is not.
    """
    from experiments.environment import versions
    from solvers.brackets.solve import solve_with
    from solvers.problem.features import features
    from solvers.problem.offline import fixed_problem
    from solvers.problem.result import Options

    problem = instance(what.instance)
    options = Options(time_limit, workers, seed, solver=what.arm.solver, extra=dict(what.arm.switches))
    before = cpu_seconds_used()
    result = solve_with(problem, what.arm.formulation, what.objective, options=options)
    used = cpu_seconds_used() - before
    return Timed(
        instance=what.instance,
        split=split_of(what.instance),
        objective=what.objective,
        **{name: round(value, 6) for name, value in features(fixed_problem(problem))._asdict().items()},
        arm=str(what.arm),
        status=result.status,
        cpu_seconds=round(used, 3),
        time_limit=time_limit,
        workers=workers,
        seed=seed,
        versions=", ".join(f"{name} {versions()[name]}" for name in SOLVERS),
    )


def write_times(path: str | Path, rows: Iterable[Timed]) -> None:
    """Write ``choice.csv``, atomically."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Timed._fields)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


class Comparison(NamedTuple):
    """How good a way to choose is on some problems.

    Attributes
    ----------
    chooses : str
        ``auto``, or an arm that is always taken.
    problems : int
    ratio : float
        Its time over that of the best arm on each problem (the virtual best), geometric mean.
    worst : float
        The largest of these ratios.
    proven : int
        Problems that it proves within the limit.
    """

    chooses: str
    problems: int
    ratio: float
    worst: float
    proven: int


def compare(tree: Tree, times: Times) -> list[Comparison]:
    """``auto`` and every arm against the virtual best, which proves all of the problems."""
    if not times.problems:
        return []
    picked = {"auto": np.array([times.arms.index(tree.leaf(list(answers)).arm) for answers in times.answers])}
    picked |= {arm: np.full(len(times.problems), k) for k, arm in enumerate(times.arms)}
    best = times.cost.min(axis=1)
    rows = []
    for name, columns in picked.items():
        every = np.arange(len(columns))
        ratio = times.cost[every, columns] / best
        proven = int(times.proven[every, columns].sum())
        rows.append(Comparison(name, len(every), float(np.exp(np.log(ratio).mean())), float(ratio.max()), proven))
    return rows


def run(
    tasks: Sequence[Measurement],
    rows: Sequence[Timed],
    time_limit: float,
    keep: Callable[[list[Timed]], None],
    on_start: Callable[[Measurement, int, int], None] = lambda task, done, total: None,
) -> list[Timed]:
    """Measure what has no row yet, and keep the table after each."""
    done = {(row.instance, row.objective, row.arm) for row in rows}
    todo = [task for task in tasks if (task.instance, task.objective, str(task.arm)) not in done]
    known = list(rows)
    for position, task in enumerate(todo):
        on_start(task, position, len(todo))
        known.append(measure(task, time_limit))
        keep(known)
    return known
