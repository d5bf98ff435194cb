"""Write the pins anew: ``python -m pinned.write`` in the folder of the tests, after a change that is meant."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from hexsched.engine.tables import build_state
from hexsched.engine.wallclock import new_histogram
from hexsched.policies import read_policy
from hexsched.policies.decide import each_time, run_epochs
from hexsched.simulator import simulate
from pinned import cases, reports
from pinned.cases import BoundPin, CrowdPin, Pin, SearchPin, digest, instance
from solvers.bounds import BOUNDS
from solvers.problem.objective import read_objective
from solvers.problem.offline import fixed_problem
from solvers.schedules.search import search


def run(pin: Pin, compiled: bool = True) -> Pin:
    """The pin with what the run gives now."""
    found = simulate(instance(pin.instance), pin.policy, estimator=pin.estimator, seed=3, compiled=compiled)
    return pin._replace(sha256=digest(found.schedule))


def look(pin: SearchPin) -> SearchPin:
    """The pin with what the search gives now."""
    found = search(
        instance(pin.instance), pin.objective, evaluations=pin.evaluations, time_limit=1e6, seed=5, workers=1
    )
    return pin._replace(value=repr(found.value), sha256=digest(found.schedule))


def prove(pin: BoundPin) -> BoundPin:
    """The pin with what the bound says now; empty where it does not apply."""
    aim, chosen = read_objective(pin.objective), BOUNDS.find(pin.bound)
    if aim.kind not in chosen.objectives:
        return pin._replace(value="")
    return pin._replace(value=repr(chosen.compute(fixed_problem(instance(pin.instance)), aim, 1e6)))


def serve(pin: CrowdPin) -> CrowdPin:
    """The pin with what the run gives now."""
    cluster, workload = cases.crowd(pin.instances, pin.calls, pin.arrivals)
    state, chosen = build_state(cluster, workload), read_policy(pin.policy)
    memory = chosen.memory(state.seen)
    given = (state, memory, chosen.settings(), 10**6, new_histogram(), np.zeros(2, np.int64))
    for _ in each_time(run_epochs, *given):
        pass
    digest, calls = hashlib.sha256(), state.seen.calls
    for name in ("prefill_instance", "decode_instance", "prefill_start", "admitted", "decode_end"):
        digest.update(np.ascontiguousarray(calls[name]).tobytes())
    return pin._replace(sha256=digest.hexdigest()[:16])


def write(path: Path, pins: Iterable[Any], measure: Callable[[Any], Any]) -> None:
    """A table of pins."""
    rows = [measure(pin) for pin in pins]
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(rows[0]._fields)
        table.writerows(rows)


def main() -> None:
    """Run everything that is pinned."""
    write(cases.RUNS, cases.runs(), run)
    write(cases.SEARCHES, cases.searches(), look)
    write(cases.BOUNDS, cases.bounds(), prove)
    write(cases.CROWDS, cases.crowds(), serve)
    write(reports.REPORTS, reports.reports(), reports.look)


if __name__ == "__main__":
    main()
