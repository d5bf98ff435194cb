"""Time-indexed MILP: a binary for every period in which a call can start (Pritsker, Watters and Wolfe 1969).

Periods are coarse, so resources are counted in whole periods with durations rounded down, which is a relaxation (see
``solvers.ticks``). Releases, precedence and completions stay in real time, in continuous variables that lie in the
period that the pulse says. So the bound holds in real time on any grid; a finer grid gives a better one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pulp

from solvers.certificate import OPTIMALITY_TOLERANCE, certified_value
from solvers.formulations.formulation import Formulation
from solvers.milp.backends import BACKENDS, backend, run
from solvers.milp.drive import MODEL_FORMATS, limits, raw_result, size, starting_point, write_model
from solvers.milp.modes import decode_modes
from solvers.milp.plan import Plan, from_schedule, hold_seconds, to_schedule
from solvers.milp.value import Value
from solvers.milp.windows import Windows, windows
from solvers.objective import Objective
from solvers.problem import Problem
from solvers.result import Options, Raw
from solvers.ticks import Ticks

Array = np.ndarray[Any, Any]
FIRST_GRID, LAST_GRID = 300, 100_000  # pulses of a model, about
REFINEMENT = 4
SHARE_OF_A_ROUND = 0.5  # of the time that is left, for all but the last grid
SHARE_OF_BUILDING = 0.3  # of the time that is left, the most that building the next model may be expected to take


class Pulses:
    """The ticks in which one thing can start, a binary each, and with each whether it has started by then.

    Parameters
    ----------
    first, last : int
        Ticks; there are no pulses where ``last < first``.
    """

    def __init__(self, lp: pulp.LpProblem, name: str, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.ticks = range(first, last + 1)
        self.at = [lp.add_variable(f"{name}_{t}", 0, 1, pulp.LpInteger) for t in self.ticks]
        # sums in variables of their own keep the rows short: written out they are as long as the windows
        self.begun = [lp.add_variable(f"{name}_by_{t}", 0, 1) for t in self.ticks]
        for k, pulse in enumerate(self.at):
            lp += self.begun[k] == pulse + (self.begun[k - 1] if k else 0)

    def by(self, tick: int) -> pulp.LpVariable | None:
        """1 where it has started in ``tick`` or before; None where it cannot have."""
        return self.begun[min(tick, self.last) - self.first] if self.at and tick >= self.first else None

    @property
    def chosen(self) -> pulp.LpAffineExpression:
        """1 where it starts at all."""
        return _sum([(self.by(self.last), 1)])

    @property
    def taken(self) -> float:
        """``chosen`` in the values of the variables."""
        return sum(pulse.varValue or 0.0 for pulse in self.at)

    def load(self, tick: int | None) -> None:
        """Values for a start in ``tick``, or for none."""
        for t, pulse, begun in zip(self.ticks, self.at, self.begun, strict=True):
            pulse.varValue = float(t == tick)
            begun.varValue = float(tick is not None and t >= tick)


class TimeIndexed:
    """The model on one grid.

    Variables: pulses x (the prefill of c on i starts in tick t) and y (c is admitted in mode k in tick t), and the
    start s_c and admission a_c in seconds within those ticks.

    Parameters
    ----------
    disaggregated : bool
        Say precedence tick by tick as well, not in the sums alone (Christofides, Alvarez-Valdes and Tamarit 1987).
    """

    def __init__(
        self, problem: Problem, objective: Objective, windows: Windows, ticks: Ticks, disaggregated: bool = True
    ) -> None:
        self.problem, self.windows, self.ticks = problem, windows, ticks
        self.lp = pulp.LpProblem("time_indexed", pulp.LpMinimize)
        self.hold = hold_seconds(problem)
        self.modes = [decode_modes(self.hold[c]) for c in range(problem.calls)]
        self.x = [self._prefill_pulses(c) for c in range(problem.calls)]
        self.y = [self._admission_pulses(c) for c in range(problem.calls)]
        self.start = [self._within("s", c, self.x[c]) for c in range(problem.calls)]
        self.admitted = [self._within("a", c, self.y[c]) for c in range(problem.calls)]
        self._every_call_once()
        self._modes_follow_prefill()
        self._precedence()
        if disaggregated:
            self._precedence_by_tick()
        self._prefill_one_at_a_time()
        self._decode_capacities()
        completed = [self.admitted[c] + self._hold_seconds(c) for c in range(problem.calls)]
        self.value = Value(self.lp, problem, objective, windows, completed)

    def load(self, plan: Plan) -> None:
        """Give every variable its value in that plan."""
        for c in range(self.problem.calls):
            self.start[c].varValue, self.admitted[c].varValue = float(plan.start[c]), float(plan.admitted[c])
            for i, pulses in enumerate(self.x[c]):
                pulses.load(int(self.ticks.down(plan.start[c])) if plan.prefill[c] == i else None)
            for mode, pulses in zip(self.modes[c], self.y[c], strict=True):
                taken = plan.decode[c] == mode.decode and plan.prefill[c] in mode.sources
                pulses.load(int(self.ticks.down(plan.admitted[c])) if taken else None)
        self.value.load(plan.workflow_completed(self.problem))

    def plan(self) -> Plan:
        """The plan that the values of the variables say."""
        modes = [int(np.argmax([pulses.taken for pulses in row])) for row in self.y]
        return Plan(
            prefill=np.array([int(np.argmax([pulses.taken for pulses in row])) for row in self.x]),
            decode=np.array([self.modes[c][k].decode for c, k in enumerate(modes)]),
            start=np.array([s.varValue for s in self.start]),
            admitted=np.array([a.varValue for a in self.admitted]),
        )

    def _prefill_pulses(self, c: int) -> list[Pulses]:
        problem = self.problem
        rest = problem.prefill[c] + np.min(self.hold[c], axis=1)
        latest = self.windows.due[c] - rest
        return [self._pulses(f"x_{c}_{i}", problem.head[c], latest[i]) for i in range(len(rest))]

    def _admission_pulses(self, c: int) -> list[Pulses]:
        problem, due = self.problem, self.windows.due[c]
        return [
            self._pulses(
                f"y_{c}_{k}",
                problem.head[c] + problem.prefill[c, list(mode.sources)].min(),
                due - self.hold[c][mode.pair],
            )
            for k, mode in enumerate(self.modes[c])
        ]

    def _pulses(self, name: str, earliest: float, latest: float) -> Pulses:
        return Pulses(self.lp, name, int(self.ticks.down(earliest)), int(self.ticks.down(latest)))

    def _within(self, name: str, c: int, rows: list[Pulses]) -> pulp.LpVariable:
        """A time in seconds within the tick of the pulse."""
        variable = self.lp.add_variable(f"{name}_{c}", 0)
        tick = _sum([(p, t * self.ticks.seconds) for row in rows for t, p in zip(row.ticks, row.at, strict=True)])
        self.lp += variable >= tick
        self.lp += variable <= tick + self.ticks.seconds
        return variable

    def _every_call_once(self) -> None:
        """Every call has one prefill and one admission."""
        for rows in (*self.x, *self.y):
            self.lp += pulp.lpSum(row.chosen for row in rows) == 1

    def _modes_follow_prefill(self) -> None:
        """A mode that is for some prefill instances needs the prefill to be on one of them."""
        for c, modes in enumerate(self.modes):
            for k, mode in enumerate(modes):
                if len(mode.sources) < len(self.x[c]):
                    self.lp += self.y[c][k].chosen <= pulp.lpSum(self.x[c][i].chosen for i in mode.sources)

    def _precedence(self) -> None:
        """Prefill, admission, completion, delay, prefill of the child: each waits for the one before, in seconds."""
        for c, parents in enumerate(self.problem.parents):
            self.lp += self.admitted[c] >= self.start[c] + self._prefill_seconds(c)
            for p in parents:
                self.lp += self.start[c] >= self.admitted[p] + self._hold_seconds(p) + float(self.problem.delay[c])

    def _precedence_by_tick(self) -> None:
        """Up to any tick, what has begun has its predecessor far enough behind it."""
        problem, down = self.problem, self.ticks.down
        for c, parents in enumerate(problem.parents):
            self._behind(self.x[c], [int(p) for p in down(problem.prefill[c])], self.y[c])
            for p in parents:
                stays = [self.hold[p][mode.pair] + problem.delay[c] for mode in self.modes[p]]
                self._behind(self.y[p], [int(lag) for lag in down(np.array(stays))], self.x[c])

    def _behind(self, before: list[Pulses], lags: list[int], after: list[Pulses]) -> None:
        last = max(row.last + lag for row, lag in zip(before, lags, strict=True) if row.at)
        for tick in sorted({t for row in after for t in row.ticks if t < last}):
            begun = [(row.by(tick), 1) for row in after]
            ended = [(row.by(tick - lag), -1) for row, lag in zip(before, lags, strict=True)]
            self.lp += _sum(begun + ended) <= 0

    def _prefill_one_at_a_time(self) -> None:
        """In every tick a prefill instance runs at most one call."""
        for i in range(self.problem.prefill.shape[1]):
            seconds = self.ticks.down(self.problem.prefill[:, i])
            self._capacity([(rows[i], int(seconds[c]), 1) for c, rows in enumerate(self.x)], 1)

    def _decode_capacities(self) -> None:
        """In every tick what a decode instance holds fits in its KV cache and in its batch."""
        problem = self.problem
        stays = [
            (c, mode.decode, self.y[c][k], int(self.ticks.down(self.hold[c][mode.pair])))
            for c, modes in enumerate(self.modes)
            for k, mode in enumerate(modes)
        ]
        for j, (room, slots) in enumerate(zip(problem.capacity, problem.max_batch, strict=True)):
            here = [(c, row, ticks) for c, at, row, ticks in stays if at == j]
            self._capacity([(row, ticks, int(problem.kv[c])) for c, row, ticks in here], int(room))
            self._capacity([(row, ticks, 1) for _, row, ticks in here], int(slots))

    def _capacity(self, stays: list[tuple[Pulses, int, int]], most: int) -> None:
        """Stays of so many ticks that take so much never take more than ``most``.

        Stays that overlap all do so in the tick in which the last of them starts, so only such ticks are looked at.
        """
        for tick in sorted({t for row, ticks, _ in stays if ticks for t in row.ticks}):
            active = [
                (row, ticks, demand)
                for row, ticks, demand in stays
                if ticks and row.at and row.first <= tick < row.last + ticks
            ]
            if sum(demand for _, _, demand in active) > most:
                begun = [(row.by(tick), demand) for row, _, demand in active]
                ended = [(row.by(tick - ticks), -demand) for row, ticks, demand in active]
                self.lp += _sum(begun + ended) <= most

    def _prefill_seconds(self, c: int) -> pulp.LpAffineExpression:
        return pulp.lpSum(row.chosen * float(p) for row, p in zip(self.x[c], self.problem.prefill[c], strict=True))

    def _hold_seconds(self, c: int) -> pulp.LpAffineExpression:
        rows = zip(self.modes[c], self.y[c], strict=True)
        return pulp.lpSum(row.chosen * float(self.hold[c][mode.pair]) for mode, row in rows)


def grid(problem: Problem, windows: Windows, pulses: int) -> Ticks:
    """The tick that gives a model of about that many pulses."""
    hold = hold_seconds(problem)
    modes = [(c, mode) for c in range(problem.calls) for mode in decode_modes(hold[c])]
    machines = problem.prefill.shape[1]
    width = machines * (windows.latest_start - problem.head).clip(0.0).sum()
    width += sum(max(windows.latest_admission[c] - windows.earliest_admission[c], 0.0) for c, _ in modes)
    free = max(pulses - machines * problem.calls - len(modes), pulses // 4)  # each window is in one tick at least
    return Ticks(max(float(width) / free, float(windows.deadline.max()) * 1e-7))


def solve(problem: Problem, objective: Objective, options: Options) -> Raw:
    """Solve on a coarse grid, then on finer ones in the narrower windows that the better schedule gives."""
    began = time.monotonic()
    solver = backend(options.solver)
    value, schedule = starting_point(problem, objective, options)
    bound: float | None = None
    root: float | None = None
    pulses = FIRST_GRID
    while True:
        spent = time.monotonic() - began
        known = windows(problem, objective, value)
        disaggregated = options.extra.get("disaggregated", True)
        model = TimeIndexed(problem, objective, known, grid(problem, known, pulses), disaggregated)
        model.load(from_schedule(problem, schedule))
        built = time.monotonic() - began - spent
        left = options.time_limit - spent - built
        last = pulses * REFINEMENT > LAST_GRID or REFINEMENT * built > SHARE_OF_BUILDING * left
        until = options.time_limit if last else spent + SHARE_OF_A_ROUND * (options.time_limit - spent)
        if options.write_model is not None:
            write_model(model.lp, options.write_model)
        answer = run(model.lp, solver, limits(options, began, until, with_incumbents=False))
        if answer.solved:
            found = certified_value(problem, objective, to_schedule(problem, model.plan(), "milp_time_indexed"))
            if found is not None and found[0] < value:
                value, schedule = found
                if options.on_incumbent is not None:
                    options.on_incumbent(schedule)
        raw = raw_result(answer, schedule, size(model.lp), time.monotonic() - began)
        bound, root = _better(bound, raw.bound), _better(root, raw.root_bound)
        closed = bound is not None and _meets(objective, value, bound)
        if closed or last or answer.interrupted or time.monotonic() - began >= options.time_limit:
            return Raw(
                status="optimal" if closed else "feasible",
                decisions=schedule,
                bound=bound,
                size=raw.size,
                seconds=time.monotonic() - began,
                root_bound=root,
                message=raw.message,
            )
        pulses *= REFINEMENT


def _meets(objective: Objective, value: float, bound: float) -> bool:
    """Whether nothing is left to be found or proved."""
    if objective.kind == "misses":
        return value - bound < 1 - 1e-6
    return value - bound <= OPTIMALITY_TOLERANCE * abs(value) / 2


def _better(bound: float | None, other: float | None) -> float | None:
    return max((b for b in (bound, other) if b is not None), default=None)


def _sum(terms: Sequence[tuple[pulp.LpVariable | None, float]]) -> pulp.LpAffineExpression:
    """Sum of coefficient times variable, without those that are None; variables may come up more than once."""
    total: dict[pulp.LpVariable, float] = {}
    for variable, coefficient in terms:
        if variable is not None:
            total[variable] = total.get(variable, 0.0) + coefficient
    return pulp.LpAffineExpression(total)


FORMULATION = Formulation(
    name="milp_time_indexed",
    summary="MILP with a binary for every start period, on grids from coarse to fine",
    citation="A. A. B. Pritsker, L. J. Watters, P. M. Wolfe, Multiproject scheduling with limited resources, "
    "Management Science 16 (1969)",
    solve=solve,
    solvers=tuple(BACKENDS),
    model_formats=MODEL_FORMATS,
    switches={"disaggregated": "precedence tick by tick besides the sums"},
)
