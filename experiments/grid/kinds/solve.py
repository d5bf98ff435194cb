"""Solves: a formulation on an instance of the library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from experiments.grid.cell import Cell, Computed
from experiments.grid.expand import Point
from experiments.grid.sources import Json, Plugin


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
    kind: ClassVar[str] = "solve"
    marker: ClassVar[str] = "solves"

    @property
    def inputs(self) -> Json:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def description(self) -> str:
        return f"{self.formulation} on {self.instance}, {self.objective}, seed {self.seed}"

    def compute(self, rate: float | None) -> Computed:
        from experiments.library.names import instance
        from solvers.brackets.solve import solve
        from solvers.problem.result import Options

        problem = instance(self.instance)
        options = Options(time_limit=self.time_limit, workers=self.threads, seed=self.seed)
        result = solve(problem, self.formulation, self.objective, options=options)
        row = {
            "instance": self.instance,
            "calls": problem.call_count,
            "formulation": self.formulation,
            "objective": self.objective,
            "seed": self.seed,
            "status": result.status,
            "value": result.objective,
            "lower_bound": result.lower_bound,
            "root_bound": result.root_bound,
            "variables": result.size.variables,
            "constraints": result.size.constraints,
            "nonzeros": result.size.nonzeros,
            "time_limit": self.time_limit,
            "message": result.message,
        }
        fault = result.message if result.status == "unknown" else ""
        return Computed({self.marker: [row]}, timing={"solve_seconds": result.seconds}, fault=fault)


def cells(points: Sequence[Point], plugins: dict[str, Plugin]) -> list[Cell]:
    """A cell a point."""
    return [
        SolveCell(
            point["instances"],
            point["formulations"],
            point["objectives"],
            point["seeds"],
            float(dict(point.settings)["time_limit"]),
            dict(point.settings)["threads"],
        )
        for point in points
    ]
