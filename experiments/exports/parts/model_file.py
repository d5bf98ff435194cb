"""A formulation's own model as a file, with a comment that says what it is and what its optimum means."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.exports.parts.export import Request
from hexsched.errors import InputError

if TYPE_CHECKING:
    from solvers.exact.parts.formulation import Formulation


FIRST = "milp_disjunctive"  # the smallest of those whose optimum is that of the best schedule


def writers(ending: str) -> tuple[str, ...]:
    """Names of the exact formulations that write such files, the default first."""
    from solvers.exact import FORMULATIONS

    names = [name for name, one in FORMULATIONS.items() if one.exact and ending in one.model_formats]
    return tuple(sorted(names, key=lambda name: name != FIRST))


def written(request: Request, formulation: str, ending: str, optimum: str = "") -> tuple[list[str], bytes]:
    """What a person should know of the file, in lines, and the file.

    The model is the one that is minimised from the best schedule of a few quick policies: it has all schedules that are
    as good, or enough of them to hold an optimal one.

    Parameters
    ----------
    request : Request
    formulation : str
    ending : str
        Of ``Formulation.model_formats``.
    optimum : str
        What the optimum of the file means, where that is not the optimum of the instance or a bound on it.

    Raises
    ------
    InputError
        When the formulation cannot minimise the objective, or its model is not built because of its size.
    """
    from solvers.brackets.solve import START_POLICIES, offer_policies
    from solvers.exact import FORMULATIONS
    from solvers.problem.bracket import Bracket
    from solvers.problem.offline import fixed_problem
    from solvers.problem.result import Options

    chosen = FORMULATIONS.find(formulation)
    if request.objective.kind not in chosen.objectives:
        can = ", ".join(chosen.objectives)
        raise InputError(f"formulation {chosen.name!r} cannot minimise {request.objective}; it can {can}", request.name)
    problem = fixed_problem(request.instance)
    bracket = Bracket(request.objective)
    offer_policies(problem, bracket, START_POLICIES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{ending}"
        outcome = chosen.solve(problem, bracket, Options(write_model=path, only_write=True, workers=1))
        if not path.exists():
            raise InputError(outcome.message or f"formulation {chosen.name!r} has written no model", request.name)
        data = path.read_bytes()
    return _about(request, chosen, optimum), data


def _about(request: Request, chosen: Formulation, optimum: str) -> list[str]:
    from experiments.library.names import digest

    optimum = optimum or ("no schedule is below it" if chosen.relaxes else "that of the best schedule")
    lines = [
        f"hexsched instance {request.name}, SHA-256 {digest(request.instance)}",
        f"minimises {request.objective} by formulation {chosen.name}: {chosen.citation}",
        f"the optimum of this model: {optimum}",
    ]
    if request.known is not None:
        lines.append(f"best known: lower bound {request.known[0]!r}, schedule {request.known[1]!r}")
    return [" ".join(line.split()) for line in lines]
