"""What becomes of a guide: one run of the simulator on arrays that are made once."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hexsched.engine.horizon import best_of_each
from hexsched.engine.state import arrays
from hexsched.engine.tables import build_state
from hexsched.engine.wallclock import new_histogram
from hexsched.model import Schedule
from hexsched.policies import read_policy
from hexsched.policies.replay import orders_of
from hexsched.simulator.run import collect
from solvers.problem.offline import OfflineProblem
from solvers.schedules.search.decisions import CappedDecisions
from solvers.schedules.search.guide import Array, Guide
from solvers.schedules.search.kernels import LAST_BIT, ROW, Wish, run_guide, run_orders


class Times(NamedTuple):
    """When and where calls were served, (N,) each: seconds, and numbers of instances."""

    start: Array
    prefilled: Array
    admitted: Array
    joined: Array
    ended: Array
    prefill: Array
    decode: Array


class Evaluator:
    """Runs guides on one instance, one at a time.

    Attributes
    ----------
    problem : OfflineProblem
    instance, workload, arrival, horizon, workflow
        Its own.
    max_batch : (J,) int array
        Of each decode instance.
    token_seconds : (float, float)
        Of the fastest instance alone, and of the slowest with a full batch, but for the KV cache; equal in ``fixed``.
    tail : (N,) float array
        Standalone seconds from the start of a call to the end of its workflow.
    prefill_work, decode_work : (N,) float arrays
        Seconds of its pool that a call keeps busy, roughly: the mean over the instances, divided by their number.
    prefill_bits, decode_bits : (N,) int arrays
        The kinds of instances that can serve each call, as bits.
    kind_of_prefill, kind_of_decode : (I,), (J,) int arrays
        The bit of each instance.
    runs : int
        Guide and decisions run so far.
    """

    def __init__(self, problem: OfflineProblem) -> None:
        self.problem, self.instance = problem, problem.instance
        instance, workload = problem.instance, problem.workload
        self.workload, self.arrival, self.workflow = workload, workload.arrival, workload.workflow
        self.horizon = problem.horizon
        self._state = build_state(instance, workload)
        self._state.truth.workflows.horizon = self.horizon
        chosen = read_policy("hexagent")
        self._memory = chosen.memory(self._state.seen)
        self._settings = chosen.settings()
        self._settings.looks_ahead = 0
        self._changing = arrays(self._state, "changing") + arrays(self._memory, "changing")
        self._fresh = [array.copy() for array in self._changing]
        calls = len(self.workflow)
        self._rows = np.zeros(calls, ROW).view(np.recarray)
        self._calls_from = np.searchsorted(self.workflow, np.arange(len(self.arrival) + 1))
        self._root = np.ones(calls, bool)
        self._root[workload.edges[:, 1]] = False
        self._due_at, self._due, self._by_due = math.nan, self.arrival, self.arrival
        seen = self._state.seen
        self.max_batch = seen.decodes.max_batch.copy()
        self.token_seconds = 1.0, 1.0
        if instance.decode_model == "fluid":
            curves, last = (
                seen.batch_seconds[seen.decodes.kind],
                np.minimum(self.max_batch, seen.batch_seconds.shape[1] - 1),
            )
            slowest = float(curves[np.arange(len(last)), last].max())
            self.token_seconds = max(float(curves[:, 1].min()), 1e-3 * slowest), slowest
        self.kind_of_prefill = np.minimum(seen.prefills.kind, LAST_BIT)
        self.kind_of_decode = np.minimum(seen.decodes.kind, LAST_BIT)
        self.prefill_bits = np.full(calls, sum(1 << kind for kind in set(self.kind_of_prefill.tolist())))
        self.decode_bits = np.zeros(calls, np.int64)
        for machine, kind in zip(instance.decode, self.kind_of_decode, strict=True):
            fits = workload.n + workload.m <= machine.kv_capacity_tokens
            self.decode_bits |= np.where(fits, 1 << int(kind), 0)
        best = np.zeros(calls)
        best_of_each(seen, workload.n, workload.h, workload.m, best)
        self.tail = self._tails(best)
        self._ideal_end = self.horizon[self.workflow] - (self.tail - best)
        self.prefill_work, self.decode_work = self._work()
        self.end = float(self.arrival.max()) + float(self.horizon.sum())  # dropped workflows start no earlier
        self.runs = 0

    def __call__(
        self, guide: Guide, limit: float = math.inf, late_allowed: int = 0, kept_only: bool = False
    ) -> Array | None:
        """L_w / H_w of every workflow, (W,); None once more than ``late_allowed`` of them are over ``limit``.

        With ``kept_only`` a run ends before the workflows that are dropped, and they have an infinite ratio.
        """
        self._begin(limit)
        rows = self._rows
        rows.first = guide.key
        rows.then = guide.key + guide.later
        rows.prefills, rows.decodes = guide.prefills, guide.decodes
        rows.due = self.arrival[self.workflow] + guide.pace * self._ideal_end
        self._state.truth.calls.delay += guide.wait
        of_interest = self._restrict(guide.caps, guide.dropped, kept_only)
        ran = run_guide(
            self._state,
            self._memory,
            Wish(self._settings, rows, guide.crowding),
            self._due,
            self._by_due,
            self._calls_from,
            late_allowed,
            of_interest,
        )
        return self._ratio(guide.dropped, kept_only) if ran else None

    def replay(
        self, decisions: CappedDecisions, limit: float = math.inf, late_allowed: int = 0, kept_only: bool = False
    ) -> Array | None:
        """The same for decisions, each carried out as early as their order allows.

        Calls whose turn never comes, since orders wait for each other, have no end: their workflows' ratio is infinite.
        """
        self._begin(limit)
        every = np.arange(len(self.workflow))
        prefilled = decisions.start + self.problem.prefill[every, decisions.prefill]
        orders = orders_of(
            decisions.prefill,
            len(self.kind_of_prefill),
            (decisions.start,),
            decisions.decode,
            len(self.kind_of_decode),
            (decisions.admitted, prefilled),
        )
        of_interest = self._restrict(decisions.caps, decisions.dropped, kept_only)
        ran = run_orders(self._state, orders, self._due, self._by_due, self._calls_from, late_allowed, of_interest)
        return self._ratio(decisions.dropped, kept_only) if ran else None

    def _begin(self, limit: float) -> None:
        self.runs += 1
        self._reset()
        if limit != self._due_at:
            self._due_at = limit
            self._due = self.arrival + limit * self.horizon
            self._by_due = np.argsort(self._due, kind="stable")

    def _restrict(self, caps: Array, dropped: Array, kept_only: bool) -> int:
        """Cap batches and hold dropped workflows back; how many calls there are to wait for."""
        decodes = self._state.seen.decodes
        np.minimum(decodes.max_batch, caps, out=decodes.max_batch)
        if not dropped.any():
            return len(self._rows)
        of_dropped = dropped[self.workflow]
        held = self._root & of_dropped
        self._state.truth.calls.delay[held] += self.end - self.arrival[self.workflow[held]]
        return len(self._rows) - kept_only * int(np.count_nonzero(of_dropped))

    def _ratio(self, dropped: Array, kept_only: bool) -> Array:
        ratio = (self._completed() - self.arrival) / self.horizon
        return np.where(dropped, math.inf, ratio) if kept_only else ratio

    def caps_at(self, seconds: float) -> Array:
        """The largest batch of each decode instance in which a token takes no longer, at least 1, (J,)."""
        curves = self._state.seen.batch_seconds[self._state.seen.decodes.kind]
        fit = [
            np.searchsorted(curve[1 : most + 1], seconds, "right")
            for curve, most in zip(curves, self.max_batch, strict=True)
        ]
        return np.maximum(np.array(fit), 1)

    def times(self) -> Times:
        """When and where the calls of the last run were served."""
        calls = self._state.seen.calls
        return Times(
            calls.prefill_start.copy(),
            calls.prefill_end.copy(),
            calls.admitted.copy(),
            calls.decode_start.copy(),
            calls.decode_end.copy(),
            calls.prefill_instance.copy(),
            calls.decode_instance.copy(),
        )

    def schedule(self, guide: Guide | CappedDecisions, name: str) -> Schedule:
        """The schedule that a guide, or decisions, lead to."""
        if isinstance(guide, Guide):
            self(guide)
        else:
            self.replay(guide)
        run = collect(self.instance, name, self._state, self.problem.places, self.horizon, new_histogram())
        return run.schedule

    def _completed(self) -> Array:
        """(W,) seconds; inf where the run ended before."""
        ends = self._state.seen.calls.decode_end
        return np.asarray(np.maximum.reduceat(np.where(ends > 0.0, ends, math.inf), self._calls_from[:-1]))

    def _reset(self) -> None:
        for array, fresh in zip(self._changing, self._fresh, strict=True):
            np.copyto(array, fresh)

    def _tails(self, best: Array) -> Array:
        tail, delay = best.copy(), self.workload.delay
        for c in self.problem.topological[::-1].tolist():
            tail[c] += max((delay[x] + tail[x] for x in self.problem.children[c]), default=0.0)
        return tail

    def _work(self) -> tuple[Array, Array]:
        w = self.workload
        prefills, decodes = self.instance.prefill, self.instance.decode
        prefill, decode = np.zeros(len(w.n)), np.zeros(len(w.n))
        for machine in prefills:
            p0, p1, p2 = machine.prefill_coeffs
            prefill += p0 + p1 * (w.n - w.h) + p2 * (w.n.astype(float) ** 2 - w.h.astype(float) ** 2)
        for j, server in enumerate(decodes):
            if self.instance.decode_model == "fixed":
                decode += w.m * server.fixed_iteration_time / server.max_batch
            else:
                kind, batch = self._state.seen.decodes[j].kind, max(server.max_batch // 2, 1)
                d2 = server.decode_coeffs[2]
                decode += w.m * (self._state.seen.batch_seconds[kind, batch] / batch + d2 * (w.n + w.m / 2))
        return prefill / len(prefills) ** 2, decode / len(decodes) ** 2
