"""The model: variables, rules, objective, and what the switches add to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ortools.sat.python import cp_model

from hexsched.model import Schedule
from solvers.exact.cp.constraints import add_rules, order_identical_instances
from solvers.exact.cp.energy import SEPARATION, Separation, add_energy
from solvers.exact.cp.objective import Minimised, deadlines, minimise
from solvers.exact.cp.ticked import TickedProblem
from solvers.exact.cp.variables import Variables, declare, hint
from solvers.problem.objective import Objective


@dataclass(frozen=True)
class Effort:
    """How one search is made.

    Attributes
    ----------
    seconds : float
    lower, cutoff : float
        Only values between them count.
    energy : bool
        Whether windows of work go into the model.
    to_refute : bool
        Whether it is more likely that there is nothing to find: every worker then looks for a proof.
    """

    seconds: float
    lower: float = -math.inf
    cutoff: float = math.inf
    energy: bool = False
    to_refute: bool = False


def entries(data: TickedProblem, on: Mapping[str, bool]) -> int:
    """About how many numbers a model has: variables and literals of all its rules together."""
    problem = data.problem
    calls, instances = problem.prefill.shape
    modes = sum(len(own) for own in data.modes)
    intervals = 7 * calls * (instances + len(problem.capacity))  # with their places in no-overlap and cumulative
    precedences = 3 * sum(len(own) for own in problem.parents)
    twins = sum(len(group) - 1 for group in problem.prefill_types.groups + problem.decode_types.groups)
    return 12 * calls + 4 * modes + intervals + precedences + (twins * calls**2 // 2 if on["symmetry"] else 0)


@dataclass(frozen=True)
class Model:
    """A model and what its variables mean."""

    cp: cp_model.CpModel
    variables: Variables
    minimised: Minimised


def build(
    data: TickedProblem,
    objective: Objective,
    on: Mapping[str, bool],
    effort: Effort,
    start: Schedule | None = None,
    value: float = math.inf,
    separation: Separation = SEPARATION,
) -> Model:
    """The model, with what the switches that are on add to it.

    Parameters
    ----------
    start : Schedule, optional
        Where the search begins.
    value : float
        Its objective.
    separation : Separation
        Which windows of work go into the model, where any do.
    """
    cutoff = min(effort.cutoff, value) if on["windows"] else effort.cutoff
    cp = cp_model.CpModel()
    variables = declare(cp, data, deadlines(data, objective, cutoff))
    add_rules(cp, data, variables)
    minimised = minimise(cp, data, variables, objective, effort.lower, cutoff)
    if on["symmetry"]:
        order_identical_instances(cp, data, variables)
    if effort.energy and minimised.largest is not None:
        add_energy(cp, data, variables, minimised.largest, effort.lower, cutoff, separation)
    if on["hint"] and start is not None:
        hint(cp, data, variables, start)
    return Model(cp, variables, minimised)
