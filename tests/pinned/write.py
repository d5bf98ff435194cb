"""Write the pins anew: ``python -m pinned.write`` in the folder of the tests, after a change that is meant."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hexsched.simulator import simulate
from pinned import cases, reports
from pinned.cases import BoundPin, Pin, SearchPin, digest, instance
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
    write(reports.REPORTS, reports.reports(), reports.look)


if __name__ == "__main__":
    main()
