"""The objectives over ticks, with whole coefficients rounded so that a bound of the model is one of the instance.

A completion c_w is rounded down to ticks. For the largest ratio, arrivals are rounded up, so that c_w less the arrival
is no more than the latency; for the means they are rounded down, so that latencies stay positive, and what that adds is
known and taken off the bound. Coefficients of latencies are rounded down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from ortools.sat.python import cp_model

from solvers.exact.cp.ticked import Array, TickedProblem
from solvers.exact.cp.variables import Variables
from solvers.problem.objective import SLACK, Objective

RATIO_UNIT = 1e-5  # of the largest ratio, which is an integer in the model
COEFFICIENT = 1e5  # the least coefficient before rounding: its relative error is at most the inverse
LARGEST_SUM = 2**61  # CP-SAT refuses expressions that may exceed 64 bits


@dataclass(frozen=True)
class Largest:
    """The largest ratio in the model.

    Attributes
    ----------
    ratio : IntVar
        In ``RATIO_UNIT``, rounded up.
    dropped : list of BoolVar
        The workflows that do not count, by workflow; empty for ``max_ratio``.
    most_dropped : int
        How many of them there may be.
    """

    ratio: cp_model.IntVar
    dropped: list[cp_model.IntVar]
    most_dropped: int


@dataclass(frozen=True)
class Minimised:
    """An objective that has been added to the model.

    Attributes
    ----------
    in_real_time : callable
        A value of the model's objective, or a bound on it, as a bound in real time.
    at_most : callable
        The other way round: what the model's objective is at the most for a schedule of that value.
    largest : Largest or None
        For ``max_ratio`` and ``req(q)``.
    latencies : Latencies or None
        For the means.
    missed : list of BoolVar
        For ``misses(s)``, by workflow.
    """

    in_real_time: Callable[[float], float]
    at_most: Callable[[float], int]
    largest: Largest | None = None
    latencies: Latencies | None = None
    missed: list[cp_model.IntVar] = field(default_factory=list)


@dataclass(frozen=True)
class Ratios:
    """The largest ratio in whole numbers: ``weight * ratio >= share * latency`` in ticks, of every workflow.

    Attributes
    ----------
    weight : int
    share : (W,) int array
    most : int
        No schedule within the horizon has a larger one.
    """

    weight: int
    share: Array
    most: int


@dataclass(frozen=True)
class Latencies:
    """Weighted latencies in whole numbers.

    Attributes
    ----------
    latency : list of IntVar
        Ticks, by workflow.
    shares : Shares
    """

    latency: list[cp_model.IntVar]
    shares: Shares


@dataclass(frozen=True)
class Shares:
    """What latencies in ticks add to a mean, in whole numbers.

    Attributes
    ----------
    share : (W,) int array
        Of a tick of each.
    best : (W,) int array
        The least latencies, ticks.
    scale, lost : float
        A sum of shares stands for that sum over ``scale``, less ``lost``.
    """

    share: Array
    best: Array
    scale: float
    lost: float


def minimise(
    model: cp_model.CpModel,
    data: TickedProblem,
    variables: Variables,
    objective: Objective,
    lower: float,
    cutoff: float,
) -> Minimised:
    """Add the objective.

    Parameters
    ----------
    lower, cutoff : float
        A value that no schedule can beat, and one that only those sought reach; for the largest ratio they become the
        domain of its variable. -inf and inf where there are none.
    """
    if objective.is_tail:
        return _largest_ratio(model, data, variables, objective, lower, cutoff)
    if objective.kind == "misses":
        return _misses(model, data, variables, objective)
    return _mean(model, data, variables, objective)


def deadlines(data: TickedProblem, objective: Objective, cutoff: float) -> Array:
    """(N,) seconds by which each call is completed in every schedule whose value is at most ``cutoff``.

    A mean leaves one workflow what the others, at their best, do not take. The other objectives let some workflow be
    arbitrarily late, so there it is inf.
    """
    problem = data.problem
    if not math.isfinite(cutoff):
        return np.full(problem.calls, np.inf)
    if objective.kind == "max_ratio":
        latency = cutoff * problem.horizon
    elif objective.kind == "mean_ratio":
        latency = (problem.workflows * cutoff - (problem.workflows - 1)) * problem.horizon
    elif objective.kind == "mean_latency":
        latency = problem.workflows * cutoff - (problem.horizon.sum() - problem.horizon)
    else:
        return np.full(problem.calls, np.inf)
    rounding = 1e-9 * (problem.arrival + latency)  # the cutoff comes from a schedule that must stay within it
    return (problem.arrival + latency + rounding)[problem.workflow] - problem.tail


def _largest_ratio(
    model: cp_model.CpModel,
    data: TickedProblem,
    variables: Variables,
    objective: Objective,
    lower: float,
    cutoff: float,
) -> Minimised:
    """max_ratio and req(q): the largest ratio of the workflows that are not dropped."""
    ratios = ratios_of(data)
    most = min(ratios.most, ratio_at_most(cutoff)) if math.isfinite(cutoff) else ratios.most
    least = min(math.floor(max(lower, 1.0) / RATIO_UNIT), int(most))  # no ratio is below 1
    ratio = model.new_int_var(least, int(most), "largest_ratio")
    allowed = objective.dropped(data.problem.workflows)
    dropped = [model.new_bool_var(f"dropped_{w}") for w in range(data.problem.workflows)] if allowed else []
    if allowed:
        model.add(sum(dropped) <= allowed)
    for c in last_calls(data):
        rule = add_its_ratio(model, data, variables.completed[c], ratios, ratio, c)
        if allowed:
            rule.only_enforce_if(dropped[data.problem.workflow[c]].negated())
    model.minimize(ratio)
    return Minimised(
        in_real_time=lambda value: (value - 1) * RATIO_UNIT,  # the model rounds the ratio up
        at_most=ratio_at_most,
        largest=Largest(ratio, dropped, allowed),
    )


def ratios_of(data: TickedProblem) -> Ratios:
    """Ratios in whole numbers."""
    per_tick = data.ticks.seconds / data.problem.horizon
    weight = math.ceil(_scale(data, per_tick) * RATIO_UNIT)
    share = _down(weight / RATIO_UNIT * per_tick)
    return Ratios(weight, share, int(share.max() * data.horizon // weight + 1))


def ratio_at_most(value: float) -> int:
    """The largest ratio, in ``RATIO_UNIT``, of the model's image of a schedule whose largest ratio is ``value``."""
    return math.ceil(value / RATIO_UNIT) + 1


def add_its_ratio(
    model: cp_model.CpModel,
    data: TickedProblem,
    completed: cp_model.IntVar,
    ratios: Ratios,
    ratio: cp_model.IntVar,
    c: int,
) -> cp_model.Constraint:
    """The largest ratio is no less than what the completion of a call makes that of its workflow."""
    w = data.problem.workflow[c]
    latency = completed - int(data.arrived[w])
    return model.add(ratios.weight * ratio >= int(ratios.share[w]) * latency)


def _mean(model: cp_model.CpModel, data: TickedProblem, variables: Variables, objective: Objective) -> Minimised:
    """mean_ratio and mean_latency: a weighted sum of latencies."""
    problem, shares = data.problem, latency_shares(data, objective)
    latency = [model.new_int_var(int(shares.best[w]), data.horizon, f"latency_{w}") for w in range(problem.workflows)]
    for c in last_calls(data):
        w = problem.workflow[c]
        model.add(latency[w] >= variables.completed[c] - int(data.arrival[w]))
    model.minimize(cp_model.LinearExpr.weighted_sum(latency, shares.share.tolist()))
    return Minimised(
        in_real_time=lambda value: value / shares.scale - shares.lost,
        at_most=lambda value: math.floor((value + shares.lost) * shares.scale * (1 + 1e-12)) + 1,
        latencies=Latencies(latency, shares),
    )


def latency_shares(data: TickedProblem, objective: Objective) -> Shares:
    """Latencies in whole numbers, for ``mean_ratio`` and ``mean_latency``."""
    problem = data.problem
    real = (1 / problem.horizon if objective.kind == "mean_ratio" else np.ones(problem.workflows)) / problem.workflows
    per_tick = real * data.ticks.seconds
    scale = _scale(data, per_tick)
    lost = float(np.sum(real * (problem.arrival - data.ticks.back(data.arrival))))
    return Shares(_down(scale * per_tick), data.ticks.down(problem.horizon), scale, lost)


def _misses(model: cp_model.CpModel, data: TickedProblem, variables: Variables, objective: Objective) -> Minimised:
    """misses(s): workflows whose last completion is after a_w + s H_w."""
    problem, due = data.problem, due_ticks(data, objective)
    missed = [model.new_bool_var(f"missed_{w}") for w in range(problem.workflows)]
    for c in last_calls(data):
        w = problem.workflow[c]
        model.add(variables.completed[c] <= int(due[w])).only_enforce_if(missed[w].negated())
    model.minimize(sum(missed))
    return Minimised(in_real_time=float, at_most=int, missed=missed)


def due_ticks(data: TickedProblem, objective: Objective) -> Array:
    """(W,) ticks by which a workflow that meets the scale of ``misses`` is complete."""
    limit = data.problem.arrival + objective.parameter * (1 + 2 * SLACK) * data.problem.horizon
    limit = np.minimum(limit, data.problem.last_end)  # by when all is complete in some best schedule
    due: Array = data.ticks.down(limit) + 1  # rounded up: what meets the limit in real time meets it here
    return due


def _scale(data: TickedProblem, per_tick: Array) -> float:
    """By what to multiply the coefficients of latencies in ticks so that rounding them loses little."""
    return float(min(COEFFICIENT / per_tick.min(), LARGEST_SUM / (per_tick.sum() * data.horizon)))


def _down(coefficients: Array) -> Array:
    return np.floor(coefficients * (1 - 1e-15)).astype(np.int64)


def last_calls(data: TickedProblem) -> list[int]:
    """Calls without children: one of them completes the workflow."""
    return [c for c, children in enumerate(data.problem.children) if not children]
