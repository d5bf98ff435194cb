"""The subproblems: given places, when? Workflows that do not meet on any instance are sequenced apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from ortools.sat.python import cp_model

from solvers.exact.cp.objective import add_its_ratio, due_ticks, last_calls, latency_shares, ratios_of
from solvers.exact.cp.ticked import Array, TickedProblem
from solvers.exact.decomposition.cuts import Placement
from solvers.exact.decomposition.master import Master, Placed
from solvers.exact.decomposition.relaxed import search
from solvers.problem.objective import Objective


@dataclass(frozen=True)
class Sequenced:
    """What a subproblem says.

    Attributes
    ----------
    status : str
    bound : int
        Its objective, in the unit of the master's, is at least that; beyond ``most`` where there is nothing within it.
    value : int
        Of what was found.
    times : dict of int to (int, int)
        Ticks of start and admission, by call; empty without a solution.
    """

    status: str
    bound: int
    value: int
    times: dict[int, tuple[int, int]]


def sequence(
    data: TickedProblem,
    objective: Objective,
    placements: Iterable[Placement],
    workflows: Iterable[int],
    lower: int,
    most: int,
    seconds: float,
    workers: int,
    seed: int,
) -> Sequenced:
    """Find times for calls at these places, for the least objective of these workflows.

    A stage of a call that has no place takes as long as at its best place, and is in nobody's way.

    Parameters
    ----------
    placements : iterable of Placement
    workflows : iterable of int
        For tails their largest ratio, for means the weighted sum of their latencies; for ``misses`` all are in time.
    lower, most : int
        Values that need not be told apart from ``lower`` are; only those of at most ``most`` are looked for.
    """
    model = cp_model.CpModel()
    calls = _Calls(model, data, set(workflows), sorted(placements))
    if objective.is_tail:
        ratio = model.new_int_var(min(lower, most), most, "ratio")
        ratios = ratios_of(data)
        for c in calls.last:
            add_its_ratio(model, data, calls.completed[c], ratios, ratio, c)
        model.minimize(ratio)
    elif objective.kind == "misses":
        due = due_ticks(data, objective)
        for c in calls.last:
            model.add(calls.completed[c] <= int(due[data.problem.workflow[c]]))
    else:
        total = _weighted_latencies(model, data, objective, calls)
        model.add(total <= most)
        model.add(total >= min(lower, most))
        model.minimize(total)
    solver, status = search(model, seconds, workers, seed, by_precedence=True)
    if status == "infeasible":
        return Sequenced(status, most + 1, 0, {})
    bound = lower
    if objective.kind != "misses" and np.isfinite(solver.best_objective_bound):
        bound = max(lower, int(np.ceil(solver.best_objective_bound - 1e-6)))
    if status == "unknown":
        return Sequenced(status, bound, 0, {})
    times = {c: (solver.value(calls.start[c]), solver.value(calls.admitted[c])) for c in calls.start}
    return Sequenced(status, bound, round(solver.objective_value), times)


class _Calls:
    """The calls of some workflows in a model: times, precedence, and the instances of those that have places.

    Attributes
    ----------
    start, admitted, completed : dict of int to IntVar
        Ticks, by call.
    last : list of int
        Calls without children.
    """

    def __init__(
        self, model: cp_model.CpModel, data: TickedProblem, workflows: set[int], placements: list[Placement]
    ) -> None:
        self.model, self.data = model, data
        problem = data.problem
        on_prefill = {one.call: one.place for one in placements if not one.is_decode}
        on_decode = {one.call: one.place for one in placements if one.is_decode}
        mine = [c for c in range(problem.calls) if int(problem.workflow[c]) in workflows]
        self.last = [c for c in last_calls(data) if int(problem.workflow[c]) in workflows]
        lengths = {c: _lengths(data, c, on_prefill.get(c), on_decode.get(c)) for c in mine}
        self.start, self.admitted, self.completed = (
            {c: model.new_int_var(int(data.head[c]), data.horizon, f"{name}_{c}") for c in mine}
            for name in ("start", "admitted", "completed")
        )
        prefills: dict[int, list[cp_model.IntervalVar]] = {}
        stays: dict[int, list[tuple[int, cp_model.IntervalVar]]] = {}
        for c in mine:
            prefill, stay = lengths[c]
            model.add(self.admitted[c] >= self.start[c] + prefill)
            model.add(self.completed[c] == self.admitted[c] + stay)
            for p in problem.parents[c]:
                model.add(self.start[c] >= self.completed[p] + int(data.delay[c]))
            if c in on_prefill:
                busy = model.new_fixed_size_interval_var(self.start[c], prefill, f"prefill_{c}")
                prefills.setdefault(on_prefill[c], []).append(busy)
            if c in on_decode:
                held = model.new_interval_var(self.admitted[c], stay, self.completed[c], f"decode_{c}")
                stays.setdefault(on_decode[c], []).append((c, held))
        for busy_here in prefills.values():
            model.add_no_overlap(busy_here)
        for j, here in stays.items():
            self._hold(j, here)

    def _hold(self, j: int, here: list[tuple[int, cp_model.IntervalVar]]) -> None:
        """A decode instance holds no more than it has room for."""
        problem = self.data.problem
        tokens, held = [int(problem.kv[c]) for c, _ in here], [stay for _, stay in here]
        room, slots = int(problem.capacity[j]), int(problem.max_batch[j])
        if slots == 1 or sum(sorted(tokens)[:2]) > room:
            self.model.add_no_overlap(held)
            return
        if sum(tokens) > room:
            self.model.add_cumulative(held, tokens, room)
        if len(here) > slots:
            self.model.add_cumulative(held, [1] * len(here), slots)


def _lengths(data: TickedProblem, c: int, i: int | None, j: int | None) -> tuple[int, int]:
    """Ticks of prefill and stay, at these places or, where they are None, at the best: no more than in any schedule."""
    prefill = data.prefill[c]
    modes = [mode for mode in data.modes[c] if j is None or mode.decode == j]
    if i is not None:
        return int(prefill[i]), min(mode.ticks for mode in modes if i in mode.sources)
    if j is not None:
        return int(prefill.min()), min(mode.ticks for mode in modes)
    together = min(int(prefill[list(mode.sources)].min()) + mode.ticks for mode in modes)
    return int(prefill.min()), together - int(prefill.min())


def _weighted_latencies(
    model: cp_model.CpModel, data: TickedProblem, objective: Objective, calls: _Calls
) -> cp_model.LinearExprT:
    """The sum over the workflows of the calls."""
    shares = latency_shares(data, objective)
    latency: dict[int, cp_model.IntVar] = {}
    for c in calls.last:
        w = int(data.problem.workflow[c])
        if w not in latency:
            latency[w] = model.new_int_var(int(shares.best[w]), data.horizon, f"latency_{w}")
        model.add(latency[w] >= calls.completed[c] - int(data.arrival[w]))
    return cp_model.LinearExpr.weighted_sum(list(latency.values()), [int(shares.share[w]) for w in latency])


def components(master: Master, placed: Placed, due: Array) -> list[tuple[frozenset[Placement], frozenset[int]]]:
    """Placements and workflows of each set of workflows that may meet; in the order of their first workflow.

    Two workflows meet where calls of them may be on one prefill instance at the same time, or on one decode instance
    that could not hold all that may be there.

    Parameters
    ----------
    due : (N,) float array
        Seconds by which each call is completed in what is looked for; inf where nothing is known.
    """
    data = master.data
    problem = data.problem
    calls = [c for c in range(problem.calls) if int(problem.workflow[c]) in placed.kept]
    leader = {w: w for w in placed.kept}

    def find(w: int) -> int:
        while leader[w] != w:
            w = leader[w]
        return w

    for j in {placed.decode[c] for c in calls}:
        here = [c for c in calls if placed.decode[c] == j]
        if len(here) > problem.max_batch[j] or problem.kv[here].sum() > problem.capacity[j]:
            _join(here, problem.head, due, problem.workflow, leader, find)
    for i in {placed.prefill[c] for c in calls}:
        _join([c for c in calls if placed.prefill[c] == i], problem.head, due, problem.workflow, leader, find)
    parts: dict[int, set[int]] = {}
    for w in sorted(placed.kept):
        parts.setdefault(find(w), set()).add(w)
    found = []
    for part in parts.values():
        mine = [c for c in calls if int(problem.workflow[c]) in part]
        placements = {Placement(c, False, placed.prefill[c]) for c in mine}
        placements |= {Placement(c, True, placed.decode[c]) for c in mine}
        found.append((frozenset(placements), frozenset(part)))
    return found


def _join(
    here: list[int], head: Array, due: Array, workflow: Array, leader: dict[int, int], find: Callable[[int], int]
) -> None:
    """Put workflows together of which calls on one instance may be there at the same time."""
    for c, d in combinations(here, 2):
        if head[c] < due[d] and head[d] < due[c]:
            a, b = find(int(workflow[c])), find(int(workflow[d]))
            leader[max(a, b)] = min(a, b)
