"""What a formulation written out in PuLP is: built against the clock, with a size, and written to files."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pulp

from hexsched.errors import InputError
from solvers.exact.milp.time_windows import Windows
from solvers.exact.parts.size import NotBuiltError, TooLargeError
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Size
from solvers.schedules.timetable import Timetable

MODEL_FORMATS = (".mps", ".lp")


class OutOfTimeError(NotBuiltError):
    """The time is up before the model is complete; the message says how far it came."""


@dataclass(frozen=True)
class Limits:
    """How far the building of a model may go.

    Attributes
    ----------
    until : float
        Seconds of ``time.monotonic``.
    entries : float
        Nonzeros of all rows together.
    """

    until: float = math.inf
    entries: float = math.inf


NO_LIMITS = Limits()


class LimitedProblem(pulp.LpProblem):
    """A minimisation that is built within limits.

    Raises
    ------
    OutOfTimeError
        When anything is added to it after its time.
    TooLargeError
        When it has more entries than it may, or is expected to.
    """

    def __init__(self, name: str, limits: Limits = NO_LIMITS) -> None:
        super().__init__(name, pulp.LpMinimize)
        self.limits = limits
        self.rows = self.entries = 0

    def __iadd__(self, row: Any) -> LimitedProblem:
        self.check()
        super().__iadd__(row)
        self.rows += 1
        self.entries += len(row)
        return self

    def check(self) -> None:
        """To be called now and then where much is looked at and little is added."""
        if time.monotonic() > self.limits.until:
            raise OutOfTimeError(f"the time limit ended while the model was built, after {self.rows} rows")
        if self.entries > self.limits.entries:
            raise TooLargeError(f"more than {self.entries:,} entries", self.limits.entries)

    def expect(self, entries: float) -> None:
        """Before anything is built, about how many entries there will be."""
        if entries > self.limits.entries:
            raise TooLargeError(f"about {entries:,.0f} entries", self.limits.entries)


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
        self, problem: OfflineProblem, objective: Objective, windows: Windows, limits: Limits = NO_LIMITS
    ) -> Model:
        """The model; ``NotBuiltError`` when it cannot be built within the limits."""


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
