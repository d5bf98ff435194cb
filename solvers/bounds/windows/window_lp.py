"""The LP of one scale: both stages preemptively, in time windows, with batches that slow calls down."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from solvers.bounds.parts.linear import Program
from solvers.bounds.windows.batch_modes import BatchMode
from solvers.problem.offline import Array, OfflineProblem

TIME_DIGITS = 6  # limits of the grid are told apart to microseconds


@dataclass(frozen=True)
class Level:
    """How finely an LP looks, and at what; any choice gives a valid bound.

    Attributes
    ----------
    intervals : int
        Most intervals of the time grid.
    prefill, decode : bool
        Stages that are in it; the other one is taken to have room for everything.
    batches : tuple of int
        Batch sizes that the decode stage tells apart.
    """

    intervals: int
    prefill: bool = True
    decode: bool = True
    batches: tuple[int, ...] = (2, 4, 8, 16, 64)


def time_grid(problem: OfflineProblem, scale: float, end_scale: float, level: Level) -> Array:
    """Interval limits: starts and ends of windows at ``scale``, thinned out evenly when there are too many.

    So intervals are short where many calls must be served. The last one ends with the last window at ``end_scale``.
    """
    x = _Windows.of(problem, scale)
    at = x.possible
    parts = [x.head[at]]
    if level.prefill:
        parts.append(x.prefill_until[at].max(axis=1, initial=-np.inf))
    if level.decode:
        parts += [x.decode_from[at].min(axis=1, initial=np.inf), x.deadline[at]]
    limits = np.concatenate(parts)
    limits = np.unique(limits[np.isfinite(limits)].round(TIME_DIGITS))
    if len(limits) > level.intervals:
        limits = limits[np.linspace(0, len(limits) - 1, level.intervals).round().astype(int)]
    start, stop = x.head.min(), _Windows.of(problem, end_scale).deadline.max()
    return np.concatenate([[start], limits[(limits > start) & (limits < stop)], [stop]])


class WindowLP:
    """The LP of one scale s: maximise the weight of the workflows that are kept, the shares u_w.

    Variables, over the intervals t that meet a call's window: x_ckt, seconds that c is in prefill on type k; v_clbt,
    share of its tokens decoded on type l in mode b, which takes m stay_clb seconds of its time and m cost_clb of an
    instance's (see ``batch_modes``).

    Windows: c meets s only if it runs between its head and a_w + s H_w less its tail, and each part of it leaves the
    least that the parts before and after need. A schedule in which w meets s satisfies, with u_w = 1,

    - sum_kt x_ckt / P_ck >= u_w and sum_lbt v_clbt >= u_w: all is done;
    - on a path of calls, sum of x + m stay v <= u_w times the part of |t| in which any of their windows is open: one
      place at a time;
    - over all t, for each call, the same with its transfer and with what its own growing KV adds, d2 m^2 / 2, is at
      most u_w times its window;
    - sum of x <= n_k |t| and sum of m cost v <= n_l |t|: what instances have;
    - sum of (n + m) m stay v <= M n_l |t|: reservations, those in transfer left out.

    Workflows that miss s are taken out entirely (u_w = 0), which relaxes.

    Parameters
    ----------
    problem : OfflineProblem
    paths : list of list of int
        Paths of calls, of which no two are ever served at once.
    modes : list of list of BatchMode
        For each decode type.
    scale : float
    grid : (T + 1,) float array
        Interval limits, around all windows.
    level : Level
    weight : (W,) float array
    stop : float
        Time of ``time.monotonic`` at which building ends.
    """

    def __init__(
        self,
        problem: OfflineProblem,
        paths: list[list[int]],
        modes: list[list[BatchMode]],
        scale: float,
        grid: Array,
        level: Level,
        weight: Array,
        stop: float = math.inf,
    ) -> None:
        self.problem, self.grid, self.program = problem, grid, Program("window-lp", stop)
        self.windows = _Windows.of(problem, scale)
        self.length = np.diff(grid)
        able = np.ones(problem.workflows)
        able[problem.workflow[~self.windows.possible]] = 0.0
        self.able = able[problem.workflow] > 0
        self.kept = self.program.variables(problem.workflows, able, cost=-weight)
        self._one_place_at_a_time(paths)
        self.whole = self.program.rows(0.0, problem.calls)  # time in service, at most the window
        span = np.maximum(self.windows.deadline - self.windows.head, 0.0)
        self.program.entries(self.whole, self.kept[problem.workflow], -span)
        if level.prefill:
            self._add_prefill()
        if level.decode:
            self._add_decode(modes)

    def _rooms(self, first: Array, last: Array) -> tuple[Array, Array, Array, Array]:
        """Calls, types and intervals of windows [first, last], (N, types), and the seconds that they share."""
        c, k = np.nonzero((last > first) & self.able[:, None])
        first, last = first[c, k], last[c, k]
        begin = np.searchsorted(self.grid, first, side="right") - 1
        count = np.searchsorted(self.grid, last, side="left") - begin
        which = np.repeat(np.arange(len(c)), count)
        t = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + begin[which]
        room = np.minimum(last[which], self.grid[t + 1]) - np.maximum(first[which], self.grid[t])
        keep = room > 0
        which, t = which[keep], t[keep]
        return c[which], k[which], t, room[keep]

    def _one_place_at_a_time(self, paths: list[list[int]]) -> None:
        """A row for every path and interval; ``_occupy`` fills them."""
        steps = len(self.length)
        first_row = [self.program.rows(0.0, steps)[0] for _ in paths]
        calls = [(c, row) for path, row in zip(paths, first_row, strict=True) for c in path]
        self.on_path, self.path_row = (np.array(x) for x in zip(*calls, strict=True))
        order = np.argsort(self.on_path, kind="stable")
        self.on_path, self.path_row = self.on_path[order], self.path_row[order]
        for path, row in zip(paths, first_row, strict=True):
            column = self.kept[self.problem.workflow[path[0]]]
            self.program.entries(row + np.arange(steps), column, -self._open(path))

    def _open(self, path: list[int]) -> Array:
        """Seconds of each interval in which a window of the path is open, (T,); heads and deadlines grow along it."""
        first, last = self.windows.head[path], np.maximum.accumulate(self.windows.deadline[path])
        first = np.maximum(first, np.concatenate([[-np.inf], last[:-1]]))
        last = np.maximum(first, last)
        limits = np.column_stack([first, last]).ravel()
        before = np.column_stack([np.zeros(len(path)), last - first]).ravel().cumsum()
        return np.diff(np.interp(self.grid, limits, before))

    def _occupy(self, c: Array, t: Array, columns: Array, seconds: Array | float) -> None:
        """Time that calls spend in a place: their own, and that of every path that they are on."""
        begin = np.searchsorted(self.on_path, c, side="left")
        count = np.searchsorted(self.on_path, c, side="right") - begin
        which = np.repeat(np.arange(len(c)), count)
        at = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + begin[which]
        seconds = np.broadcast_to(seconds, c.shape)
        self.program.entries(self.path_row[at] + t[which], columns[which], seconds[which])
        self.program.entries(self.whole[c], columns, seconds)

    def _all_is_done(self, c: Array, columns: Array, share: Array | float) -> None:
        rows = self.program.rows(0.0, self.problem.calls)
        self.program.entries(rows, self.kept[self.problem.workflow], 1.0)
        self.program.entries(rows[c], columns, -np.broadcast_to(share, c.shape))

    def _capacity(self, count: Array, each: Array | float, k: Array, t: Array, columns: Array, amounts: Array) -> None:
        """In each interval a type gives no more than ``count`` times ``each`` a second; rows divided by that."""
        steps = len(self.length)
        supply = np.broadcast_to(count * each, count.shape)
        rows = self.program.rows(np.tile(self.length, len(count)), len(count) * steps)
        self.program.entries(rows[k * steps + t], columns, amounts / supply[k])

    def _add_prefill(self) -> None:
        problem, x = self.problem, self.windows
        first = np.broadcast_to(x.head[:, None], x.prefill_until.shape)
        c, k, t, room = self._rooms(first, x.prefill_until)
        columns = self.program.variables(len(c), room)
        self._all_is_done(c, columns, 1.0 / problem.prefill_of_type[c, k])
        self._occupy(c, t, columns, 1.0)
        self._capacity(problem.prefill_types.count, 1.0, k, t, columns, np.ones(len(c)))

    def _add_decode(self, modes: list[list[BatchMode]]) -> None:
        problem, x = self.problem, self.windows
        c, k, t, room = self._rooms(x.decode_from, np.broadcast_to(x.deadline[:, None], x.decode_from.shape))
        # every (call, type, interval) in each mode of the type
        offset = np.cumsum([0, *(len(found) for found in modes)])
        count = np.diff(offset)[k]
        which = np.repeat(np.arange(len(c)), count)
        mode = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + offset[k[which]]
        c, k, t, room = c[which], k[which], t[which], room[which]
        every = [one for found in modes for one in found]
        stay = np.stack([one.stay for one in every])[mode, c] * problem.output[c]
        cost = np.stack([one.cost for one in every])[mode, c] * problem.output[c]
        share = self.program.variables(len(c), np.minimum(room / stay, 1.0))
        self._all_is_done(c, share, 1.0)
        self._occupy(c, t, share, stay)
        own = problem.transfer_of_type.min(axis=1) + problem.decode_of_type - problem.output[:, None] * x.first_token
        self.program.entries(self.whole[c], share, own[c, k])
        self._capacity(problem.decode_types.count, 1.0, k, t, share, cost)
        held = (problem.prompt + problem.output)[c]
        self._capacity(
            problem.decode_types.count, problem.capacity[problem.decode_types.first], k, t, share, stay * held
        )


@dataclass(frozen=True)
class _Windows:
    """When each part of a call can run in a schedule in which its workflow meets the scale.

    Attributes
    ----------
    head, deadline : (N,) float arrays
    prefill_until : (N, K) float array
        Latest end of a prefill.
    decode_from : (N, L) float array
        Earliest start of the stay; inf where it would come too late.
    first_token : (N, L) float array
        g(1) + d2 n, the least that a token takes.
    possible : (N,) bool array
        Whether the call has time enough when alone.
    """

    head: Array
    deadline: Array
    prefill_until: Array
    decode_from: Array
    first_token: Array
    possible: Array

    @staticmethod
    def of(problem: OfflineProblem, scale: float) -> _Windows:
        w = problem.workflow
        head = problem.head - problem.rounding
        deadline = problem.arrival[w] + scale * problem.horizon[w] - problem.tail + problem.rounding
        stay = problem.transfer_of_type + problem.decode_of_type[:, None, :]
        whole = head[:, None, None] + problem.prefill_of_type[:, :, None] + stay
        able = whole <= deadline[:, None, None]
        rest = np.where(able, stay, np.inf).min(axis=2)
        before = np.where(able, problem.prefill_of_type[:, :, None], np.inf).min(axis=1)
        if problem.fluid:
            d2 = np.array([machine.decode_coeffs[2] for machine in problem.decode_machines])
            first = np.array([machine.batch_seconds(1) for machine in problem.decode_machines])
            token = first + d2 * problem.prompt[:, None]
        else:
            theta = [float(machine.fixed_iteration_time) for machine in problem.decode_machines]
            token = np.broadcast_to(theta, problem.decode_of_type.shape)
        return _Windows(
            head=head,
            deadline=deadline,
            prefill_until=deadline[:, None] - rest,
            decode_from=head[:, None] + before,
            first_token=token,
            possible=able.any(axis=(1, 2)),
        )
