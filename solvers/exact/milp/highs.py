"""HiGHS in memory, with what PuLP 3.3 leaves out: a warm start, the dual bound, progress and Ctrl-C."""

from __future__ import annotations

import threading
import time
from typing import Any

import pulp

from solvers.exact.milp.answer import Answer, Effort, MilpStatus, finite

FEASIBILITY = 1e-7  # a tenth of HiGHS's own: big-M rows let an indicator leak this much times M


def available() -> bool:
    """Whether highspy can be loaded."""
    return bool(pulp.HiGHS(msg=False).available())


def solve(lp: pulp.LpProblem, limits: Effort) -> Answer:
    """Solve from the values that the variables have."""
    import highspy

    class Started(pulp.HiGHS):
        """PuLP's translation of the model, our run of it."""

        def callSolver(self, lp: pulp.LpProblem) -> None:  # noqa: N802 - PuLP's name
            run.start(lp)

    run = _Run(highspy, limits)
    highspy.Highs.resetGlobalScheduler(True)  # else the first number of threads in the process is the last
    solver = Started(
        msg=False,
        threads=limits.workers,
        gapRel=0.0,
        gapAbs=1e-9,
        random_seed=limits.seed % 2**31,
        mip_feasibility_tolerance=FEASIBILITY,
        primal_feasibility_tolerance=FEASIBILITY,
    )
    solver.actualSolve(lp)
    return run.answer(lp)


class _Run:
    """One run, in a thread of its own so that Ctrl-C reaches us."""

    def __init__(self, highspy: Any, limits: Effort) -> None:
        self.highspy, self.limits = highspy, limits
        self.until = time.monotonic() + limits.seconds
        self.stop = False
        self.root: float | None = None

    def start(self, lp: pulp.LpProblem) -> None:
        highs = lp.solverModel
        self._warm_start(lp)
        highs.setOptionValue("time_limit", max(self.until - time.monotonic(), 0.0))
        highs.cbMipInterrupt.subscribe(self._interrupt)
        highs.cbSimplexInterrupt.subscribe(self._interrupt)
        highs.cbMipLogging.subscribe(self._progress)
        highs.cbMipImprovingSolution.subscribe(self._progress)
        ended = threading.Event()  # Thread.join would do, but in Python 3.11 Ctrl-C makes it forget a running thread
        threading.Thread(target=self._run, args=(highs, ended), daemon=True).start()
        while not ended.is_set():
            try:
                ended.wait(0.1)
            except KeyboardInterrupt:
                self.stop = True

    def _run(self, highs: Any, ended: threading.Event) -> None:
        try:
            highs.run()
        finally:
            ended.set()

    def answer(self, lp: pulp.LpProblem) -> Answer:
        highs, known = lp.solverModel, self.highspy.HighsModelStatus
        info, status = highs.getInfo(), highs.getModelStatus()
        has_solution = info.primal_solution_status == self.highspy.SolutionStatus.kSolutionStatusFeasible
        bound = finite(info.mip_dual_bound)
        if status == known.kOptimal:
            return Answer("optimal", bound, self.root if self.root is not None else bound)
        if status == known.kInfeasible:
            return Answer("infeasible", message="HiGHS finds no solution")
        outcome: MilpStatus = "feasible" if has_solution else "unknown"
        stopped = status in (known.kTimeLimit, known.kInterrupt)
        message = "" if stopped and not self.stop else f"HiGHS: {highs.modelStatusToString(status)}"
        return Answer(outcome, bound, self.root, message, interrupted=self.stop)

    def _warm_start(self, lp: pulp.LpProblem) -> None:
        values = [variable.varValue for variable in lp.variables()]
        if None not in values:
            solution = self.highspy.HighsSolution()
            solution.col_value = values
            lp.solverModel.setSolution(solution)

    def _interrupt(self, event: Any) -> None:
        event.data_in.user_interrupt = self.stop or time.monotonic() > self.until

    def _progress(self, event: Any) -> None:
        incumbent, bound = finite(event.data_out.mip_primal_bound), finite(event.data_out.mip_dual_bound)
        if event.data_out.mip_node_count <= 1 and bound is not None:
            self.root = bound
        self.limits.on_progress(incumbent, bound)
