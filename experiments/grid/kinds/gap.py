"""Gaps: the optimum of a scene bracketed, and how far policies are from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from experiments.grid.cell import Cell, Computed, Rows
from experiments.grid.expand import Point
from experiments.grid.kinds.load import LoadCell, load_search
from experiments.grid.kinds.simulate import needed_plugins
from experiments.grid.scene import Scene, prepared
from experiments.grid.sources import Json, Plugin


@dataclass(frozen=True)
class GapCell(Cell):
    """One bracket, with all policies: their schedules are where the search for better ones starts.

    Attributes
    ----------
    scene : Scene
    objective : str
    policies : tuple of str
    time_limit : float
        Seconds. What is found in them depends on the machine, so these results are not the same everywhere.
    loaded : tuple of Plugin
    """

    scene: Scene
    objective: str
    policies: tuple[str, ...]
    time_limit: float
    loaded: tuple[Plugin, ...] = ()
    kind: ClassVar[str] = "gap"
    marker: ClassVar[str] = "gaps"

    @property
    def inputs(self) -> Json:
        plugins = {"plugins": [plugin.sha256 for plugin in self.loaded]} if self.loaded else {}
        return {
            **self.scene.inputs,
            "decode_model": self.scene.cluster.decode_model,
            "objective": self.objective,
            "policies": self.policies,
            "time_limit": self.time_limit,
            **plugins,
        }

    @property
    def description(self) -> str:
        return f"gap of {', '.join(self.policies)} in {self.objective} on {self.scene}"

    @property
    def needs(self) -> LoadCell | None:
        return load_search(self.scene)

    @property
    def group(self) -> object:
        return self.scene

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        return self.loaded

    def compute(self, rate: float | None) -> Computed:
        from solvers.brackets.gap import gap

        instance, _ = prepared(self.scene, rate)
        report = gap(instance, self.objective, self.policies, self.time_limit, self.scene.seed)
        bracket = {
            "lower_bound": report.lower_bound,
            "bound_source": report.bound_source,
            "upper_bound": report.upper_bound,
            "upper_source": report.upper_source,
        }
        rows = [
            {
                **self.scene.case,
                "load": self.scene.load,
                "decode_model": self.scene.cluster.decode_model,
                "seed": self.scene.seed,
                "objective": self.objective,
                "policy": name,
                "value": found.value,
                **bracket,
                "gap": found.gap,
                "gap_to_upper": found.gap_to_upper,
                "time_limit": self.time_limit,
            }
            for name, found in report.policies.items()
        ]
        series = [
            {"objective": self.objective, "seconds": seconds, "lower_bound": lower, "upper_bound": upper}
            for seconds, lower, upper in report.series
        ]
        binding = [
            {"objective": self.objective, "resource": resource, "share": share}
            for resource, share in report.binding.items()
        ]
        tables: dict[str, Rows] = {self.marker: rows, "gap_series": series, "gap_binding": binding}
        return Computed(tables, timing={"solve_seconds": report.seconds})


def cells(points: Sequence[Point], plugins: dict[str, Plugin]) -> list[Cell]:
    """A cell for all points that differ in the policy alone."""
    grouped: dict[tuple[Scene, str, float], list[str]] = {}
    for point in points:
        decode_model = point["decode_models"] or point["clusters"].decode_model
        cluster = replace(point["clusters"], decode_model=decode_model)
        scene = Scene(cluster, point["workloads"], point["workflows"], point["seeds"], point["loads"])
        place = (scene, point["objectives"], float(dict(point.settings)["time_limit"]))
        grouped.setdefault(place, []).append(point["policies"])
    return [
        GapCell(scene, objective, tuple(dict.fromkeys(policies)), limit, needed_plugins(policies, plugins))
        for (scene, objective, limit), policies in grouped.items()
    ]
