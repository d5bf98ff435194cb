"""Gaps: the optimum of a scene bracketed, and how far policies are from it."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec

from experiments.grid.cell import Answer, Cell, Rows
from experiments.grid.earlier import EarlierStores, Start
from experiments.grid.expand import Point
from experiments.grid.kind import Kind
from experiments.grid.kinds.load import LoadCell, load_search
from experiments.grid.scene import Scene, prepared, scene_of
from experiments.grid.settings import CPU_TIME, EARLIER, LEAVE_OUT_OVERSIZE, MAX_CONTEXT, SAMPLE, SCHEDULES, TIME_LIMIT
from experiments.grid.sources import Json, Plugin, entries, needed_plugins
from experiments.store.schema import CASE, REAL, TEXT, TRUTH, WHOLE
from hexsched.outside import Package


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
    cpu_time : bool
        Whether they are CPU seconds a thread.
    loaded : tuple of Plugin
    stores : EarlierStores or None
        From which it sets out.
    stored : bool
        Whether its schedule is stored.
    """

    scene: Scene
    objective: str
    policies: tuple[str, ...]
    time_limit: float
    cpu_time: bool = False
    loaded: tuple[Plugin | Package, ...] = ()
    stores: EarlierStores | None = None
    stored: bool = False

    @cached_property
    def start(self) -> Start | None:
        """What it sets out from; it travels with the cell, so that nobody needs the earlier store any more."""
        return None if self.stores is None else self.stores.start(self._inputs)

    def __getstate__(self) -> dict[str, object]:
        _ = self.start
        return self.__dict__

    @property
    def kind(self) -> Kind:
        return KIND

    @property
    def case(self) -> Json:
        return {
            **self.scene.case,
            "load": self.scene.load,
            "decode_model": self.scene.cluster.decode_model,
            "seed": self.scene.seed,
            "objective": self.objective,
            "time_limit": self.time_limit,
        }

    @property
    def inputs(self) -> Json:
        return {**self._inputs, **({"start": {"sha256": self.started_from}} if self.started_from else {})}

    @property
    def _inputs(self) -> Json:
        """Without what it sets out from."""
        plugins = {"plugins": [plugin.sha256 for plugin in self.loaded]} if self.loaded else {}
        clock = {CPU_TIME.name: True} if self.cpu_time else {}
        return {
            **self.scene.inputs,
            "decode_model": self.scene.cluster.decode_model,
            "objective": self.objective,
            "policies": self.policies,
            "time_limit": self.time_limit,
            **clock,
            **plugins,
        }

    @property
    def description(self) -> str:
        return f"gap of {', '.join(self.policies)} in {self.objective} on {self.scene}"

    @property
    def grid(self) -> Json:
        mine = {
            "decode_models": self.scene.cluster.decode_model,
            "objectives": self.objective,
            "policies": self.policies,
            TIME_LIMIT.name: self.time_limit,
            **({CPU_TIME.name: True} if self.cpu_time else {}),
            **({EARLIER.name: list(self.stores.entries)} if self.stores and self.start else {}),
        }
        return {"kind": KIND.name, **self.scene.entries, **mine, **entries(self.loaded)}

    @property
    def needs(self) -> LoadCell | None:
        return load_search(self.scene)

    @property
    def group(self) -> object:
        return self.scene

    @property
    def plugins(self) -> tuple[Plugin | Package, ...]:
        return self.loaded

    @property
    def started_from(self) -> str | None:
        return None if self.start is None else self.start.sha256

    @property
    def wants_schedule(self) -> bool:
        return self.stored

    def compute(self, rate: float | None) -> Answer:
        from solvers.brackets.gap import gap

        instance, _ = prepared(self.scene, rate)
        report = gap(
            instance,
            self.policies,
            self.objective,
            time_limit=self.time_limit,
            earlier=None if self.start is None else self.start.earlier("the earlier store", self.objective),
            cpu_time=self.cpu_time,
            seed=self.scene.seed,
            progress=False,
        )
        bracket = {
            "reached": self.scene.rule.reached(rate),
            "left_out": self.scene.workflows - len(instance.workflows),
            "lower_bound": report.lower_bound,
            "bound_source": report.bound_source,
            "upper_bound": report.upper_bound,
            "upper_source": report.upper_source,
            "start_sha256": self.started_from,
        }
        rows = [
            {
                **self.case,
                **bracket,
                "policy": name,
                "value": each.value,
                "gap": each.gap,
                "gap_to_upper": each.gap_to_upper,
            }
            for name, each in report.policies.items()
        ]
        series = [
            {"objective": self.objective, "seconds": seconds, "lower_bound": lower, "upper_bound": upper}
            for seconds, lower, upper in report.series
        ]
        binding = [
            {"objective": self.objective, "resource": resource, "share": share}
            for resource, share in report.binding.items()
        ]
        prices = [
            {"objective": self.objective, "prices": msgspec.json.encode(kept).decode()}
            for kept in (report.prices,)
            if kept is not None
        ]
        tables: dict[str, Rows] = {"gaps": rows, "gap_series": series, "gap_binding": binding, "gap_prices": prices}
        return Answer(
            tables,
            timing={"solve_seconds": report.seconds},
            schedule=gzip.compress(report.schedule.to_bytes(), mtime=0) if self.stored else None,
            instance=gzip.compress(instance.to_bytes(), mtime=0) if self.stored else None,
        )


def cells(points: Sequence[Point], plugins: Sequence[Plugin]) -> list[Cell]:
    """A cell for all points that differ in the policy alone."""
    grouped: dict[GapCell, list[str]] = {}
    for point in points:
        decode_model = point["decode_models"] or point["clusters"].decode_model
        settings = dict(point.settings)
        bare = GapCell(
            scene_of(point, replace(point["clusters"], decode_model=decode_model)),
            point["objectives"],
            (),
            float(settings[TIME_LIMIT.name]),
            settings[CPU_TIME.name],
            stores=settings[EARLIER.name],
            stored=settings[SCHEDULES.name],
        )
        grouped.setdefault(bare, []).append(point["policies"])
    return [
        replace(bare, policies=tuple(dict.fromkeys(policies)), loaded=needed_plugins(policies, plugins))
        for bare, policies in grouped.items()
    ]


def warm_up() -> None:
    """Compile what brackets run."""
    from solvers.brackets.gap import warm_up

    warm_up()


KIND = Kind(
    name="gap",
    summary="the optimum of an objective bracketed, and how far policies are from it",
    tables={
        "gaps": {
            **CASE,
            "load": TEXT,
            "decode_model": TEXT,
            "seed": WHOLE,
            "reached": TRUTH,  # whether the load is what the rule asks for; else all workflows arrive at once
            "left_out": WHOLE,  # workflows with a call that is too large
            "objective": TEXT,
            "policy": TEXT,
            "value": REAL,
            "lower_bound": REAL,
            "bound_source": TEXT,
            "upper_bound": REAL,
            "upper_source": TEXT,
            "start_sha256": TEXT,  # of what it set out from in an earlier store; null where it did not
            "gap": REAL,
            "gap_to_upper": REAL,
            "time_limit": REAL,
        },
        "gap_series": {"objective": TEXT, "seconds": REAL, "lower_bound": REAL, "upper_bound": REAL},
        "gap_binding": {"objective": TEXT, "resource": TEXT, "share": REAL},
        "gap_prices": {"objective": TEXT, "prices": TEXT},  # those of the best bound that prices proved, as JSON
    },
    cells=cells,
    warm_up=warm_up,
    axes={
        "clusters": None,
        "workloads": None,
        "workflows": None,
        "decode_models": (),  # the cluster's own
        "loads": None,
        "seeds": (0,),
        "objectives": None,
        "policies": None,
    },
    settings=(TIME_LIMIT, CPU_TIME, EARLIER, SCHEDULES, MAX_CONTEXT, LEAVE_OUT_OVERSIZE, SAMPLE),
    example="clusters: demo\nworkloads: react\nworkflows: 2\nloads: at-once\nobjectives: mean_ratio\n"
    "policies: fcfs\ntime_limit: 1\n",
    timing={"solve_seconds": REAL},
    timed={
        "gaps": ("lower_bound", "bound_source", "upper_bound", "upper_source", "gap", "gap_to_upper"),
        "gap_series": ("objective", "seconds", "lower_bound", "upper_bound"),
        "gap_binding": ("objective", "resource", "share"),
        "gap_prices": ("objective", "prices"),
    },
    bracket=("lower_bound", "upper_bound"),
    alike=("time_limit",),
    amount="time_limit",
    seconds=1.0,
    sources=(__file__, "solvers", "experiments/grid/earlier.py"),
    rank=2,
)
