"""SCIP in memory, with what PuLP 3.3 leaves out: tolerances, the limit of memory, progress and Ctrl-C."""

from __future__ import annotations

import math
import time
from typing import Any

import pulp

from solvers.exact.milp.answer import ABSOLUTE_GAP, FEASIBILITY, Answer, Effort, MilpStatus, finite, has_start
from solvers.exact.milp.interruptible import run_interruptibly

LEAST_MEMORY = 16.0  # MB; SCIP refuses to begin with next to nothing


def available() -> bool:
    """Whether pyscipopt can be loaded."""
    return bool(pulp.SCIP_PY().available())


def version() -> str:
    """Of SCIP itself and of its binding."""
    import pyscipopt

    model = pyscipopt.Model()
    numbers = (model.getMajorVersion(), model.getMinorVersion(), model.getTechVersion())
    return f"{'.'.join(map(str, numbers))} (pyscipopt {pyscipopt.__version__})"


def solve(lp: pulp.LpProblem, limits: Effort) -> Answer:
    """Solve from the values that the variables have; with one thread, however many there are."""
    import pyscipopt

    class Started(pulp.SCIP_PY):
        """PuLP's translation of the model, our run of it."""

        def callSolver(self, lp: pulp.LpProblem) -> None:  # noqa: N802 - PuLP's name
            run.start(lp.solverModel)

    run = _Run(pyscipopt, limits)
    solver = Started(msg=False, gapRel=0.0, gapAbs=ABSOLUTE_GAP, warmStart=has_start(lp))
    solver.actualSolve(lp)
    return run.answer(lp.solverModel)


class _Run:
    """One run, of which the limits hear."""

    def __init__(self, pyscipopt: Any, limits: Effort) -> None:
        self.pyscipopt, self.limits = pyscipopt, limits
        self.until = time.monotonic() + limits.seconds
        self.stopped = False

    def start(self, model: Any) -> None:
        model.setParam("randomization/randomseedshift", self.limits.seed % 2**31)
        model.setParam("numerics/feastol", FEASIBILITY)
        model.setParam("misc/catchctrlc", False)  # Python hears of it
        if math.isfinite(self.limits.memory):
            model.setParam("limits/memory", max(self.limits.memory / 1e6, LEAST_MEMORY))
        model.includeEventhdlr(self._watch(), "progress", "tells of better schedules and bounds")
        model.setParam("limits/time", max(self.until - time.monotonic(), 0.0))
        run_interruptibly(model.optimizeNogil, lambda: self._stop(model))

    def answer(self, model: Any) -> Answer:
        said, bound = model.getStatus(), finite(model.getDualbound())
        if said == "infeasible":
            return Answer("infeasible", message="SCIP finds no solution")
        root = finite(model.getDualboundRoot())
        if said == "optimal":
            return Answer("optimal", bound, root if root is not None else bound)
        outcome: MilpStatus = "feasible" if model.getNSols() > 0 else "unknown"
        message = "" if said == "timelimit" else f"SCIP: {said}"
        return Answer(outcome, bound, root, message, interrupted=self.stopped)

    def _stop(self, model: Any) -> None:
        self.stopped = True
        model.interruptSolve()

    def _watch(self) -> Any:
        kinds, limits = self.pyscipopt.SCIP_EVENTTYPE, self.limits

        class Watch(self.pyscipopt.Eventhdlr):  # type: ignore[name-defined]
            """Tells of every better solution, and of the bound after every node."""

            def eventinit(self) -> None:
                self.model.catchEvent(kinds.BESTSOLFOUND, self)
                self.model.catchEvent(kinds.NODESOLVED, self)

            def eventexit(self) -> None:
                self.model.dropEvent(kinds.BESTSOLFOUND, self)
                self.model.dropEvent(kinds.NODESOLVED, self)

            def eventexec(self, event: Any) -> None:
                limits.on_progress(finite(self.model.getPrimalbound()), finite(self.model.getDualbound()))

        return Watch()
