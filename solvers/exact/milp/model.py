"""What a formulation written out in PuLP is: built against the clock, with a size, and written to files."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Protocol

import pulp

from hexsched.errors import InputError
from solvers.exact.milp.time_windows import Windows
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Size
from solvers.schedules.timetable import Timetable

MODEL_FORMATS = (".mps", ".lp")


class OutOfTimeError(Exception):
    """The time is up before the model is complete; the message says how far it came."""


class TimedProblem(pulp.LpProblem):
    """A minimisation to which nothing can be added after ``until``, in seconds of ``time.monotonic``."""

    def __init__(self, name: str, until: float = math.inf) -> None:
        super().__init__(name, pulp.LpMinimize)
        self.until = until
        self.rows = 0

    def __iadd__(self, row: Any) -> TimedProblem:
        if time.monotonic() > self.until:
            raise OutOfTimeError(f"the time limit ended while the model was built, after {self.rows} rows")
        self.rows += 1
        super().__iadd__(row)
        return self


class Model(Protocol):
    """A formulation written out for one instance.

    Attributes
    ----------
    lp : pulp.LpProblem
    exact : bool
        Whether its solutions are schedules, not only its bounds ones of all schedules.
    """

    lp: pulp.LpProblem
    exact: bool

    def load(self, timetable: Timetable) -> None:
        """Give every variable its value in that timetable."""

    def timetable(self) -> Timetable:
        """The timetable that the values of the variables say."""

    def learn(self, timetable: Timetable) -> bool:
        """Note what is wrong with a timetable of the model, for the next model; whether there was anything new."""


class Build(Protocol):
    """What writes a formulation out."""

    def __call__(
        self, problem: OfflineProblem, objective: Objective, windows: Windows, until: float = math.inf
    ) -> Model:
        """The model; ``OutOfTimeError`` when it is not complete at ``until``, in seconds of ``time.monotonic``."""


def size(lp: pulp.LpProblem) -> Size:
    """Columns, rows and nonzeros."""
    rows = lp.constraints()
    return Size(variables=len(lp.variables()), constraints=len(rows), nonzeros=sum(len(row) for row in rows))


def write_model(lp: pulp.LpProblem, path: str | Path) -> None:
    """Write the model for another solver, as MPS or LP by the file's suffix.

    Raises
    ------
    InputError
        For another suffix, or when the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in MODEL_FORMATS:
        raise InputError(f"unknown model format {suffix!r}; expected {' or '.join(MODEL_FORMATS)}", path)
    try:
        if suffix == ".mps":
            lp.writeMPS(str(path))
        else:
            lp.writeLP(str(path))
    except OSError as error:
        raise InputError(f"cannot write the file: {error.strerror or error}", path) from None
