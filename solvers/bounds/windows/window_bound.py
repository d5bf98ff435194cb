"""Lower bounds from window LPs: how many workflows can meet a scale, for as many scales as it takes."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from solvers.bounds import critical_path
from solvers.bounds.parts.destructive import KEPT_SLACK, ROUND_DOWN
from solvers.bounds.parts.linear import GaveUpError, Program
from solvers.bounds.preemptive_lp import path_cover
from solvers.bounds.windows.batch_modes import batch_modes
from solvers.bounds.windows.window_lp import Level, WindowLP, time_grid
from solvers.problem.objective import Objective
from solvers.problem.offline import Array, OfflineProblem


@dataclass(frozen=True)
class Tuning:
    """Which scales are tried; any choice gives a valid bound.

    Attributes
    ----------
    first_step : float
        Relative, from the scale that is proved to the next one tried.
    finer_step : float
        The same where a coarser level has been there.
    reach : float
        The duals of scale s are tried at scales up to ``reach`` s.
    halvings : int
        Of the range of scales in which duals are tried.
    precision : float
        Relative distance at which the search for a scale stops.
    mean_precision : float
        Relative worth of a scale at which the search for a mean stops.
    between : int
        Scales at which duals are tried on either side of their own, for a mean.
    """

    first_step: float = 0.05
    finer_step: float = 0.004
    reach: float = 1.25
    halvings: int = 7
    precision: float = 1e-3
    mean_precision: float = 1e-3
    between: int = 5


TUNING = Tuning()

LEVELS = (  # cheap ones first: each begins where the one before ended
    Level(16, decode=False),
    Level(16),
    Level(40, decode=False),
    Level(40),
    Level(96, decode=False),
    Level(96),
)


def window_lp_bound(
    problem: OfflineProblem,
    objective: Objective,
    time_limit: float,
    levels: Sequence[Level] = LEVELS,
    start: float = 1.0,
    tuning: Tuning = TUNING,
) -> float:
    """Lower bound from linear programs over time windows; valid however early the time runs out.

    Any schedule is a point of the LP of scale s (see ``WindowLP``) with u = 1 for the workflows that meet s. So the LP
    of s limits their number:

    - ``max_ratio`` and ``req``: a scale that too few workflows can meet is a lower bound.
    - ``misses(s)``: the others miss it.
    - ``mean_ratio``: a ratio is the integral over s of [ratio > s], so their sum is that of misses(s).
    - ``mean_latency``: the same with the weight H_w for each workflow, since L_w = H_w ratio.

    LPs of different scales have the same rows as long as they share their time grid, and any y >= 0 proves something
    of each of them (``Program.proved_by``). So the duals of one scale are tried at others, which costs no solver.

    Parameters
    ----------
    problem : OfflineProblem
    objective : Objective
    time_limit : float
        Seconds.
    levels : sequence of Level
        LPs to use one after the other, as far as the time allows.
    start : float
        A bound of ``max_ratio`` or ``req`` that is known already: where the search begins.
    tuning : Tuning
    """
    stop = time.monotonic() + time_limit
    best = critical_path.compute(problem, objective)
    weight = problem.horizon if objective.kind == "mean_latency" else np.ones(problem.workflows)
    if objective.kind == "misses" and best > 0:
        return best  # a scale that nothing can meet
    if objective.is_tail:
        best = max(best, start)
    paths = path_cover(problem, stop - time_limit / 2)
    known: Kept = {1.0: float(weight.sum())}
    for position, level in enumerate(levels):
        if time.monotonic() >= stop:
            break
        family = _Family(problem, paths, level, weight, stop, tuning)
        if objective.is_tail:
            needed = problem.workflows - objective.dropped(problem.workflows)
            step = tuning.finer_step if position else tuning.first_step
            best = _largest_refuted(family, needed, best, step, stop)
        elif objective.kind == "misses":
            kept, _ = family.solve(objective.parameter * (1 + ROUND_DOWN))
            best = max(best, float(problem.workflows - math.floor(min(kept, problem.workflows) + KEPT_SLACK)))
        else:
            _trace_misses(family, known, objective.kind == "mean_ratio", stop)
            best = max(best, (1 - ROUND_DOWN) * _integral(known) / problem.workflows)
    return best


Duals = Callable[[float], float]  # scale -> no schedule keeps more at that scale; inf where these duals say nothing
Kept = dict[float, float]  # scale -> weight that misses every scale below it


class _Family:
    """The LPs of one level, over scales.

    Parameters
    ----------
    problem : OfflineProblem
    paths : list of list of int
    level : Level
    weight : (W,) float array
    stop : float
        Time of ``time.monotonic`` at which to give up.
    tuning : Tuning
    """

    def __init__(
        self,
        problem: OfflineProblem,
        paths: list[list[int]],
        level: Level,
        weight: Array,
        stop: float,
        tuning: Tuning,
    ) -> None:
        self.tuning = tuning
        self.problem, self.paths, self.level, self.weight, self.stop = problem, paths, level, weight, stop
        kinds = range(len(problem.decode_machines)) if level.decode else ()
        self.modes = [batch_modes(problem, kind, level.batches) for kind in kinds]

    def solve(self, scale: float) -> tuple[float, Duals]:
        """The most weight that can meet a scale, and what the duals say of others; inf when the time ran out."""
        grid = time_grid(self.problem, scale, self.tuning.reach * scale, self.level)
        try:
            program = self._program(scale, grid)
        except GaveUpError:
            return math.inf, lambda _: math.inf
        y = program.duals(self.stop - time.monotonic(), "highs-ipm")
        if y is None:
            return math.inf, lambda _: math.inf

        def elsewhere(other: float) -> float:
            if other > self.tuning.reach * scale:
                return math.inf
            try:
                return -self._program(other, grid).proved_by(y)
            except GaveUpError:
                return math.inf

        return -program.proved_by(y), elsewhere

    def _program(self, scale: float, grid: Array) -> Program:
        return WindowLP(self.problem, self.paths, self.modes, scale, grid, self.level, self.weight, self.stop).program


def _largest_refuted(family: _Family, needed: int, low: float, step: float, stop: float) -> float:
    """The largest scale found that fewer than ``needed`` workflows can meet; ``low`` is one already, or 1.

    Steps upwards, from ``step`` on, that grow as long as scales are refuted; then bisection. Every refuted scale is a
    proof by itself.
    """
    high = math.inf
    while high > low * (1 + family.tuning.precision) and time.monotonic() < stop:
        scale = low * (1 + step) if high == math.inf else (low + high) / 2
        kept, elsewhere = family.solve(scale)
        if kept == math.inf:
            break
        if kept < needed - KEPT_SLACK:
            proved, limit, step = scale, min(high, family.tuning.reach * scale), 2 * step
        else:
            proved, limit, high = low, scale, scale
        for _ in range(family.tuning.halvings):
            if time.monotonic() >= stop:
                break
            middle = (proved + limit) / 2
            proved, limit = (middle, limit) if elsewhere(middle) < needed - KEPT_SLACK else (proved, middle)
        low = max(low, proved * (1 - ROUND_DOWN))
    return low


def _trace_misses(family: _Family, known: Kept, whole: bool, stop: float) -> None:
    """Fill ``known``: scales upwards until nothing need miss, then in the middle of the step that may be worth most.

    ``whole`` says that the weights are 1, so that a part of a workflow that misses is a workflow that does.
    """
    total = known[1.0]

    def look(scale: float) -> bool:
        kept, elsewhere = family.solve(scale)
        if kept == math.inf:
            return False
        below = max(s for s in known if s < scale)
        above = min((s for s in known if s > scale), default=family.tuning.reach * scale)
        record(scale, kept)
        for end in (below, min(above, family.tuning.reach * scale)):
            for other in np.linspace(scale, end, family.tuning.between + 2)[1:-1].tolist():
                if time.monotonic() < stop:
                    record(other, elsewhere(other))
        return True

    def record(scale: float, kept: float) -> None:
        missed = max(total - kept, 0.0)
        if whole:
            missed = float(math.ceil(missed - KEPT_SLACK))
        known[scale] = max(known.get(scale, 0.0), missed)

    step = family.tuning.first_step
    solved = [1.0]
    while time.monotonic() < stop and known[solved[-1]] > KEPT_SLACK * total:
        scale = solved[-1] * (1 + step)
        if not look(scale):
            return
        solved.append(scale)
        step *= 1.5
    while time.monotonic() < stop:
        worth = [(b - a) * (known[a] - known[b]) for a, b in itertools.pairwise(solved)]
        widest = int(np.argmax(worth))
        if worth[widest] < family.tuning.mean_precision * total:
            return
        middle = (solved[widest] + solved[widest + 1]) / 2
        if not look(middle):
            return
        solved.insert(widest + 1, middle)


def _integral(known: Kept) -> float:
    """The integral of the missed weight over s >= 0, from below: it falls with s, and all of it misses s < 1."""
    scales = sorted(known)
    missed = np.maximum.accumulate([known[s] for s in reversed(scales)])[::-1]
    return float(known[1.0] + np.diff(scales) @ missed[1:])
