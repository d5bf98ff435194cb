"""Load searches: the rate of a scene, found once for all policies and estimators."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.grid.cell import Answer, Cell
from experiments.grid.kind import Kind
from experiments.grid.scene import Scene, at_any_rate
from experiments.grid.sources import Json
from experiments.store.schema import CASE, REAL, TEXT, TRUTH, WHOLE


@dataclass(frozen=True)
class LoadCell(Cell):
    """The search for the rate of a scene."""

    scene: Scene

    @property
    def kind(self) -> Kind:
        return KIND

    @property
    def case(self) -> Json:
        return {**self.scene.case, "seed": self.scene.seed, "rule": self.scene.load}

    @property
    def inputs(self) -> Json:
        return self.scene.inputs

    @property
    def description(self) -> str:
        return f"load search on {self.scene}"

    @property
    def grid(self) -> Json:
        # of gaps, since these can say the decode model; the policy and the objective have no part in the search
        mine = {"decode_models": self.scene.cluster.decode_model, "objectives": "mean_ratio", "policies": "fcfs"}
        return {"kind": "gap", **self.scene.entries, **mine}

    @property
    def group(self) -> object:
        return self.scene

    def compute(self, rate: float | None) -> Answer:
        load = self.scene.rule
        assert load.rule.search is not None
        rate, answer = load.rule.search(at_any_rate(self.scene), load)
        row = {**self.case, "rate": rate, **answer, "decode_model": self.scene.cluster.decode_model}
        return Answer({"loads": [row]}, rate=rate)


def load_search(scene: Scene) -> LoadCell | None:
    """The search that a scene needs, if any."""
    return LoadCell(scene) if scene.rule.searched else None


KIND = Kind(
    name="load",
    summary="the rate at which a workload stresses a cluster, found once for all policies and estimators",
    tables={
        "loads": {
            **CASE,
            "seed": WHOLE,
            "rule": TEXT,
            "rate": REAL,
            "req95": REAL,
            "baseline": TEXT,
            "reached": TRUTH,
            "decode_model": TEXT,
        }
    },
    alike=("workload", "workflows"),
    amount="workflows",
    seconds=4e-3,
    sources=(__file__,),
    rank=0,
)
