"""The offline problem (docs/model.md): schedules that are good, and values that no schedule can beat.

Rooms, each of which imports only those before it:

- ``problem``: an instance as arrays, what is minimised, what makes a claim certain;
- ``bounds``: what is below the optimum, a module a bound;
- ``schedules``: what is above it: list schedules, and the clairvoyant search;
- ``exact``: what closes in on it from both sides, a module a formulation;
- ``brackets``: what brings them together.

What people call stands here: ``gap`` (how far policies are from the best possible), ``solve`` (a small instance, to
proven optimality), ``bound`` (what no schedule can beat), ``search`` (the best schedule that can be found),
``clairvoyance`` (what any online policy must lose over several ``futures``).
"""

from typing import TYPE_CHECKING

from hexsched.lazy import lazy_names

if TYPE_CHECKING:
    from solvers.brackets.clairvoyance import ClairvoyanceReport as ClairvoyanceReport
    from solvers.brackets.clairvoyance import clairvoyance as clairvoyance
    from solvers.brackets.gap import GapReport as GapReport
    from solvers.brackets.gap import gap as gap
    from solvers.brackets.portfolio import BoundReport as BoundReport
    from solvers.brackets.portfolio import bound as bound
    from solvers.brackets.solve import solve as solve
    from solvers.problem.futures import futures as futures
    from solvers.problem.objective import Objective as Objective
    from solvers.problem.result import SolveResult as SolveResult
    from solvers.schedules.search.result import SearchResult as SearchResult
    from solvers.schedules.search.run import search as search

_lazy, __dir__, __all__ = lazy_names(
    __name__,
    {
        "BoundReport": "solvers.brackets.portfolio",
        "ClairvoyanceReport": "solvers.brackets.clairvoyance",
        "GapReport": "solvers.brackets.gap",
        "Objective": "solvers.problem.objective",
        "SearchResult": "solvers.schedules.search.result",
        "SolveResult": "solvers.problem.result",
        "bound": "solvers.brackets.portfolio",
        "clairvoyance": "solvers.brackets.clairvoyance",
        "futures": "solvers.problem.futures",
        "gap": "solvers.brackets.gap",
        "search": "solvers.schedules.search.run",
        "solve": "solvers.brackets.solve",
    },
)

if not TYPE_CHECKING:  # type checkers would take any name for one of these
    __getattr__ = _lazy
