"""The LP relaxation of a time-indexed model: starts of prefills and admissions on whole ticks."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from solvers.bounds import load, single_machine
from solvers.bounds.parts.bound import Bound, Cost
from solvers.bounds.parts.destructive import PRECISION, ROUND_DOWN, destructive_bound
from solvers.bounds.parts.linear import GaveUpError, Program
from solvers.bounds.parts.pools import Array, Pools, pools, resources
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem
from solvers.problem.ticks import Ticks


@dataclass(frozen=True)
class Tuning:
    """How fine the programs are; any choice gives a valid bound.

    Attributes
    ----------
    resolutions : tuple of int
        Ticks in the mean window of a call; ever finer programs while the time lasts.
    shortest_tick : float
        Seconds.
    spare : float
        The grid for means is this much longer than the work of the busiest stage lasts.
    precision : float
        Relative distance at which the search for a scale stops.
    """

    resolutions: tuple[int, ...] = (20, 60, 180)
    shortest_tick: float = 1e-5
    spare: float = 1.2
    precision: float = PRECISION


TUNING = Tuning()
NAME = "time-indexed-lp"


def compute(problem: OfflineProblem, objective: Objective, time_limit: float, tuning: Tuning = TUNING) -> float:
    """A relaxation because every duration is rounded down to ticks (``solvers.problem.ticks``), then the LP of it.

    Tails and misses: the LP maximises the number of workflows that meet scale s, with windows from heads, tails and
    deadlines; workflows that do not meet it need not run (``destructive``). Means: all calls run, the LP minimises the
    weighted sum of latencies; a call may also start after the last tick, where nothing takes room, so the length of the
    grid weakens the bound at most. Every resolution gives a valid bound; the best one counts.
    The start is what ``load`` or ``single_machine`` finds without an LP.
    """
    cluster = pools(problem)
    stop = time.monotonic() + time_limit
    cheap = load if objective.kind in load.BOUND.objectives else single_machine
    best = cheap.compute(problem, objective, time_limit)
    for resolution in tuning.resolutions:
        left = stop - time.monotonic()
        if left <= 0:
            break
        if objective.kind in ("mean_ratio", "mean_latency"):
            best = max(best, _mean_bound(cluster, objective, resolution, left, tuning))
        else:
            best = max(best, _tail_bound(cluster, objective, resolution, left, best, tuning))
    return best


def _mean_bound(cluster: Pools, objective: Objective, resolution: int, time_limit: float, tuning: Tuning) -> float:
    problem = cluster.problem
    stop = time.monotonic() + time_limit
    unit = np.ones(problem.workflows) if objective.kind == "mean_latency" else problem.horizon
    try:
        program = _Mean(cluster, resolution, unit, tuning, stop).program
    except GaveUpError:
        return 0.0
    excess = program.lower_bound(stop - time.monotonic(), "highs-ipm")
    return 0.0 if excess is None else (excess + float((problem.horizon / unit).mean())) * (1 - ROUND_DOWN)


def _tail_bound(
    cluster: Pools, objective: Objective, resolution: int, time_limit: float, known: float, tuning: Tuning
) -> float:
    def most_kept(scale: float, seconds: float) -> float:
        stop = time.monotonic() + seconds
        try:
            program = _Kept(cluster, resolution, scale, tuning, stop).program
        except GaveUpError:
            return math.inf
        found = program.lower_bound(stop - time.monotonic(), "highs-ipm")
        return math.inf if found is None else -found

    start = max(known, 1.0)
    return destructive_bound(cluster.problem, objective, most_kept, time_limit, start, tuning.precision)


class _Steps:
    """Step variables S[c, k, t], t from first to last: whether c has started on type k by tick t."""

    def __init__(self, program: Program, first: Array, last: Array, seconds: Array, ticks: Ticks) -> None:
        """``first``, ``last``: (N, K) ticks, empty where first > last; ``seconds``: (N, K) durations."""
        self.program, self.first, self.last = program, first, last
        self.length = np.zeros(first.shape, dtype=np.int64)
        self.length[first <= last] = ticks.down(seconds[first <= last])
        count = np.where(first <= last, last - first + 1, 0)
        self._base = np.cumsum(count.ravel()).reshape(first.shape) - count - first
        total = int(count.sum())
        columns = program.variables(total, 1.0)
        self._origin = int(columns[0]) if total else 0
        rows = program.rows(0.0, total)  # S[t - 1] <= S[t]
        program.entries(rows, columns, -1.0)
        later = np.ones(total, dtype=bool)
        later[(self._base + first)[first <= last]] = False
        program.entries(rows[later], columns[later] - 1, 1.0)

    def kinds(self, c: int) -> Array:
        """Types on which c can start."""
        return np.flatnonzero(self.first[c] <= self.last[c])

    def add(self, rows: Array, c: int, k: int, ticks: Array, value: Array | float) -> None:
        """Add ``value`` times S[c, k, tick] to each row; 0 before the first tick, constant after the last."""
        inside = ticks >= self.first[c, k]
        columns = self._origin + self._base[c, k] + np.minimum(ticks[inside], self.last[c, k])
        self.program.entries(rows[inside], columns, np.broadcast_to(value, len(ticks))[inside])

    def end(self, c: Array, k: Array) -> Array:
        """Columns of S at the last tick: whether c runs on k at all."""
        return self._origin + self._base[c, k] + self.last[c, k]


class _Model:
    """What both LPs have in common: starts, precedences and capacities.

    Parameters
    ----------
    cluster : Pools
    resolution : int
        Ticks in the mean window.
    deadline : (N,) float array
        Latest completion of each call, seconds; inf for none.
    grid_end : float
        Seconds; calls that start at this time or later are not told apart, take no room and wait for nothing.
    kept_cost : float
        What the program minimises, for each workflow that is kept.
    tuning : Tuning
    stop : float
        Time of ``time.monotonic`` at which building ends.
    """

    def __init__(
        self,
        cluster: Pools,
        resolution: int,
        deadline: Array,
        grid_end: float,
        kept_cost: float,
        tuning: Tuning,
        stop: float,
    ) -> None:
        self.cluster, self.problem, self.program = cluster, cluster.problem, Program(NAME, stop)
        problem = self.problem
        self.head = problem.head - problem.rounding
        whole = cluster.prefill[:, :, None] + cluster.stay
        self.possible = self.head[:, None, None] + whole <= deadline[:, None, None]
        possible = self.possible
        with np.errstate(invalid="ignore"):
            rest = np.where(possible, cluster.stay, np.inf).min(axis=2)
            stay = np.where(possible, cluster.stay, np.inf).min(axis=1)
            before = np.where(possible, cluster.prefill[:, :, None], np.inf).min(axis=1)
            last = np.minimum(deadline[:, None] - cluster.prefill - rest, grid_end)
            last_stay = np.minimum(deadline[:, None] - stay, grid_end)
        last[~possible.any(axis=2)] = -np.inf
        last_stay[~possible.any(axis=1)] = -np.inf
        self.rest, self.stay = rest, stay
        self.earliest = np.broadcast_to(self.head[:, None], last.shape)
        self.earliest_stay = self.head[:, None] + before
        self.ticks = self._tick(resolution, last, last_stay, tuning.shortest_tick)
        first = self._window(self.earliest, last)
        self.starts = _Steps(self.program, *first, cluster.prefill, self.ticks)
        self.admissions = _Steps(self.program, *self._window(self.earliest_stay, last_stay), stay, self.ticks)
        self.grid_ticks = int(self.ticks.down(grid_end))
        self.kept = self.program.variables(problem.workflows, 1.0, kept_cost)
        self._choose_modes()
        self._precedence()
        self._capacity()

    def _tick(self, resolution: int, last: Array, last_stay: Array, shortest: float) -> Ticks:
        spans = np.concatenate([(last - self.earliest).ravel(), (last_stay - self.earliest_stay).ravel()])
        spans = spans[np.isfinite(spans)]
        return Ticks(max(float(spans.mean()) / resolution if len(spans) else 1.0, shortest))

    def _window(self, first: Array, last: Array) -> tuple[Array, Array]:
        empty = ~np.isfinite(last)
        first_tick = self.ticks.down(np.where(empty, 0.0, np.maximum(first, 0.0)))
        last_tick = self.ticks.down(np.where(empty, 0.0, np.maximum(last, 0.0)))
        return first_tick, np.where(empty, first_tick - 1, np.maximum(last_tick, first_tick))

    def _choose_modes(self) -> None:
        """z_ckl: c runs on types (k, l); it starts and is admitted there and nowhere else, if its workflow is kept."""
        program, problem = self.program, self.problem
        c, k, j = np.nonzero(self.possible)
        z = program.variables(len(c), 1.0)
        rows = program.rows(0.0, problem.calls)  # sum_kl z_ckl <= u_w
        program.entries(rows[c], z, 1.0)
        program.entries(rows, self.kept[problem.workflow], -1.0)
        for steps, kind in ((self.starts, k), (self.admissions, j)):
            kinds = steps.first.shape[1]
            rows = program.rows(0.0, problem.calls * kinds)  # S at its end <= sum of z
            program.entries(rows[c * kinds + kind], z, -1.0)
            at = np.nonzero(steps.first <= steps.last)
            ends = steps.end(*at)
            program.entries(rows[at[0] * kinds + at[1]], ends, 1.0)
            rows = program.rows(0.0, problem.calls)  # u_w <= S at its end, over all types
            program.entries(rows[at[0]], ends, -1.0)
            program.entries(rows, self.kept[problem.workflow], 1.0)

    def _precedence(self) -> None:
        """By any tick, a successor has started no more than its predecessor had ended (disaggregated)."""
        for c in range(self.problem.calls):
            self._after(self.admissions, c, self.starts, c, self.cluster.prefill[c])
            for parent in self.problem.parents[c]:
                self._after(self.starts, c, self.admissions, parent, self.stay[parent] + self.problem.delay[c])

    def _after(self, later: _Steps, c: int, sooner: _Steps, p: int, seconds: Array) -> None:
        kinds, before = later.kinds(c), sooner.kinds(p)
        if not len(kinds):
            return
        at = np.arange(later.first[c, kinds].min(), min(later.last[c, kinds].max() + 1, self.grid_ticks))
        rows = self.program.rows(0.0, len(at))
        for k in kinds:
            later.add(rows, c, k, at, 1.0)
        for k in before:
            sooner.add(rows, p, k, at - int(self.ticks.down(seconds[k])), -1.0)

    def _capacity(self) -> None:
        """At any tick, those that run on a type are no more than its instances have room for."""
        self._limit(self.starts, np.ones(self.starts.first.shape), self.cluster.prefill_count)
        for demand in self.cluster.demands:
            self._limit(self.admissions, demand, self.cluster.decode_count)

    def _limit(self, steps: _Steps, demand: Array, room: Array) -> None:
        for k in range(len(room)):
            calls = np.flatnonzero((steps.first[:, k] <= steps.last[:, k]) & (steps.length[:, k] > 0)).tolist()
            if not calls:
                continue
            end = np.minimum(steps.last[calls, k] + steps.length[calls, k], self.grid_ticks)
            busy = _Stretches(steps.first[calls, k], end)
            rows = self.program.rows(float(room[k]), busy.count)
            for c, last in zip(calls, end.tolist(), strict=True):
                at = np.arange(steps.first[c, k], last)
                steps.add(rows[busy.place(at)], c, k, at, demand[c, k])
                steps.add(rows[busy.place(at)], c, k, at - steps.length[c, k], -demand[c, k])


class _Stretches:
    """Ticks at which something may be under way, one after another: those between stretches are left out.

    Parameters
    ----------
    begin, end : (n,) int arrays
        Each covers the ticks from ``begin`` up to but not including ``end``.
    """

    def __init__(self, begin: Array, end: Array) -> None:
        order = np.argsort(begin, kind="stable")
        begin, reach = begin[order], np.maximum.accumulate(end[order])
        first = np.flatnonzero(np.r_[True, begin[1:] > reach[:-1]])
        self._begin = begin[first]
        length = np.maximum(reach[np.r_[first[1:] - 1, len(begin) - 1]] - self._begin, 0)
        self._before = np.cumsum(length) - length
        self.count = int(length.sum())

    def place(self, ticks: Array) -> Array:
        """The number of each tick among those covered."""
        stretch = np.searchsorted(self._begin, ticks, side="right") - 1
        return np.asarray(self._before[stretch] + ticks - self._begin[stretch])


class _Kept(_Model):
    """Maximise the number of workflows that meet a scale."""

    def __init__(self, cluster: Pools, resolution: int, scale: float, tuning: Tuning, stop: float) -> None:
        problem = cluster.problem
        w = problem.workflow
        deadline = problem.arrival[w] + scale * problem.horizon[w] - problem.tail + problem.rounding
        super().__init__(cluster, resolution, deadline, float(deadline.max()) + 1.0, -1.0, tuning, stop)


class _Mean(_Model):
    """Minimise the mean of L_w / unit_w, ``unit`` (W,) in seconds: 1 or H_w."""

    def __init__(self, cluster: Pools, resolution: int, unit: Array, tuning: Tuning, stop: float) -> None:
        problem = cluster.problem
        whole = cluster.prefill[:, :, None] + cluster.stay
        longest = float(whole[np.isfinite(whole)].max())
        drained = max((float(x.head.min() + x.work.sum() / x.rate) for x in resources(cluster)), default=0.0)
        grid_end = max(float((problem.head + problem.best).max()), tuning.spare * drained) + longest
        super().__init__(
            cluster, resolution, np.full(problem.calls, grid_end + 2 * longest), grid_end, 0.0, tuning, stop
        )
        rows = self.program.rows(-1.0, problem.workflows)
        self.program.entries(rows, self.kept, -1.0)
        self._latencies(unit)

    def _latencies(self, unit: Array) -> None:
        """L_w is at least the mean of start + what must follow + tail - a_w over the starts of any of its calls.

        Columns are L_w - H_w >= 0. Their upper bounds are those of a best schedule: it is no worse on average than
        serving all calls one after another from the last arrival on.
        """
        program, problem = self.program, self.problem
        w = problem.workflow
        serial = problem.arrival.max() + float((problem.delay + problem.best).sum()) - problem.arrival
        excess = program.variables(
            problem.workflows, unit * float((serial / unit).sum()), 1 / (problem.workflows * unit)
        )
        follows = self.cluster.prefill + self.rest
        for steps, earliest, seconds in (
            (self.starts, self.earliest, follows),
            (self.admissions, self.earliest_stay, self.stay),
        ):
            rows = program.rows((problem.arrival + problem.horizon)[w] - problem.tail, problem.calls)
            program.entries(rows, excess[w], -1.0)
            for c in range(problem.calls):
                for k in steps.kinds(c):
                    at = np.arange(steps.first[c, k], steps.last[c, k] + 1)
                    begin = np.maximum(self.ticks.back(at), earliest[c, k])
                    # sum_t begin_t (S_t - S_{t-1}) by parts
                    value = np.append(-np.diff(begin), begin[-1] + seconds[c, k])
                    steps.add(np.full(len(at), rows[c]), c, k, at, value)


BOUND = Bound(
    name=NAME,
    summary="LP relaxation of the time-indexed model, durations rounded down to ticks",
    citation="Dyer and Wolsey, Formulating the single machine sequencing problem with release dates, 1990",
    compute=compute,
    cost=Cost.LINEAR_PROGRAM,
    decode_models=("fixed",),  # in ``fluid`` it holds for decodes alone, and says less than ``window-lp``
)
