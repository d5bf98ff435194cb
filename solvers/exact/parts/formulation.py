"""What a formulation is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hexsched.errors import InputError
from solvers.problem.bracket import Bracket
from solvers.problem.objective import KINDS
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome


@dataclass(frozen=True)
class Formulation:
    """One way to write the offline problem down for a solver.

    Attributes
    ----------
    name, summary, citation : str
    solve : callable
        ``(problem, bracket, options) -> Outcome``. It reports schedules and bounds to the bracket, begins at the
        schedule that the bracket has, and ends when the bracket is over.
    exact : bool
        Whether it reaches the optimum given time; the others give schedules, and bounds that need not meet them.
    objectives : tuple of str
        Kinds of objectives it can minimise.
    solvers : tuple of str
        Solvers it can use, the default first.
    switches : dict of str to str
        What can be switched on or off, and what it does; the ablations.
    defaults : mapping of str to bool
        Which of them are on; what is not named is off.
    model_formats : tuple of str
        Endings of the files that ``Options.write_model`` can name.
    available : callable
        Whether what it needs is installed.
    extra : str
        The extra of hexsched that brings it, where it is not always there.
    relaxes : bool
        Whether a model that is written has more solutions than there are schedules, so that its optimum is a bound.
    """

    name: str
    summary: str
    citation: str
    solve: Callable[[OfflineProblem, Bracket, Options], Outcome]
    exact: bool = True
    objectives: tuple[str, ...] = KINDS
    solvers: tuple[str, ...] = ()
    switches: dict[str, str] = field(default_factory=dict)
    defaults: Mapping[str, bool] = field(default_factory=dict)
    model_formats: tuple[str, ...] = ()
    relaxes: bool = False
    available: Callable[[], bool] = lambda: True
    extra: str = ""

    def as_spelt(self, solver: str) -> str:
        """The name of one of its solvers, given in whatever case; another name as it is."""
        return next((name for name in self.solvers if name.lower() == solver.lower()), solver)

    def check_installed(self) -> None:
        """Raise ``InputError`` when what it needs is not installed."""
        if not self.available():
            raise InputError(
                f"formulation {self.name!r} is not installed; pip install 'hexsched[{self.extra}]' brings it"
            )
