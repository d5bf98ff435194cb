"""What the planner does on crowds, in kernels that run: ``python -m checks.planner_work`` in ``tests`` stores it.

Most of the planner is about what need not be looked at. That leaves schedules as they are, so no schedule tells when
it fails; the number of pairs, plans and projections that are worked out does.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from checks.naive_planner import crowd, fresh_state
from hexsched.engine.kernel import interpreted
from hexsched.engine.wallclock import new_histogram
from hexsched.policies import read_policy
from hexsched.policies.decide import run_epochs
from hexsched.policies.planning import planner

STORED = Path(__file__).with_name("planner_work.json")
FOLDER = str(Path(planner.__file__).parent)
RUNS = (
    *((seed, policy) for seed in (6, 7) for policy in ("fcfs", "workflow-llf", "hexagent")),
    *((0, "hexagent"), (2, "workflow-llf"), (3, "workflow-llf")),
)
TOURNAMENTS = 7  # the seed with which they are kept of however few machines
SCALE = 3  # times as many machines and calls as in the crowds of the other checks


@contextmanager
def counted(most: int) -> Iterator[Counter[str]]:
    """Count the kernels of the planner that run, by name; more than ``most`` of them fail, so an endless loop ends."""
    found: Counter[str] = Counter()

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(FOLDER):
            found[frame.f_code.co_name] += 1
            found[""] += 1
            if found[""] > most:
                sys.setprofile(None)
                raise AssertionError("the planner does more than it may")

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


def work(seed: int, policy: str, most: int = 10**7) -> dict[str, int]:
    """How often each kernel of the planner runs until a crowd is served."""
    state, chosen = fresh_state(crowd(seed, SCALE)), read_policy(policy)
    memory = chosen.memory(state.seen)
    if seed == TOURNAMENTS:
        memory.planner.lists.few = 0
    run = interpreted(run_epochs)
    with counted(most) as found:
        list(run(state, memory, chosen.settings(), 10**6, new_histogram(), np.zeros(2, np.int64)))
    assert state.truth.progress[0].incomplete == 0, "calls are left"
    del found[""]
    return dict(sorted(found.items()))


if __name__ == "__main__":
    STORED.write_text(json.dumps({f"{seed} {policy}": work(seed, policy) for seed, policy in RUNS}, indent=1) + "\n")
