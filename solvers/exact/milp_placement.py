"""Placements by MILP, order by rule: an upper bound that scales beyond the exact formulations."""

from __future__ import annotations

import pulp

from solvers.exact.milp.answer import silent
from solvers.exact.milp.assignment import Assignment
from solvers.exact.milp.backends import BACKENDS, backend, run
from solvers.exact.milp.model import MODEL_FORMATS, NO_LIMITS, LimitedProblem, Limits, size, write_model
from solvers.exact.milp.tuning import TUNING, Tuning
from solvers.exact.parts.formulation import Formulation
from solvers.exact.parts.size import NotBuiltError
from solvers.exact.parts.start import offer_list_schedule, time_to_list
from solvers.problem.bracket import Bracket
from solvers.problem.certificate import offer
from solvers.problem.offline import OfflineProblem
from solvers.problem.result import Options, Outcome
from solvers.schedules.list_schedule import best_list_schedule
from solvers.schedules.timetable import from_schedule, to_schedule


class Balance:
    """The model: least mean stretch of the calls, plus the load of the busiest instance of each pool.

    A call's stretch is its prefill, transfer and decode over the least these can take. Loads are in machine time over
    the span of the workload: of a prefill instance its busy time, of a decode instance its reservations in shares of
    the KV cache and in shares of the batch, whichever is more. Loads matter when the cluster is busy, stretches when it
    is not; both are 1 or so in between, which is why they can be added.
    """

    def __init__(self, problem: OfflineProblem, limits: Limits = NO_LIMITS) -> None:
        self.problem = problem
        self.lp = LimitedProblem("placement", limits)
        self.assignment = Assignment(self.lp, problem)
        self.span = float((problem.arrival + problem.horizon).max() - problem.arrival.min())
        self.busiest_prefill = self.lp.add_variable("busiest_prefill", 0)
        self.busiest_decode = self.lp.add_variable("busiest_decode", 0)
        self._prefill_load()
        self._decode_load()
        stretch = pulp.lpSum(
            (self.assignment.prefill_seconds(c) + self.assignment.hold_seconds(c)) * float(1 / problem.best[c])
            for c in range(problem.calls)
        )
        self.lp.setObjective(stretch * float(1 / problem.calls) + self.busiest_prefill + self.busiest_decode)

    def _prefill_load(self) -> None:
        """No prefill instance is busier than the busiest."""
        seconds = self.problem.prefill / self.span
        for i in range(seconds.shape[1]):
            load = pulp.lpSum(row[i] * float(seconds[c, i]) for c, row in enumerate(self.assignment.x))
            self.lp += load <= self.busiest_prefill

    def _decode_load(self) -> None:
        """No decode instance is fuller than the fullest, by KV cache or by batch."""
        problem, assignment = self.problem, self.assignment
        for j, (room, slots) in enumerate(zip(problem.capacity, problem.max_batch, strict=True)):
            here = [
                (assignment.y[c][k], c, float(assignment.hold[c][mode.pair]) / self.span)
                for c, modes in enumerate(assignment.modes)
                for k, mode in enumerate(modes)
                if mode.decode == j
            ]
            self.lp += pulp.lpSum(y * (s * float(problem.kv[c] / room)) for y, c, s in here) <= self.busiest_decode
            self.lp += pulp.lpSum(y * (s / float(slots)) for y, _, s in here) <= self.busiest_decode


def solve(problem: OfflineProblem, bracket: Bracket, options: Options, tuning: Tuning = TUNING) -> Outcome:
    """Place by MILP, sequence by the best of the list schedules; never worse than the start."""
    solver = backend(options.solver)
    offer_list_schedule(problem, bracket)
    if bracket.schedule is None:
        return Outcome(message="the time limit ended before there was a schedule to start from")
    try:
        model = Balance(problem, Limits(bracket.deadline, tuning.entries))
    except NotBuiltError as error:
        return Outcome(message=f"milp_placement: {error}")
    model.assignment.load(from_schedule(problem, bracket.schedule))
    if options.write_model is not None:
        write_model(model.lp, options.write_model)
    answer = run(model.lp, solver, silent(bracket.left, options))  # its bound is one on the balance
    if answer.interrupted:
        bracket.interrupt()
    if answer.solved:
        placed = (model.assignment.prefill(), model.assignment.decode())
        timetable = best_list_schedule(problem, bracket.objective, placed, time_to_list(bracket))
        if timetable is not None:
            offer(problem, bracket, to_schedule(problem, timetable, "milp_placement"), "milp_placement")
    return Outcome(size(model.lp), message=answer.message, report=solver.report(answer, options))


FORMULATION = Formulation(
    name="milp_placement",
    summary="placements that balance load and KV by MILP, sequenced by due date and other rules: an upper bound",
    citation="R. L. Graham, Bounds on multiprocessing timing anomalies, SIAM J. Applied Mathematics 17 (1969), for "
    "the list schedules",
    solve=solve,
    exact=False,
    solvers=tuple(BACKENDS),
    model_formats=MODEL_FORMATS,
)
