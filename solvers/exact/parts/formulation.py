"""What a formulation is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from solvers.problem.objective import KINDS, Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Raw


@dataclass(frozen=True)
class Formulation:
    """One way to write the offline problem down for a solver.

    Attributes
    ----------
    name, summary, citation : str
    solve : callable
        ``(problem, objective, options) -> Raw``.
    exact : bool
        Whether it reaches the optimum given time; the others give upper bounds only.
    objectives : tuple of str
        Kinds of objectives it can minimise.
    solvers : tuple of str
        Solvers it can use, the default first.
    switches : dict of str to str
        What can be switched on or off, and what it does; the ablations.
    model_formats : tuple of str
        Endings of the files that ``Options.write_model`` can name.
    """

    name: str
    summary: str
    citation: str
    solve: Callable[[OfflineProblem, Objective, Options], Raw]
    exact: bool = True
    objectives: tuple[str, ...] = KINDS
    solvers: tuple[str, ...] = ()
    switches: dict[str, str] = field(default_factory=dict)
    model_formats: tuple[str, ...] = ()
