"""Solves: a formulation on an instance of the library."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.formulations.columns import FOUND
from experiments.grid.cell import Answer, Cell
from experiments.grid.expand import Point
from experiments.grid.kind import Kind
from experiments.grid.settings import THREADS, TIME_LIMIT
from experiments.grid.sources import Json, Plugin
from experiments.store.schema import REAL, TEXT, WHOLE

SOLVED = ("optimal", "feasible")


@dataclass(frozen=True)
class SolveCell(Cell):
    """One solve, from the best schedule of a few quick policies.

    Attributes
    ----------
    instance : str
        A name of the library; its generator is part of the code version.
    formulation : str
        And solver and switches, as ``experiments.formulations.arms`` writes them.
    objective : str
    seed : int
        Of the solver.
    time_limit : float
        Seconds. What is found in them depends on the machine, so these results are not the same everywhere.
    threads : int
    """

    instance: str
    formulation: str
    objective: str
    seed: int
    time_limit: float
    threads: int

    @property
    def kind(self) -> Kind:
        return KIND

    @property
    def case(self) -> Json:
        return {name: getattr(self, name) for name in ("instance", "formulation", "objective", "seed", "time_limit")}

    @property
    def inputs(self) -> Json:
        # the table is among them since the first stores: without it, their results would count beside new ones
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"marker": KIND.marker}

    @property
    def grid(self) -> Json:
        return {
            "kind": KIND.name,
            "instances": self.instance,
            "formulations": self.formulation,
            "objectives": self.objective,
            "seeds": [self.seed],
            TIME_LIMIT.name: self.time_limit,
            THREADS.name: self.threads,
        }

    @property
    def description(self) -> str:
        return f"{self.formulation} on {self.instance}, {self.objective}, seed {self.seed}"

    def compute(self, rate: float | None) -> Answer:
        from experiments.formulations.arms import resolved_solver
        from experiments.formulations.measure import REFUSED, measure
        from experiments.library.names import instance
        from solvers.brackets.choice import read_arm
        from solvers.problem.result import Options

        problem, arm = instance(self.instance), read_arm(self.formulation)
        options = Options(time_limit=self.time_limit, workers=self.threads, seed=self.seed)
        began = time.perf_counter()
        columns, series = measure(problem, arm, self.objective, options)
        seconds = time.perf_counter() - began
        row = {**self.case, "calls": problem.call_count, "asked_solver": resolved_solver(arm), **columns}
        steps = [{"seconds": at, "value": value, "lower_bound": bound} for at, value, bound in series]
        fault = columns["message"] if columns["status"] not in (*SOLVED, REFUSED) else ""
        return Answer({"solves": [row], "solve_series": steps}, timing={"solve_seconds": seconds}, fault=fault)


def cells(points: Sequence[Point], plugins: Sequence[Plugin]) -> list[Cell]:
    """A cell a point whose formulation has the objective."""
    from experiments.formulations.comparison import can_minimise
    from solvers.brackets.choice import read_arm
    from solvers.problem.objective import read_objective

    return [
        SolveCell(
            point["instances"],
            point["formulations"],
            point["objectives"],
            point["seeds"],
            float(dict(point.settings)[TIME_LIMIT.name]),
            dict(point.settings)[THREADS.name],
        )
        for point in points
        if can_minimise(read_arm(point["formulations"]), read_objective(point["objectives"]))
    ]


def warm_up() -> None:
    """Compile what formulations run."""
    from solvers.schedules.search import warm_up

    warm_up()


KIND = Kind(
    name="solve",
    summary="a formulation on an instance of the library",
    tables={
        "solves": {
            "instance": TEXT,
            "calls": WHOLE,
            "formulation": TEXT,
            "asked_solver": TEXT,  # its default where none was named; empty for auto
            "objective": TEXT,
            "seed": WHOLE,  # of the solver
            "time_limit": REAL,
            **FOUND,
        },
        "solve_series": {"seconds": REAL, "value": REAL, "lower_bound": REAL},  # whenever one of them got better
    },
    cells=cells,
    warm_up=warm_up,
    axes={"instances": None, "formulations": None, "objectives": None, "seeds": (0,)},
    settings=(TIME_LIMIT, THREADS),
    example="instances: contended-chain-4-0\nformulations: cpsat\nobjectives: max_ratio\ntime_limit: 5\n",
    timing={"solve_seconds": REAL},
    timed={"solves": tuple(FOUND), "solve_series": ("seconds", "value", "lower_bound")},
    bracket=("lower_bound", "value"),
    alike=("time_limit",),
    amount="time_limit",
    seconds=1.0,
    sources=(
        __file__,
        "solvers",
        *(f"experiments/formulations/{name}.py" for name in ("arms", "columns", "measure")),
        *(f"experiments/library/{name}.py" for name in ("families", "generate", "names")),
    ),
    rank=3,
)
