"""A neighbourhood of a schedule as a CP-SAT model.

Some calls are *free*: where they go, and when. *Followers* started prefill after them; they keep their places, and on
each prefill instance their order. All others keep their times, and nothing in the neighbourhood may be in their way. A
call that stays where it was takes as long as it did; elsewhere, a token takes as long as it took others there. In
``fluid`` that is a guess, and so that it is not far off, batches become no larger than they were.

What is minimised is how late workflows are, if all that comes after it takes and waits as long as it did.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from ortools.sat.python import cp_model

from solvers.problem.objective import Objective
from solvers.schedules.search.decisions import CappedDecisions
from solvers.schedules.search.evaluator import Evaluator, Times
from solvers.schedules.search.guide import Array
from solvers.schedules.search.tuning import TUNING, Tuning

# shares of the largest ratio that counts, and what it costs to be beyond one, in addition to those before


class Shop:
    """An instance as neighbourhoods see it: what takes how long, and what waits for what.

    Attributes
    ----------
    parents, children : tuples of tuples of int
    kv : (N,) int array
        n_c + m_c.
    capacity : (J,) int array
    prefill : (N, I) float array
        P_i(c), seconds.
    alone : (N, J) float array
        Seconds that a decode takes at the least.
    """

    def __init__(self, e: Evaluator) -> None:
        self.e, problem = e, e.problem
        self.parents, self.children = problem.parents, problem.children
        self.kv, self.capacity = problem.kv, problem.capacity
        self.prefill = problem.prefill
        self.alone = problem.alone_of_type[:, problem.decode_types.of]

    def transfer(self, c: int, i: int, j: int) -> float:
        """T_ij(c)."""
        return float(self.e.problem.transfer[c, i, j])


class Seen:
    """A schedule that was carried out.

    Attributes
    ----------
    decisions : CappedDecisions
    times : Times
    ratio : (W,) float array
    value : float
        The objective.
    ran : (N,) bool array
        False for calls of dropped workflows.
    by_start, rank : (R,), (N,) int arrays
        The calls that ran, by the start of their prefill, and which of them each call is; -1 for the others.
    released : (N,) float array
        Seconds.
    after : (N,) float array
        Seconds from the end of each call to that of its workflow, if every call after it took as long from its release
        to its end as it did: less than it was where one waited for another parent.
    counts : (W,) bool array
        Workflows that the objective looks at.
    """

    def __init__(
        self, shop: Shop, aim: Objective, decisions: CappedDecisions, times: Times, ratio: Array, value: float
    ) -> None:
        e, delay = shop.e, shop.e.workload.delay
        self.decisions, self.times, self.ratio, self.value = decisions, times, ratio, value
        self.ran = (times.ended > 0.0) & ~decisions.dropped[e.workflow]
        ran = np.flatnonzero(self.ran)
        # of calls that start and end at one instant, parents go first
        self.by_start = ran[np.lexsort((times.ended[ran], times.start[ran]))]
        self.rank = np.full(len(self.ran), -1)
        self.rank[self.by_start] = np.arange(len(ran))
        self.released = e.arrival[e.workflow] + delay
        for c in ran.tolist():
            if shop.parents[c]:
                self.released[c] = max(times.ended[p] for p in shop.parents[c]) + delay[c]
        self.after = np.zeros(len(self.ran))
        for c in ran[np.argsort(-times.ended[ran], kind="stable")].tolist():
            self.after[c] = max((self.until_end(shop, x) for x in shop.children[c]), default=0.0)
        self.counts = np.zeros(len(ratio), bool)
        self.counts[np.argsort(ratio, kind="stable")[: len(ratio) - aim.dropped(len(ratio))]] = True
        self.counts &= ~decisions.dropped

    def until_end(self, shop: Shop, c: int) -> float:
        """Seconds from the end of the last parent of c to the end of its workflow."""
        return float(shop.e.workload.delay[c] + self.times.ended[c] - self.released[c] + self.after[c])


class Solved(NamedTuple):
    """What CP-SAT made of a neighbourhood: better decisions, if any, and whether it was through with it."""

    decisions: CappedDecisions | None
    done: bool


def solve_neighbourhood(
    shop: Shop,
    seen: Seen,
    aim: Objective,
    free: Array,
    followers: Array,
    seconds: float,
    seed: int,
    tuning: Tuning = TUNING,
) -> Solved:
    """Better decisions for calls that started one after another, as far as the model can tell.

    Parameters
    ----------
    shop : Shop
    seen : Seen
    aim : Objective
        Anything but ``misses``: a workflow that misses s is dropped, and one that does not is early enough.
    free, followers : int arrays
        Calls, in the order of ``seen.by_start``.
    seconds : float
        At most; CP-SAT ends by itself after the same effort on every machine.
    seed : int
    tuning : Tuning
    """
    model = _Neighbourhood(shop, seen, free, followers, tuning)
    model.keep_orders()
    model.keep_others()
    model.limit_places()
    if not model.minimise_lateness(aim):
        return Solved(None, True)
    return model.solve(seconds, seed)


class _Call(NamedTuple):
    """The variables of a call: times in ticks, and places by instance where it is free."""

    start: cp_model.IntVar
    prefilled: cp_model.IntVar
    admitted: cp_model.IntVar
    ended: cp_model.IntVar
    on_prefill: dict[int, cp_model.IntVar]
    on_decode: dict[int, cp_model.IntVar]


class _End(NamedTuple):
    """When a workflow ends, in ticks: in the model, in the schedule as it was, and at the latest."""

    ticks: cp_model.IntVar
    before: int
    latest: int


class _Neighbourhood:
    """The model while it is built. The schedule as it was, rounded down to ticks, is a solution, and the hint."""

    def __init__(self, shop: Shop, seen: Seen, free: Array, followers: Array, tuning: Tuning) -> None:
        self.tuning = tuning
        self.shop, self.seen, self.e, t = shop, seen, shop.e, seen.times
        self.free, self.followers = free.tolist(), followers.tolist()
        inside = [*self.free, *self.followers]
        self.begin = float(t.start[inside].min())
        self.tick = (float(t.ended[inside].max()) - self.begin) / self.tuning.ticks
        self.far = int(self.tuning.room * self.tuning.ticks)
        self.member = np.zeros(len(seen.ran), bool)
        self.member[inside] = True
        self.model = cp_model.CpModel()
        self.prefills: list[list[cp_model.IntervalVar]] = [[] for _ in self.e.instance.prefill]
        self.decodes: list[list[cp_model.IntervalVar]] = [[] for _ in self.e.instance.decode]
        self.tokens: list[list[int]] = [[] for _ in self.decodes]
        self.present = seen.ran & (t.ended > self.begin) & (t.admitted < self.begin + self.far * self.tick)
        self.token_seconds = self._token_seconds()
        self.calls = {c: self._declare(c, k < len(self.free)) for k, c in enumerate(inside)}
        self.costs: list[cp_model.LinearExprT] = []
        self.cost_before = 0

    # --- calls --------------------------------------------------------------------------------------------------------

    def _at(self, seconds: float) -> int:
        """A time in ticks, rounded down."""
        return math.floor((seconds - self.begin) / self.tick)

    def _long(self, seconds: float) -> int:
        return math.floor(seconds / self.tick)

    def _declare(self, c: int, is_free: bool) -> _Call:
        t, i0, j0 = self.seen.times, int(self.seen.times.prefill[c]), int(self.seen.times.decode[c])
        start, prefilled, admitted, ended = (
            self._time(c, float(x[c])) for x in (t.start, t.prefilled, t.admitted, t.ended)
        )
        on_prefill: dict[int, cp_model.IntVar] = {}
        for i in range(len(self.prefills)) if is_free else [i0]:
            seconds = self._at(t.prefilled[c]) - self._at(t.start[c])
            if i != i0:
                seconds = self._long(self.shop.prefill[c, i])
            if is_free:
                on_prefill[i] = self._literal(i == i0)
                there = self.model.new_optional_interval_var(start, seconds, prefilled, on_prefill[i], "")
            else:
                there = self.model.new_interval_var(start, seconds, prefilled, "")
            self.prefills[i].append(there)
        on_decode: dict[int, cp_model.IntVar] = {}
        for j in range(len(self.decodes)) if is_free else [j0]:
            if self.shop.kv[c] > self.shop.capacity[j]:
                continue
            seconds = self._at(t.ended[c]) - self._at(t.admitted[c])
            if j != j0:
                decode = max(self.token_seconds[j] * self.e.workload.m[c], self.shop.alone[c, j])
                seconds = self._long(self.shop.transfer(c, i0, j) + decode)
            if is_free:
                on_decode[j] = self._literal(j == j0)
                there = self.model.new_optional_interval_var(admitted, seconds, ended, on_decode[j], "")
            else:
                there = self.model.new_interval_var(admitted, seconds, ended, "")
            self._reserve(c, j, there)
        if is_free:
            self.model.add_exactly_one(on_prefill.values())
            self.model.add_exactly_one(on_decode.values())
        self.model.add(admitted >= prefilled)
        return _Call(start, prefilled, admitted, ended, on_prefill, on_decode)

    def _time(self, c: int, before: float) -> cp_model.IntVar:
        earliest = min(max(self._at(self._release(c)), 0), self._at(before))
        found = self.model.new_int_var(earliest, self.far, "")
        self.model.add_hint(found, self._at(before))
        return found

    def _release(self, c: int) -> float:
        """When call c is released at the earliest: parents in the neighbourhood may end earlier than they did."""
        others = [self.seen.times.ended[p] for p in self.shop.parents[c] if not self.member[p]]
        return float(max(others, default=self.e.arrival[self.e.workflow[c]]) + self.e.workload.delay[c])

    def _literal(self, before: bool) -> cp_model.IntVar:
        found = self.model.new_bool_var("")
        self.model.add_hint(found, before)
        return found

    def _reserve(self, c: int, j: int, interval: cp_model.IntervalVar) -> None:
        self.decodes[j].append(interval)
        self.tokens[j].append(int(self.shop.kv[c]))

    # --- what holds ---------------------------------------------------------------------------------------------------

    def keep_orders(self) -> None:
        """Children after parents, those outside the neighbourhood no later than they were; followers in their order."""
        delay, t = self.e.workload.delay.tolist(), self.seen.times
        for c, call in self.calls.items():
            for x in self.shop.children[c]:
                if x in self.calls:
                    self.model.add(self.calls[x].start >= call.ended + self._long(delay[x]))
                elif self.seen.ran[x]:
                    self.model.add(call.ended <= self._at(float(t.start[x])) - self._long(delay[x]))
        ahead: dict[int, int] = {}
        for c in self.followers:
            i = int(t.prefill[c])
            if i in ahead:
                self.model.add(self.calls[c].start >= self.calls[ahead[i]].prefilled)
            ahead[i] = c

    def keep_others(self) -> None:
        """All other calls are where and when they were; it is over where the first of them starts after it."""
        t, others = self.seen.times, self.seen.ran & ~self.member
        ranks = self.seen.rank[self.member]
        for c in np.flatnonzero(others & (self.seen.rank < ranks.min()) & (t.prefilled > self.begin)).tolist():
            self.prefills[t.prefill[c]].append(self._fixed(t.start[c], t.prefilled[c]))
        for i, there in enumerate(self.prefills):
            later = others & (self.seen.rank > ranks.max()) & (t.prefill == i)
            if later.any():
                there.append(self._fixed(t.start[later].min(), math.inf))
        for c in np.flatnonzero(others & self.present).tolist():
            self._reserve(c, int(t.decode[c]), self._fixed(t.admitted[c], t.ended[c]))

    def _fixed(self, start: float, end: float) -> cp_model.IntervalVar:
        first = max(self._at(start), 0)
        last = self.far + 1 if end == math.inf else self._at(end)
        return self.model.new_fixed_size_interval_var(first, max(last - first, 0), "")

    def limit_places(self) -> None:
        """One prefill at a time on each instance; slots and KV cache of each decode instance."""
        for there in self.prefills:
            self.model.add_no_overlap(there)
        slots = self._slots()
        for j, there in enumerate(self.decodes):
            if len(there) > slots[j]:
                self.model.add_cumulative(there, [1] * len(there), int(slots[j]))
            if sum(self.tokens[j]) > self.shop.capacity[j]:
                self.model.add_cumulative(there, self.tokens[j], int(self.shop.capacity[j]))

    def _slots(self) -> Array:
        """Most calls at once on each decode instance: in ``fluid`` as many as there were on any of its kind."""
        e, t = self.e, self.seen.times
        most = np.minimum(e.max_batch, self.seen.decisions.caps)
        if e.instance.decode_model == "fixed":
            return most
        peak = np.ones(len(most), np.int64)
        for j in range(len(peak)):
            there = self.present & (t.decode == j)
            change = np.repeat([1, -1], int(there.sum()))
            order = np.lexsort((change, np.r_[t.admitted[there], t.ended[there]]))  # those that leave go first
            peak[j] = max(np.cumsum(change[order]).max(initial=0), 1)
        of_kind = np.array([peak[e.kind_of_decode == kind].max() for kind in e.kind_of_decode])
        return np.minimum(of_kind, most)

    def _token_seconds(self) -> Array:
        """Mean seconds that a token took on each decode instance lately, (J,); 0 where there were none."""
        t = self.seen.times
        seconds = np.bincount(t.decode[self.present], (t.ended - t.joined)[self.present], len(self.decodes))
        tokens = np.bincount(t.decode[self.present], self.e.workload.m[self.present], len(self.decodes))
        return np.asarray(seconds / np.maximum(tokens, 1))

    # --- what is minimised --------------------------------------------------------------------------------------------

    def minimise_lateness(self, aim: Objective) -> bool:
        """False where nothing in the neighbourhood is late."""
        flows: dict[int, list[int]] = {}
        for c in self.calls:
            flows.setdefault(int(self.e.workflow[c]), []).append(c)
        mean = float(self.e.horizon.mean())
        for w, members in flows.items():
            if self.seen.counts[w]:
                weight = (
                    self.tuning.weight
                    if aim.kind == "mean_latency"
                    else round(self.tuning.weight * mean / self.e.horizon[w])
                )
                end = self._end_of(members)
                for scale, cost in self._levels(aim):
                    due = self._at(self.e.arrival[w] + scale * self.e.horizon[w])
                    self._late(end, due, cost * min(max(weight, 1), self.tuning.heaviest))
        self.model.minimize(cp_model.LinearExpr.sum(self.costs))
        return self.cost_before > 0

    def _levels(self, aim: Objective) -> list[tuple[float, int]]:
        """Ratios beyond which a workflow is late, and what each unit of that costs."""
        if aim.is_tail:
            return [(level * self.seen.value, cost) for level, cost in self.tuning.levels]
        return [(0.0, 1)]

    def _end_of(self, members: list[int]) -> _End:
        """When a workflow ends as far as its calls in the neighbourhood go."""
        rests = []
        for c in members:
            outside = [x for x in self.shop.children[c] if x not in self.calls]
            rests.append(self._long(max((self.seen.until_end(self.shop, x) for x in outside), default=0.0)))
        before = max(self._at(self.seen.times.ended[c]) + rest for c, rest in zip(members, rests, strict=True))
        latest = self.far + max(rests)
        end = self.model.new_int_var(0, latest, "")
        for c, rest in zip(members, rests, strict=True):
            self.model.add(end >= self.calls[c].ended + rest)
        self.model.add_hint(end, before)
        return _End(end, before, latest)

    def _late(self, end: _End, due: int, cost: int) -> None:
        late = self.model.new_int_var(0, max(end.latest - due, 0), "")
        self.model.add(late >= end.ticks - due)
        self.model.add_hint(late, max(end.before - due, 0))
        self.costs.append(cost * late)
        self.cost_before += cost * max(end.before - due, 0)

    # --- the solution -------------------------------------------------------------------------------------------------

    def solve(self, seconds: float, seed: int) -> Solved:
        """Have CP-SAT look for something better than what was."""
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = seed
        # a neighbourhood is solved roughly, in hundredths of a second
        solver.parameters.linearization_level = 0
        solver.parameters.cp_model_probing_level = 0
        solver.parameters.symmetry_level = 0
        solver.parameters.max_deterministic_time = self.tuning.effort
        solver.parameters.max_time_in_seconds = seconds
        solver.parameters.catch_sigint_signal = False  # Python's own handler is to stay
        status = solver.solve(self.model)
        done = status == cp_model.OPTIMAL
        if not (done or status == cp_model.FEASIBLE) or solver.objective_value >= self.cost_before:
            return Solved(None, done)
        return Solved(self._decisions(solver), done)

    def _decisions(self, solver: cp_model.CpSolver) -> CappedDecisions:
        t, d, ran = self.seen.times, self.seen.decisions, self.seen.ran
        prefill, decode = d.prefill.copy(), d.decode.copy()
        start, admitted = np.where(ran, t.start, d.start), np.where(ran, t.admitted, d.admitted)
        within = self.tick / len(self.calls)
        for k, (c, call) in enumerate(self.calls.items()):  # in one tick they keep the order that they had
            start[c] = self.begin + solver.value(call.start) * self.tick + k * within
            admitted[c] = self.begin + solver.value(call.admitted) * self.tick + k * within
            for places, of in ((call.on_prefill, prefill), (call.on_decode, decode)):
                for place, literal in places.items():
                    if solver.boolean_value(literal):
                        of[c] = place
        return d._replace(prefill=prefill, decode=decode, start=start, admitted=admitted)
