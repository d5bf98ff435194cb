"""What a MILP solver says, whichever it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pulp

from solvers.problem.result import Options

BOUND_SAFETY = 1e-6  # relative; solvers prove their bounds to within tolerances of about this size
FEASIBILITY = 1e-7  # a tenth of the usual: big-M rows let an indicator leak this much times M
ABSOLUTE_GAP = 1e-9  # of value and bound of a model, at which a solver may stop


@dataclass(frozen=True)
class Effort:
    """How far a solver may go.

    Attributes
    ----------
    seconds : float
        Wall clock.
    workers, seed : int
    on_progress : callable
        Called with (incumbent or None, bound or None), both of the model.
    memory : float
        Bytes, for solvers that can be told.
    """

    seconds: float
    workers: int
    seed: int
    on_progress: Callable[[float | None, float | None], None]
    memory: float = math.inf


def silent(seconds: float, options: Options) -> Effort:
    """The limits of a model that does not minimise the objective: nobody hears of its progress."""
    return Effort(seconds, options.workers, options.seed, lambda incumbent, bound: None, options.memory)


MilpStatus = Literal["optimal", "feasible", "infeasible", "unknown"]


@dataclass(frozen=True)
class Answer:
    """Status and bound as the solver itself reports them; the values are in the variables of the model.

    Attributes
    ----------
    status : str
        ``optimal``, ``feasible``, ``infeasible`` or ``unknown``.
    bound, root_bound : float or None
        Dual bound at the end, and after the root node where the solver tells.
    message : str
    interrupted : bool
        A person wants it to end.
    """

    status: MilpStatus
    bound: float | None = None
    root_bound: float | None = None
    message: str = ""
    interrupted: bool = False

    @property
    def solved(self) -> bool:
        """Whether the variables hold a solution."""
        return self.status in ("optimal", "feasible")


def has_start(lp: pulp.LpProblem) -> bool:
    """Whether every variable has a value to begin at."""
    return all(variable.varValue is not None for variable in lp.variables())


def finite(value: float | None) -> float | None:
    """``value``, or None where a solver says infinity for "none"."""
    return None if value is None or not math.isfinite(value) or abs(value) >= 1e20 else float(value)


def safe(bound: float | None) -> float | None:
    """The bound less what a solver's tolerances may have added to it."""
    return None if bound is None else bound - BOUND_SAFETY * max(abs(bound), 1e-3)
