"""What a solve gives back, whatever the formulation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hexsched.display import Summary, displayed
from hexsched.model import Schedule
from hexsched.plotting import Accessor
from solvers.problem.bracket import OnProgress, Progress

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["optimal", "feasible", "unknown"]

INTERRUPTED = "interrupted"  # what users read of a solve that ended with Ctrl-C


@dataclass(frozen=True)
class Options:
    """How to solve. A formulation is told time, start and progress by its bracket, and the rest by these.

    Attributes
    ----------
    time_limit : float
        Wall-clock seconds.
    workers : int
        Threads.
    seed : int
    solver : str or None
        Of those that the formulation can use; its default when None.
    warm_start : Schedule or None
        A valid schedule of the instance to start from.
    extra : dict
        Switches of a formulation, by name; see its ``switches``.
    on_progress : callable, optional
        Called with (seconds, value or None, bound or None) whenever one of the two got better.
    isolate : bool
        Solve in a child process where that is possible (``solvers.brackets.isolation``).
    overtime : float
        Seconds beyond the time limit that a solver's last step may take; then the child process is stopped, and what it
        has reported until then is kept.
    memory : float
        Bytes of main memory that the child process may take; then it is stopped in the same way.
    write_model : Path or None
        Write the model to this file before it is solved; a formulation's ``model_formats`` are the endings it knows.
    only_write : bool
        End once the model is written, with nothing solved.
    """

    time_limit: float = 60.0
    workers: int = 2
    seed: int = 0
    solver: str | None = None
    warm_start: Schedule | None = None
    extra: dict[str, bool] = field(default_factory=dict)
    on_progress: OnProgress | None = None
    isolate: bool = True
    overtime: float = 3.0
    memory: float = 3e9
    write_model: Path | None = None
    only_write: bool = False


@dataclass(frozen=True)
class Size:
    """Size of the model that was solved."""

    variables: int
    constraints: int
    nonzeros: int | None = None


@dataclass(frozen=True)
class Report:
    """What the solver says of itself and of the last model that it was given.

    Attributes
    ----------
    solver, version : str
    threads : int
        That it used.
    tolerance : float
        By how much its solutions may break a row; for CP-SAT, which breaks none, 0.
    status : str
        In the words of ``milp.answer``: ``optimal``, ``feasible``, ``infeasible`` or ``unknown``. A model may be of a
        target, so that this is not the status of the solve.
    bound : float or None
        Of that model.
    """

    solver: str
    version: str
    threads: int
    tolerance: float
    status: str
    bound: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What a formulation says of its solve besides what its bracket has learnt.

    Attributes
    ----------
    size : Size
    root_bound : float or None
        The first bound the solver proved.
    message : str
        What a person should know: a crash, a time limit that ended too early.
    crashed : bool
        Whether the solve did not end as it should.
    report : Report or None
        None where no solver was asked.
    """

    size: Size = Size(0, 0)
    root_bound: float | None = None
    message: str = ""
    crashed: bool = False
    report: Report | None = None


@displayed
@dataclass(frozen=True, repr=False)
class SolveResult:
    """A certified outcome: ``lower_bound <= optimum <= objective``, both in real time.

    Attributes
    ----------
    formulation, objective_name : str
    status : Status
        ``optimal`` only when objective and lower bound agree to ``OPTIMALITY_TOLERANCE``; ``unknown`` without a
        schedule, and after a crash.
    objective : float or None
        Value of ``schedule``, recomputed by the independent verifier.
    lower_bound : float
    bound_source : str
        Which bound that is.
    schedule : Schedule or None
    seconds : float
    size : Size
    root_bound : float or None
    series : tuple of Progress
    message : str
    interrupted : bool
        Whether Ctrl-C ended it.
    report : Report or None
        What the solver says of itself and of its last model; None where none was asked.
    """

    formulation: str
    objective_name: str
    status: Status
    objective: float | None
    lower_bound: float
    bound_source: str
    schedule: Schedule | None
    seconds: float
    size: Size
    root_bound: float | None = None
    series: tuple[Progress, ...] = ()
    message: str = ""
    interrupted: bool = False
    report: Report | None = None

    @property
    def plot(self) -> Accessor:
        """Its plots: ``result.plot.NAME(ax=None)``; ``result.plot`` itself lists them."""
        return Accessor(self)

    @property
    def gap(self) -> float | None:
        """(objective - lower bound) / lower bound; None where that says nothing."""
        if self.objective is None or self.lower_bound <= 0:
            return None
        return (self.objective - self.lower_bound) / self.lower_bound

    def to_frame(self) -> pd.DataFrame:
        """A row for each time that value or bound got better: ``seconds``, ``value``, ``bound``."""
        import pandas as pd

        return pd.DataFrame(self.series, columns=list(Progress._fields)).astype(float)

    def _summary(self) -> Summary:
        facts = {
            "status": self.status,
            "value": self.objective,
            "lower bound": self.lower_bound,
            "from": self.bound_source or None,
            "gap": None if self.gap is None else f"{100 * self.gap:.2f} %",
            "seconds": self.seconds,
            "message": self.message or None,
        }
        return Summary(f"{self.objective_name} with {self.formulation}", facts)
