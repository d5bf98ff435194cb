"""CBC, which PuLP runs as a program: its status and bound are in its log and nowhere else."""

from __future__ import annotations

import re
import subprocess
import tempfile
import warnings
from pathlib import Path

import pulp

from solvers.exact.milp.answer import ABSOLUTE_GAP, Answer, Effort, has_start


def available() -> bool:
    """Whether a ``cbc`` is on the path or came with PuLP."""
    return _solver() is not None


def version() -> str:
    """As the program says it."""
    solver = _solver()
    assert solver is not None
    said = subprocess.run([solver.path, "-quit"], capture_output=True, text=True, timeout=60, check=False).stdout
    match = re.search(r"Version:\s+(\S+)", said)
    return match.group(1) if match else "unknown"


def solve(lp: pulp.LpProblem, limits: Effort) -> Answer:
    """Solve from the values that the variables have."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "cbc.log"
        solver = _solver(
            msg=False,
            timeLimit=max(limits.seconds, 0.01),
            gapRel=0.0,
            gapAbs=ABSOLUTE_GAP,
            threads=limits.workers if limits.workers > 1 else None,
            warmStart=has_start(lp),
            options=[f"randomCbcSeed {limits.seed % 2**31}"],
            logPath=str(log),
        )
        assert solver is not None
        solver.tmpDir = folder
        try:
            solver.actualSolve(lp)
        except KeyboardInterrupt:
            return Answer("unknown", message="CBC was interrupted", interrupted=True)
        return read_log(log.read_text(errors="replace"))


def read_log(text: str) -> Answer:
    """Status and bound from CBC's log.

    An optimal run prints no "Lower bound": there it is the objective value.
    """
    result = re.search(r"^Result - (.*)$", text, re.MULTILINE)
    said = result.group(1).strip() if result else ""
    root = _number(text, r"Continuous objective value is\s+(\S+)")
    value = _number(text, r"^Objective value:\s+(\S+)")
    bound = _number(text, r"^Lower bound:\s+(\S+)")
    if said.startswith("Optimal solution found"):
        return Answer("optimal", value, root)
    # what it sees before it starts to branch has no "Result" line
    at_once = re.search(r"^Problem is infeasible", text, re.MULTILINE)
    if "infeasible" in said.lower() or "proven infeasible" in text or at_once:
        return Answer("infeasible", message="CBC finds no solution")
    if said.startswith("Stopped"):
        return Answer("unknown" if value is None else "feasible", bound, root)
    return Answer("unknown", message=f"CBC: {said or 'no result in its log'}")


def _number(text: str, pattern: str) -> float | None:
    match = re.search(pattern, text, re.MULTILINE)
    return None if match is None else float(match.group(1))


def _solver(**options: object) -> pulp.LpSolver | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the CBC inside PuLP 3 goes with PuLP 4
        for kind in (pulp.COIN_CMD, pulp.PULP_CBC_CMD):
            solver = kind(**options)
            if solver.available():
                return solver
    return None
