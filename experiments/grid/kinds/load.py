"""Load searches: the rate of a scene, found once for all policies and estimators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiments.grid.axes import BASELINES
from experiments.grid.cell import Cell, Computed
from experiments.grid.saturation import saturation_rate
from experiments.grid.scene import Scene, at_any_rate
from experiments.grid.sources import Json

ANY_RATE = 1.0  # of an instance whose arrival times do not matter


@dataclass(frozen=True)
class LoadCell(Cell):
    """The search for the rate of a scene."""

    scene: Scene
    kind: ClassVar[str] = "load"
    marker: ClassVar[str] = "loads"

    @property
    def inputs(self) -> Json:
        return self.scene.inputs

    @property
    def description(self) -> str:
        return f"load search on {self.scene}"

    @property
    def group(self) -> object:
        return self.scene

    def compute(self, rate: float | None) -> Computed:
        from experiments.load import find_stress

        rule, at = self.scene.rule, at_any_rate(self.scene)
        assert rule.value is not None
        found: Json
        if rule.name == "stress":
            load = find_stress(at, BASELINES, rule.value)
            found = {"rate": load.rate, "req95": load.req95, "baseline": load.baseline, "reached": load.reached}
        else:
            chosen = float(f"{rule.value * saturation_rate(at(ANY_RATE)):.4g}")
            found = {"rate": chosen, "req95": None, "baseline": None, "reached": True}
        row = {
            **self.scene.case,
            "seed": self.scene.seed,
            "rule": self.scene.load,
            **found,
            "decode_model": self.scene.cluster.decode_model,
        }
        chosen_rate = found["rate"]
        assert isinstance(chosen_rate, float)
        return Computed({self.marker: [row]}, rate=chosen_rate)


def load_search(scene: Scene) -> LoadCell | None:
    """The search that a scene needs, if any."""
    return LoadCell(scene) if scene.rule.searched else None
