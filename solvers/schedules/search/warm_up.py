"""Compiling what the search runs, before its clock starts."""

from __future__ import annotations

from functools import cache

import numpy as np

from hexsched.engine.announcing import announce, compiled_together
from hexsched.simulator import simulate, warm_up_replay
from hexsched.simulator.warm_up import tiny_instance
from solvers.problem.offline import offline_problem
from solvers.schedules.search.evaluator import Evaluator
from solvers.schedules.search.guide import plain_guide
from solvers.schedules.search.kernels import run_guide, run_orders
from solvers.schedules.search.starts import decisions_of

announce(run_guide, "the search", 4)
announce(run_orders, "the search by decisions", 2)


@cache
def warm_up() -> None:
    """Compile, or read from the cache, both ways to run the simulator, and what policies and re-timing run."""
    with compiled_together():
        warm_up_replay()
        problem = offline_problem(tiny_instance())
        evaluator = Evaluator(problem)
        evaluator(plain_guide(np.zeros(problem.calls), problem.workflows, len(evaluator.kind_of_decode)))
        evaluator.replay(decisions_of(evaluator, simulate(problem.instance, "hexagent").schedule))
