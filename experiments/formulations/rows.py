"""The rows of a comparison, a CSV file that pandas, spreadsheets and the figures read."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hexsched.errors import InputError
from hexsched.model.csv_rows import csv_rows
from hexsched.model.files import write_bytes
from solvers.brackets.choice import Arm, read_arm

if TYPE_CHECKING:
    import pandas as pd

FORMULATIONS_CSV = "formulations.csv"


class Task(NamedTuple):
    """What is solved; two rows of the same task are the same measurement.

    Attributes
    ----------
    instance : str
        Name in the library, or path of the file.
    sha256 : str
        Of the instance file.
    calls : int
    formulation : str
        And its switches, as ``experiments.formulations.arms`` has them.
    objective : str
    time_limit : float
        Seconds.
    workers, seed : int
    asked_solver : str
        Of a formulation that can use several; empty for its default.
    """

    instance: str
    sha256: str
    calls: int
    formulation: str
    objective: str
    time_limit: float
    workers: int
    seed: int
    asked_solver: str = ""

    @property
    def arm(self) -> Arm:
        """What to solve with."""
        return read_arm(self.formulation)._replace(solver=self.asked_solver or None)

    @property
    def method(self) -> str:
        """The formulation, with the solver where one was asked for, and switches."""
        return str(self.arm)


class Row(NamedTuple):
    """A task and what came of it.

    Attributes
    ----------
    status : str
        ``optimal``, ``feasible``, ``unknown``, or ``refused`` where a solver is not installed.
    seconds, cpu_seconds : float
        Wall clock, and processor time of the solving process, its threads and children, of ``solvers.brackets.solve``:
        the policies that give the start included, the start of Python not. Where the process died, since its start.
    seconds_to_optimal : float or None
        ``seconds`` where optimality was proven.
    value : float or None
        The objective of the best schedule, verified.
    lower_bound : float or None
    bound_source : str
    gap : float or None
        (value - lower bound) / value: 0 when closed, at most 1, and defined for a bound of 0 too.
    root_bound : float or None
        The first bound the solver proved.
    root_gap : float or None
        (value - root bound) / value.
    variables, constraints, nonzeros : int or None
        Size of the model; ``nonzeros`` where the formulation counts them.
    message : str
    environment : str
        Versions of what the row was computed with; empty in tables of earlier versions, as is what follows.
    asked_solver : str
        As in ``Task``.
    solver, solver_version : str
        What solved the models; empty where none was asked, as bounds and start met.
    solver_threads : int or None
    solver_tolerance : float or None
        By how much its solutions may break a row.
    solver_status : str
        Of its last model, which may be that of a target.
    solver_bound : float or None
        Of that model.
    """

    instance: str
    sha256: str
    calls: int
    formulation: str
    objective: str
    time_limit: float
    workers: int
    seed: int
    status: str
    seconds: float
    cpu_seconds: float | None
    seconds_to_optimal: float | None
    value: float | None
    lower_bound: float | None
    bound_source: str
    gap: float | None
    root_bound: float | None
    root_gap: float | None
    variables: int | None
    constraints: int | None
    nonzeros: int | None
    message: str
    environment: str = ""
    asked_solver: str = ""
    solver: str = ""
    solver_version: str = ""
    solver_threads: int | None = None
    solver_tolerance: float | None = None
    solver_status: str = ""
    solver_bound: float | None = None

    @property
    def task(self) -> Task:
        """What was solved."""
        return Task(
            self.instance,
            self.sha256,
            self.calls,
            self.formulation,
            self.objective,
            self.time_limit,
            self.workers,
            self.seed,
            self.asked_solver,
        )

    @property
    def method(self) -> str:
        """As that of the task."""
        return self.task.method

    @property
    def optimal(self) -> bool:
        """Whether optimality was proven."""
        return self.status == "optimal"


INTEGERS = ("calls", "workers", "seed", "variables", "constraints", "nonzeros", "solver_threads")
NUMBERS = ("time_limit", "seconds", "cpu_seconds", "seconds_to_optimal", "value", "lower_bound", "gap")
NUMBERS_OF_ROOT = ("root_bound", "root_gap")
NUMBERS_OF_SOLVER = ("solver_tolerance", "solver_bound")
EARLIER = (22, 23)  # columns that tables had before others came
LARGEST_INTEGER = 2**63  # what a column of a data frame holds
REQUIRED = ("calls", "time_limit", "workers", "seed", "seconds")


def share_above(value: float | None, bound: float | None) -> float | None:
    """(value - bound) / value, from 0 to 1: objectives are never negative, so a bound below 0 says no more than 0."""
    if value is None or bound is None:
        return None
    return max(value - max(bound, 0.0), 0.0) / value if value > 0 else 0.0


def write_rows(folder: str | Path, rows: Iterable[Row]) -> None:
    """Write ``formulations.csv``, atomically."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)
    write_bytes(Path(folder) / FORMULATIONS_CSV, text.getvalue().encode())


def read_rows(folder: str | Path) -> list[Row]:
    """Read ``formulations.csv``.

    Raises
    ------
    InputError
        When there is none, naming what makes one, or naming the line that is wrong.
    """
    path = Path(folder) / FORMULATIONS_CSV
    if not os.path.isfile(path):
        raise InputError(f"no {FORMULATIONS_CSV} here; make it with 'hexsched compare-formulations ... -o DIR'", folder)
    lines = csv_rows(path)
    _, heading = next(lines)
    if tuple(heading) not in (Row._fields, *(Row._fields[:count] for count in EARLIER)):
        raise InputError(f"expected the columns {', '.join(Row._fields)}", path)
    return [_row(tuple(heading), fields, where) for where, fields in lines]


def as_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """One row a row; None becomes NaN in columns of numbers, and ``formulation`` is the method, with its solver."""
    import pandas as pd

    frame = pd.DataFrame([row._replace(formulation=row.method) for row in rows], columns=list(Row._fields))
    numeric = [*INTEGERS, *NUMBERS, *NUMBERS_OF_ROOT, *NUMBERS_OF_SOLVER]
    frame[numeric] = frame[numeric].apply(pd.to_numeric)
    return frame


def _row(heading: tuple[str, ...], fields: list[str], where: str) -> Row:
    if len(fields) != len(heading):
        raise InputError(f"expected {len(heading)} columns, got {len(fields)}", where)
    values: dict[str, object] = dict(zip(heading, fields, strict=True))
    for column in (*INTEGERS, *NUMBERS, *NUMBERS_OF_ROOT, *NUMBERS_OF_SOLVER):
        if column not in values:
            continue
        text = str(values[column])
        if not text and column not in REQUIRED:
            values[column] = None
            continue
        try:
            number = int(text) if column in INTEGERS else float(text)
            if isinstance(number, int) and abs(number) >= LARGEST_INTEGER:
                raise ValueError
            values[column] = number
        except ValueError:
            raise InputError(f"{column} must be a number, got {text!r}", where) from None
    return Row(**values)  # type: ignore[arg-type]
