"""Both stages preemptively on unrelated machine types: can enough workflows meet a scale?"""

from __future__ import annotations

import math
import time

import numpy as np

from solvers.bounds import load
from solvers.bounds.parts.bound import Bound, Cost
from solvers.bounds.parts.destructive import destructive_bound
from solvers.bounds.parts.linear import GaveUpError, Program
from solvers.bounds.parts.pools import Array, Pools, pools
from solvers.problem.objective import Objective
from solvers.problem.offline import OfflineProblem

NAME = "preemptive-lp"
INTERVALS = 72  # most intervals of the time grid; any grid is valid
TIME_DIGITS = 6  # limits of the grid are told apart to microseconds


def compute(problem: OfflineProblem, objective: Objective, time_limit: float) -> float:
    """Maximise the (fractional) number of workflows that meet scale s in the preemptive relaxation; see ``_Model``.

    The search begins where ``load``, which takes no LP, ends.

    Any real schedule is a point of the LP with u = 1 for the workflows that meet s and nothing at all done for the
    others, so no schedule has more of them than the LP's value. ``destructive`` turns that into bounds of
    ``max_ratio``, ``req`` and ``misses``; ``linear.Program.lower_bound`` keeps solver tolerances out.
    """
    end = time.monotonic() + time_limit
    known = load.compute(problem, objective, time_limit / 2)
    cluster = pools(problem)
    paths = path_cover(problem, (time.monotonic() + end) / 2)

    def most_kept(scale: float, seconds: float) -> float:
        stop = time.monotonic() + seconds
        try:
            model = _Model(cluster, paths, scale, stop)
        except GaveUpError:
            return math.inf
        found = model.program.lower_bound(stop - time.monotonic())
        return math.inf if found is None else -found

    start = known if objective.is_tail else 1.0
    return max(known, destructive_bound(problem, objective, most_kept, end - time.monotonic(), start))


def path_cover(problem: OfflineProblem, stop: float = math.inf) -> list[list[int]]:
    """Paths of the precedence graph that cover all calls; each takes the longest way through calls not yet covered.

    A workflow takes as many rounds as it is wide. At ``stop``, a time of ``time.monotonic``, calls not yet covered
    become paths of their own: what follows from fewer or shorter paths holds as well, it only says less.
    """
    covered = np.zeros(problem.calls, dtype=bool)
    paths = []
    first = np.searchsorted(problem.workflow, np.arange(problem.workflows + 1))  # calls lie workflow by workflow
    while not covered.all() and time.monotonic() < stop:
        reach = np.zeros(problem.calls, dtype=np.int64)
        following = np.full(problem.calls, -1)
        for c in problem.topological[::-1]:
            for x in problem.children[c]:
                if reach[x] > reach[c]:
                    reach[c], following[c] = reach[x], x
            reach[c] += not covered[c]
        newly = covered.copy()
        for w in range(problem.workflows):  # workflows share no path
            c = int(first[w] + np.argmax(reach[first[w] : first[w + 1]]))
            if reach[c] == 0:
                continue
            path = []
            while c >= 0:
                path.append(c)
                newly[c] = True
                c = int(following[c])
            paths.append(path)
        covered = newly
    paths += [[c] for c in np.flatnonzero(~covered).tolist()]
    return paths


class _Model:
    """The LP of one scale.

    Variables: u_w, the share of workflow w that is kept; z_ckl, the share of c that runs on types (k, l); x_ckt and
    y_clt, the seconds that c spends in prefill on k, and admitted on l, in interval t.

    Parameters
    ----------
    cluster : Pools
    paths : list of list of int
        Paths of calls, of which no two are ever served at once.
    scale : float
    stop : float
        Time of ``time.monotonic`` at which building ends.
    """

    def __init__(self, cluster: Pools, paths: list[list[int]], scale: float, stop: float) -> None:
        self.cluster = cluster
        self.problem = problem = cluster.problem
        self.program = Program(NAME, stop)
        w = problem.workflow
        self.deadline = problem.arrival[w] + scale * problem.horizon[w] - problem.tail + problem.rounding
        self.head = problem.head - problem.rounding
        whole = cluster.prefill[:, :, None] + cluster.stay
        self.possible = self.head[:, None, None] + whole <= self.deadline[:, None, None]  # (N, K, L)
        self.grid = self._grid()
        self._add_shares()
        self._add_times()
        self._serve_what_is_kept()
        self._one_place_at_a_time(paths)
        self._capacity()

    def _grid(self) -> Array:
        """Interval limits: starts and ends of windows, thinned out evenly when there are too many."""
        cluster, any_mode = self.cluster, self.possible.any(axis=(1, 2))
        begin = self.head + cluster.prefill.min(axis=1)
        end = self.deadline - cluster.rest.min(axis=1)
        limits = np.concatenate([x[any_mode] for x in (self.head, begin, end, self.deadline)])
        limits = np.unique(limits.round(TIME_DIGITS))
        if len(limits) > INTERVALS:
            limits = limits[np.linspace(0, len(limits) - 1, INTERVALS).round().astype(int)]
        start, stop = self.head.min(), self.deadline.max()
        return np.concatenate([[start], limits[(limits > start) & (limits < stop)], [stop]])

    def _overlap(self, first: Array, last: Array) -> Array:
        """Seconds that window [first, last] shares with each interval, (T,)."""
        return np.maximum(np.minimum(last, self.grid[1:]) - np.maximum(first, self.grid[:-1]), 0.0)

    def _add_shares(self) -> None:
        self.kept = self.program.variables(self.problem.workflows, 1.0, cost=-1.0)
        self.mode = np.full(self.possible.shape, -1)
        self.mode[self.possible] = self.program.variables(int(self.possible.sum()), 1.0)

    def _add_times(self) -> None:
        """Time columns inside the windows: [head, deadline - rest] for prefill, [head + P, deadline] for the stay."""
        cluster, (calls, kinds, others) = self.cluster, self.possible.shape
        steps = len(self.grid) - 1
        self.x = np.full((calls, kinds, steps), -1)
        self.y = np.full((calls, others, steps), -1)
        for c in range(calls):
            possible = self.possible[c]
            for k in np.flatnonzero(possible.any(axis=1)):
                rest = cluster.stay[c, k, possible[k]].min()
                room = self._overlap(self.head[c], self.deadline[c] - rest)
                self._columns(self.x[c, k], room)
            for j in np.flatnonzero(possible.any(axis=0)):
                begin = self.head[c] + cluster.prefill[c, possible[:, j]].min()
                self._columns(self.y[c, j], self._overlap(begin, self.deadline[c]))

    def _columns(self, at: Array, room: Array) -> None:
        inside = np.flatnonzero(room > 0)
        at[inside] = self.program.variables(len(inside), room[inside])

    def _serve_what_is_kept(self) -> None:
        """A kept call runs on one pair of types, and takes its time on either."""
        program, problem, stay = self.program, self.problem, self.cluster.stay
        rows = program.rows(0.0, problem.calls)  # u_w <= sum_kl z_ckl
        program.entries(rows, self.kept[problem.workflow], 1.0)
        c, k, j = np.nonzero(self.possible)
        z = self.mode[c, k, j]
        program.entries(rows[c], z, -1.0)
        # sum_l P_ck z_ckl <= sum_t x_ckt, and sum_k stay_ckl z_ckl <= sum_t y_clt
        for times, stage, seconds in ((self.x, k, self.cluster.prefill[c, k]), (self.y, j, stay[c, k, j])):
            kinds = times.shape[1]
            rows = program.rows(0.0, problem.calls * kinds)
            program.entries(rows[c * kinds + stage], z, seconds)
            at = np.nonzero(times >= 0)
            program.entries(rows[at[0] * kinds + at[1]], times[at], -1.0)

    def _one_place_at_a_time(self, paths: list[list[int]]) -> None:
        """Calls on a path, and prefill and stay of each, exclude each other: at most |t| u_w seconds in interval t."""
        steps = len(self.grid) - 1
        length = np.diff(self.grid)
        for path in paths:
            rows = self.program.rows(0.0, steps)
            self.program.entries(rows, self.kept[self.problem.workflow[path[0]]], -length)
            for times in (self.x, self.y):
                columns = times[path]
                at = np.nonzero(columns >= 0)
                self.program.entries(rows[at[2]], columns[at], 1.0)

    def _capacity(self) -> None:
        """In each interval a type gives no more than its instances have: seconds of prefill, and of every demand."""
        length = np.diff(self.grid)
        c, k, t = np.nonzero(self.x >= 0)
        rows = self.program.rows((self.cluster.prefill_count[:, None] * length).ravel(), self.x.shape[1] * len(length))
        self.program.entries(rows[k * len(length) + t], self.x[c, k, t], 1.0)
        c, j, t = np.nonzero(self.y >= 0)
        for demand in self.cluster.demands:
            limit = (self.cluster.decode_count[:, None] * length).ravel()
            rows = self.program.rows(limit, len(limit))
            self.program.entries(rows[j * len(length) + t], self.y[c, j, t], demand[c, j])


BOUND = Bound(
    name=NAME,
    summary="preemptive LP of both stages on unrelated machine types, in time windows",
    citation="Lawler and Labetoulle, On preemptive scheduling of unrelated parallel processors by LP, 1978",
    compute=compute,
    cost=Cost.LINEAR_PROGRAM,
    decode_models=("fixed",),  # in ``fluid`` it holds for decodes alone, and says less than ``window-lp``
    objectives=("max_ratio", "req", "misses"),
)
