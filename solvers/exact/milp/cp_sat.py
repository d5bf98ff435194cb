"""CP-SAT on the MILPs: variables in whole steps, and rows loosened by what the steps may lose.

CP-SAT knows whole numbers alone. OR-tools' interfaces for MILPs hand it any model, but let a continuous variable take
multiples of a step and leave the rows as they are: what is proved then holds for schedules on that lattice and for no
others. Here what is proved holds for all. Let low <= x <= high be continuous and h its step, so that
x = low + h (X + f) with X whole, 0 <= f < 1. Put into a row sum(a x) <= b:

    sum(a h X) <= b - sum(a low) - sum(a h f) <= b - sum(a low) + sum of |a| h over negative a.

Times a scale S, with A the nearest whole number to S a h, the left side changes by at most sum(|A - S a h| max X),
which is added on the right; then the right side is rounded down, as the left one is whole. So the whole part of any
solution of the MILP solves the rows given to CP-SAT. In the objective, coefficients are rounded down (X >= 0) and what
f may take off where they are negative is taken off the bound. Rows that are whole already stay what they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import metadata

import pulp
from ortools.sat.python import cp_model

from solvers.exact.milp.answer import Answer, Effort, MilpStatus
from solvers.exact.milp.interruptible import run_interruptibly

STEPS = 2**22  # of the widest continuous variable, at least: a path of 20 rows loses a 200000th of it
FEWEST_STEPS = 2**12  # of any other, that has the same step where that is fine enough
LARGEST_SUM = 2**50  # of coefficients times values in a row; CP-SAT refuses what may exceed 64 bits
ROUNDING = 1e-12  # relative, of the floating-point sums that go into a row
WHOLE = 1e-9  # a number this near to a whole one is that
PASSES = 3  # over the rows, for bounds of variables that have none


@dataclass(frozen=True)
class _Column:
    """A variable in steps: x = low + step * X, 0 <= X <= most, and less than a step more where it is continuous."""

    low: float
    step: float
    most: int
    continuous: bool


def available() -> bool:
    """It comes with OR-tools."""
    return True


def version() -> str:
    """Of OR-tools."""
    return metadata.version("ortools")


def solve(lp: pulp.LpProblem, limits: Effort) -> Answer:
    """Solve from the values that the variables have."""
    columns = _columns(lp)
    if columns is None:
        return Answer("unknown", message="CP-SAT needs bounds of all variables, and the rows imply none for some")
    model = cp_model.CpModel()
    whole = {
        variable: model.new_int_var(0, column.most, variable.name)
        for variable, column in zip(lp.variables(), columns.values(), strict=True)
    }
    for row in lp.constraints():
        _add_row(model, row, columns, whole)
    in_seconds = _minimise(model, lp, columns, whole)
    _hint(model, columns, whole)
    watch = _Bounds(in_seconds, limits)
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.max_time_in_seconds = max(limits.seconds, 0.0)
    parameters.num_workers = limits.workers
    parameters.random_seed = limits.seed % 2**31
    parameters.relative_gap_limit = 0.0
    parameters.absolute_gap_limit = 0.0
    parameters.catch_sigint_signal = False
    parameters.presolve_inclusion_work_limit = 0  # see ``cp.run``: it loses solutions
    if math.isfinite(limits.memory):
        parameters.max_memory_in_mb = max(int(limits.memory / 1e6), 1)
    solver.best_bound_callback = watch.tell
    stopped: list[bool] = []

    def stop() -> None:
        stopped.append(True)
        solver.stop_search()

    found: list[cp_model.CpSolverStatus] = []
    run_interruptibly(lambda: found.append(solver.solve(model)), stop)
    code = found[0]
    if code == cp_model.MODEL_INVALID:
        return Answer("unknown", message=f"CP-SAT refuses the model: {model.validate()}")
    if code == cp_model.INFEASIBLE:
        return Answer("infeasible", message="CP-SAT finds no solution")
    solved = code in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    if solved:
        for variable, column in columns.items():
            value = column.low + column.step * solver.value(whole[variable])
            variable.varValue = value if variable.upBound is None else min(value, float(variable.upBound))
    outcome: MilpStatus = "optimal" if code == cp_model.OPTIMAL else "feasible" if solved else "unknown"
    bound = watch.in_seconds(solver.best_objective_bound)
    return Answer(outcome, bound, watch.first if watch.first is not None else bound, interrupted=bool(stopped))


class _InSeconds:
    """A bound of the model in whole numbers as one of the MILP."""

    def __init__(self, scale: float, constant: float) -> None:
        self.scale, self.constant = scale, constant

    def __call__(self, bound: float) -> float | None:
        return bound / self.scale + self.constant if math.isfinite(bound) else None


class _Bounds:
    """Tells of what is proved; values are of loosened rows, so they are not told."""

    def __init__(self, in_seconds: _InSeconds, limits: Effort) -> None:
        self.in_seconds, self.limits = in_seconds, limits
        self.first: float | None = None

    def tell(self, bound: float) -> None:
        proved = self.in_seconds(bound)
        self.first = proved if self.first is None else self.first
        self.limits.on_progress(None, proved)


def _columns(lp: pulp.LpProblem) -> dict[pulp.LpVariable, _Column] | None:
    """Every variable in steps; None where some have no bounds."""
    bounds = _bounds(lp)
    if bounds is None:
        return None
    widths = [high - low for variable, (low, high) in bounds.items() if variable.cat == pulp.LpContinuous]
    common = _power_of_two(max(widths, default=1.0) / STEPS)
    columns = {}
    for variable, (low, high) in bounds.items():
        if variable.cat == pulp.LpContinuous:
            step = min(common, _power_of_two(max(high - low, 1e-9) / FEWEST_STEPS))
            columns[variable] = _Column(low, step, math.floor((high - low) / step), True)
        else:
            first = math.ceil(low - WHOLE)
            columns[variable] = _Column(float(first), 1.0, max(math.floor(high + WHOLE) - first, 0), False)
    return columns


def _power_of_two(least: float) -> float:
    """The least power of two that is not below; so that steps are multiples of each other, without rounding."""
    return float(2.0 ** math.ceil(math.log2(max(least, 1e-300))))


def _bounds(lp: pulp.LpProblem) -> dict[pulp.LpVariable, tuple[float, float]] | None:
    """Bounds of the variables, those that they do not have themselves from the rows, and from the start.

    No solution that is better than the start is lost with the last: it costs less.
    """
    bounds = {
        v: (-math.inf if v.lowBound is None else float(v.lowBound), math.inf if v.upBound is None else float(v.upBound))
        for v in lp.variables()
    }
    cost = dict(lp.objective.items())
    if cost and all(v.varValue is not None and c > 0 and math.isfinite(bounds[v][0]) for v, c in cost.items()):
        spare = sum(c * (v.varValue - bounds[v][0]) for v, c in cost.items())
        for v, c in cost.items():
            low, high = bounds[v]
            bounds[v] = low, min(high, low + spare / c * (1 + 1e-6) + 1e-9)
    for _ in range(PASSES):
        if all(math.isfinite(low) and math.isfinite(high) for low, high in bounds.values()):
            break
        for row in lp.constraints():
            for terms, most in _at_most(row):
                _tighten(bounds, terms, most)
    if not all(math.isfinite(low) and math.isfinite(high) for low, high in bounds.values()):
        return None
    return bounds


def _tighten(
    bounds: dict[pulp.LpVariable, tuple[float, float]], terms: list[tuple[pulp.LpVariable, float]], most: float
) -> None:
    """Bounds of the one variable of a row that keeps its left side from having a least value."""
    least = [a * (bounds[v][0] if a > 0 else bounds[v][1]) for v, a in terms]
    open_ends = [k for k, value in enumerate(least) if not math.isfinite(value)]
    if len(open_ends) > 1:
        return
    for k in open_ends or range(len(terms)):
        v, a = terms[k]
        low, high = bounds[v]
        if math.isfinite(low) and math.isfinite(high):
            continue
        limit = (most - sum(value for other, value in enumerate(least) if other != k)) / a
        limit += math.copysign(1e-9 * max(abs(limit), 1.0), a)
        bounds[v] = (low, min(high, limit)) if a > 0 else (max(low, limit), high)


def _at_most(row: pulp.LpConstraint) -> list[tuple[list[tuple[pulp.LpVariable, float]], float]]:
    """The row as one or two of the form sum(a x) <= b."""
    terms, right = [(v, float(a)) for v, a in row.items() if a], -float(row.constant)
    rows = []
    if row.sense != pulp.LpConstraintGE:
        rows.append((terms, right))
    if row.sense != pulp.LpConstraintLE:
        rows.append(([(v, -a) for v, a in terms], -right))
    return rows


def _add_row(
    model: cp_model.CpModel,
    row: pulp.LpConstraint,
    columns: dict[pulp.LpVariable, _Column],
    whole: dict[pulp.LpVariable, cp_model.IntVar],
) -> None:
    """The row, loosened; one that cannot be broken is left out."""
    for terms, most in _at_most(row):
        sizes = [a * columns[v].step for v, a in terms]
        scale = _scale(terms, sizes, columns)
        weights = [round(scale * size) for size in sizes]
        right = most - sum(a * columns[v].low for v, a in terms)
        right += sum(-size for (v, _), size in zip(terms, sizes, strict=True) if columns[v].continuous and size < 0)
        lost = sum(
            abs(weight - scale * size) * columns[v].most
            for (v, _), size, weight in zip(terms, sizes, weights, strict=True)
        )
        safety = ROUNDING * (abs(most) + sum(abs(a) * (abs(columns[v].low) + columns[v].step) for v, a in terms))
        limit = math.floor(scale * (right + safety) + lost + WHOLE)
        if sum(max(weight, 0) * columns[v].most for (v, _), weight in zip(terms, weights, strict=True)) > limit:
            model.add(cp_model.LinearExpr.weighted_sum([whole[v] for v, _ in terms], weights) <= limit)


def _scale(
    terms: list[tuple[pulp.LpVariable, float]], sizes: list[float], columns: dict[pulp.LpVariable, _Column]
) -> float:
    """By what to multiply a row: as little as makes the coefficients of continuous variables whole, else much."""
    total = sum(abs(size) * max(columns[v].most, 1) for (v, _), size in zip(terms, sizes, strict=True))
    largest = LARGEST_SUM / max(total, 1e-300)
    continuous = [abs(size) for (v, _), size in zip(terms, sizes, strict=True) if columns[v].continuous]
    scale = 1.0 / min(continuous) if continuous else 1.0
    to_fit = continuous or [abs(size) for size in sizes]
    if scale <= largest and all(abs(scale * size - round(scale * size)) <= WHOLE for size in to_fit):
        return scale
    return _power_of_two(largest) / 2


def _minimise(
    model: cp_model.CpModel,
    lp: pulp.LpProblem,
    columns: dict[pulp.LpVariable, _Column],
    whole: dict[pulp.LpVariable, cp_model.IntVar],
) -> _InSeconds:
    """Add the objective; what turns its values back."""
    terms = [(v, float(c)) for v, c in lp.objective.items() if c]
    if not terms:
        return _InSeconds(1.0, 0.0)
    sizes = [c * columns[v].step for v, c in terms]
    is_whole = all(
        not columns[v].continuous and float(size).is_integer() for (v, _), size in zip(terms, sizes, strict=True)
    )
    total = sum(abs(size) * max(columns[v].most, 1) for (v, _), size in zip(terms, sizes, strict=True))
    scale = 1.0 if is_whole else _power_of_two(LARGEST_SUM / total) / 2
    model.minimize(
        cp_model.LinearExpr.weighted_sum([whole[v] for v, _ in terms], [math.floor(scale * size) for size in sizes])
    )
    constant = sum(c * columns[v].low for v, c in terms)
    constant += sum(size for (v, _), size in zip(terms, sizes, strict=True) if columns[v].continuous and size < 0)
    return _InSeconds(scale, constant)


def _hint(
    model: cp_model.CpModel, columns: dict[pulp.LpVariable, _Column], whole: dict[pulp.LpVariable, cp_model.IntVar]
) -> None:
    """Begin at the values that the variables have."""
    for variable, column in columns.items():
        if variable.varValue is not None:
            steps = math.floor(
                (variable.varValue - column.low) / column.step + (0.5 if not column.continuous else WHOLE)
            )
            model.add_hint(whole[variable], min(max(steps, 0), column.most))
