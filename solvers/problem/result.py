"""What a solve gives back, whatever the formulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hexsched.model import Schedule

Status = Literal["optimal", "feasible", "infeasible", "unknown"]

# called with (seconds, incumbent or None, bound or None) whenever one of them got better
OnProgress = Callable[[float, float | None, float | None], None]

# called with decisions that the solver thinks are the best so far
OnIncumbent = Callable[[Schedule], None]


INTERRUPTED = "interrupted"  # the message of a solve that ended with Ctrl-C


@dataclass(frozen=True)
class Options:
    """How to solve.

    Attributes
    ----------
    time_limit : float
        Wall-clock seconds.
    workers : int
        Threads.
    seed : int
    solver : str or None
        For MILPs: ``HiGHS``, ``CBC``, ``SCIP``, ``Gurobi``, ``CPLEX``; the default of the formulation when None.
    warm_start : Schedule or None
        A valid schedule of the instance to start from.
    extra : dict
        Switches of a formulation, by name; see its ``switches``.
    on_progress : callable, optional
    on_incumbent : callable, optional
        Told the decisions whenever they get better, so that they outlive a crash of the solver.
    isolate : bool
        Solve in a child process where that is possible (``solvers.brackets.isolation``).
    write_model : Path or None
        Write the model to this file before it is solved; a formulation's ``model_formats`` are the endings it knows.
    """

    time_limit: float = 60.0
    workers: int = 2
    seed: int = 0
    solver: str | None = None
    warm_start: Schedule | None = None
    extra: dict[str, bool] = field(default_factory=dict)
    on_progress: OnProgress | None = None
    on_incumbent: OnIncumbent | None = None
    isolate: bool = True
    write_model: Path | None = None


@dataclass(frozen=True)
class Size:
    """Size of the model that was solved."""

    variables: int
    constraints: int
    nonzeros: int | None = None


@dataclass(frozen=True)
class Raw:
    """What a formulation hands to certification.

    Attributes
    ----------
    status : Status
        The solver's own, for the model it solved.
    decisions : Schedule or None
        Placements and, through its times, the order of prefills and admissions on each instance. The times need not be
        feasible: they are made anew.
    bound : float or None
        A value that no schedule of the *instance*, in real time, can beat; None when there is none.
    size : Size
    seconds : float
        Wall clock, building included.
    root_bound : float or None
        The first bound the solver proved.
    message : str
        What a person should know: a missing solver, a crash, an interrupt.
    """

    status: Status
    decisions: Schedule | None
    bound: float | None
    size: Size
    seconds: float
    root_bound: float | None = None
    message: str = ""


@dataclass(frozen=True)
class SolveResult:
    """A certified outcome: ``lower_bound <= optimum <= objective``, both in real time.

    Attributes
    ----------
    formulation, objective_name : str
    status : Status
        ``optimal`` only when objective and lower bound agree to ``OPTIMALITY_TOLERANCE``.
    objective : float or None
        Value of ``schedule``, recomputed by the independent verifier.
    lower_bound : float
    bound_source : str
        Which bound that is.
    schedule : Schedule or None
    seconds : float
    size : Size
    root_bound : float or None
    series : tuple of (seconds, incumbent, bound)
    message : str
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
    series: tuple[tuple[float, float | None, float | None], ...] = ()
    message: str = ""

    @property
    def gap(self) -> float | None:
        """(objective - lower bound) / lower bound; None where that says nothing."""
        if self.objective is None or self.lower_bound <= 0:
            return None
        return (self.objective - self.lower_bound) / self.lower_bound
