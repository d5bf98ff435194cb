"""HiGHS in memory, with what PuLP 3.3 leaves out: a warm start, the dual bound, progress and Ctrl-C."""

from __future__ import annotations

import time
from typing import Any

import pulp

from solvers.exact.milp.answer import ABSOLUTE_GAP, FEASIBILITY, Answer, Effort, MilpStatus, finite, has_start
from solvers.exact.milp.interruptible import run_interruptibly


def available() -> bool:
    """Whether highspy can be loaded."""
    return bool(pulp.HiGHS(msg=False).available())


def version() -> str:
    """Of HiGHS."""
    import highspy

    return str(highspy.Highs().version())


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
        presolve="off",  # that of 1.14 calls models infeasible that have solutions (ERGO-Code/HiGHS#3090), no proof
        threads=limits.workers,
        gapRel=0.0,
        gapAbs=ABSOLUTE_GAP,
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
        run_interruptibly(highs.run, self._stop)

    def _stop(self) -> None:
        self.stop = True

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
        if has_start(lp):
            solution = self.highspy.HighsSolution()
            solution.col_value = [variable.varValue for variable in lp.variables()]
            lp.solverModel.setSolution(solution)

    def _interrupt(self, event: Any) -> None:
        event.data_in.user_interrupt = self.stop or time.monotonic() > self.until

    def _progress(self, event: Any) -> None:
        incumbent, bound = finite(event.data_out.mip_primal_bound), finite(event.data_out.mip_dual_bound)
        if event.data_out.mip_node_count <= 1 and bound is not None:
            self.root = bound
        self.limits.on_progress(incumbent, bound)
