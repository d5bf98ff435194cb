"""Solves: a formulation on an instance of the library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.grid.cell import Answer, Cell
from experiments.grid.expand import Point
from experiments.grid.kind import Kind
from experiments.grid.settings import THREADS, TIME_LIMIT
from experiments.grid.sources import Json, Plugin
from experiments.store.schema import REAL, TEXT, WHOLE


@dataclass(frozen=True)
class SolveCell(Cell):
    """One solve, from the best schedule of a few quick policies.

    Attributes
    ----------
    instance : str
        A name of the library; its generator is part of the code version.
    formulation, objective : str
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
        from experiments.library.names import instance
        from solvers.brackets.solve import solve_with
        from solvers.problem.result import Options

        problem = instance(self.instance)
        options = Options(time_limit=self.time_limit, workers=self.threads, seed=self.seed)
        result = solve_with(problem, self.formulation, self.objective, options=options)
        row = {
            **self.case,
            "calls": problem.call_count,
            "status": result.status,
            "value": result.objective,
            "lower_bound": result.lower_bound,
            "root_bound": result.root_bound,
            "variables": result.size.variables,
            "constraints": result.size.constraints,
            "nonzeros": result.size.nonzeros,
            "message": result.message,
        }
        fault = result.message if result.status == "unknown" else ""
        return Answer({"solves": [row]}, timing={"solve_seconds": result.seconds}, fault=fault)


def cells(points: Sequence[Point], plugins: Sequence[Plugin]) -> list[Cell]:
    """A cell a point."""
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
            "objective": TEXT,
            "seed": WHOLE,
            "status": TEXT,
            "value": REAL,
            "lower_bound": REAL,
            "root_bound": REAL,
            "variables": WHOLE,
            "constraints": WHOLE,
            "nonzeros": WHOLE,
            "time_limit": REAL,
            "message": TEXT,
        }
    },
    cells=cells,
    warm_up=warm_up,
    axes={"instances": None, "formulations": None, "objectives": None, "seeds": (0,)},
    settings=(TIME_LIMIT, THREADS),
    example="instances: contended-chain-4-0\nformulations: cpsat\nobjectives: max_ratio\ntime_limit: 5\n",
    timing={"solve_seconds": REAL},
    timed={"solves": ("status", "value", "lower_bound", "root_bound", "message")},
    bracket=("lower_bound", "value"),
    alike=("time_limit",),
    amount="time_limit",
    seconds=1.0,
    sources=(
        __file__,
        "solvers",
        *(f"experiments/library/{name}.py" for name in ("families", "generate", "names")),
    ),
    rank=3,
)
